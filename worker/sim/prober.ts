/**
 * Probes of simulated containers, which have no network. They pass, unless the container's variables
 * say otherwise: `SIM_UNHEALTHY_AFTER_MS=N` (health probes fail from then on in each run) and
 * `SIM_READY_AFTER_MS=N` (readiness probes fail until then). `SimControl.setHealth` overrides both.
 *
 * @module
 */
import type { Prober, ProbeResult, ProbeTarget } from "../probes/prober.ts";
import type { SimContainer, SimEngine } from "./engine.ts";

export function createSimProber(engine: SimEngine, nodeId: string): Prober {
  const { faults, timings } = engine;
  const { clock, random } = engine.options;
  return {
    async probe({ taskId, purpose }, signal) {
      faults.calls.set("probe", (faults.calls.get("probe") ?? 0) + 1);
      if (faults.hanging.has("probe") && !signal.aborted) {
        await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
      }
      await clock.sleep(timings.callMs * (0.75 + random() / 2), signal);
      if (signal.aborted) return { kind: "unknown", reason: "given up" };
      if (!faults.available) {
        return { kind: "unknown", reason: "cannot connect to the simulated engine" };
      }
      const container = engine.get(nodeId, taskId);
      if (!container?.running) return { kind: "fail", output: "connection refused" };
      return answer(container, purpose, clock.monoMs() - container.startedMs);
    },
  };
}

function answer(
  { assignment, forced }: SimContainer,
  purpose: ProbeTarget["purpose"],
  ranMs: number,
): ProbeResult {
  const { SIM_UNHEALTHY_AFTER_MS, SIM_READY_AFTER_MS } = assignment.template.env;
  const passes = purpose === "health"
    ? forced.healthy ?? ranMs < Number(SIM_UNHEALTHY_AFTER_MS ?? Infinity)
    : forced.ready ?? ranMs >= Number(SIM_READY_AFTER_MS ?? 0);
  return passes ? { kind: "pass" } : { kind: "fail", output: "simulated failure" };
}
