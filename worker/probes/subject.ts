/**
 * What of a task is probed by the agent, and what its probes say of it. Pure.
 *
 * @module
 */
import type { TaskTemplate } from "../../kv/schema/service.ts";
import type { BoundPort, Observed } from "../../kv/schema/task.ts";
import type { ContainerStatus } from "../runtime.ts";
import type { View } from "../record.ts";
import { type Check, healthCheckOf, readinessCheckOf, type Tally } from "./verdict.ts";

/** What the agent's probes found of a run; a field is absent when the agent does not probe for it. */
export interface AgentProbeVerdict {
  health?: "starting" | "healthy" | "unhealthy";
  ready?: boolean;
  healthOutput?: string;
  readinessOutput?: string;
}

type ProbeView = Pick<View, "taskId" | "assignment" | "record" | "container">;
type Probed = Required<ProbeView> & { container: { startedAt: string } };

/** Whether the run that the view speaks of is to be probed: it goes on, is known and is wanted. */
export function isProbed(view: ProbeView): view is Probed {
  const { assignment, record, container } = view;
  if (assignment?.desired !== "run" || container?.state !== "running") return false;
  const { health, readiness } = assignment.template;
  if (!healthCheckOf(health) && !readiness) return false;
  const { state, health: verdict } = record?.observed ?? {};
  return state === "running" && verdict !== "unhealthy" &&
    container.startedAt !== undefined && record?.run === container.startedAt;
}

export interface ProbeSubject {
  run: string;
  address?: string;
  ports: readonly BoundPort[];
  checks: { purpose: "health" | "readiness"; check: Check; verdict: Tally["verdict"] }[];
}

export function subjectOf({ assignment, record, container }: Probed): ProbeSubject {
  const { health, readiness } = assignment.template;
  const { observed } = record;
  const checks: ProbeSubject["checks"] = [];
  const healthCheck = healthCheckOf(health);
  if (healthCheck) {
    const verdict = observed.health === "healthy" ? "passing" : "starting";
    checks.push({ purpose: "health", check: healthCheck, verdict });
  }
  const readinessCheck = readinessCheckOf(readiness);
  if (readinessCheck) {
    const verdict = observed.ready ? "passing" : "starting";
    checks.push({ purpose: "readiness", check: readinessCheck, verdict });
  }
  const { startedAt, address, ports } = container;
  return { run: startedAt, ports, checks, ...(address === undefined ? {} : { address }) };
}

/** What an observed row says of health, beside its state. */
export type Verdict = Pick<Observed, "health" | "ready" | "message">;

/**
 * What is known of a running container: from the agent's probes or, of its health, from the engine's.
 * `message` is there when there is something to say.
 */
export function verdictOf(
  template: TaskTemplate | undefined,
  container: ContainerStatus,
  probed: AgentProbeVerdict | undefined,
): Verdict {
  const own = healthCheckOf(template?.health) !== undefined;
  const health = own ? probed?.health ?? "starting" : container.health;
  const ready = template?.readiness ? probed?.ready ?? false : undefined;
  const output = own ? probed?.healthOutput : container.healthOutput;
  const message = health === "unhealthy"
    ? `unhealthy: ${output || "the probe said nothing"}`
    : ready === false && probed?.readinessOutput !== undefined
    ? `not ready: ${probed.readinessOutput}`
    : health === "starting" && output !== undefined
    ? `starting: ${output}`
    : undefined;
  return {
    health,
    ...(ready === undefined ? {} : { ready }),
    ...(message === undefined ? {} : { message }),
  };
}

/**
 * What can be said of a container that was just started, before anybody looked at it. `plain`: the image
 * is known to have no HEALTHCHECK. Whether one has is known only afterwards, and what is not known to be
 * ready must not be told to be.
 */
export function verdictAtStart(
  { health, readiness }: TaskTemplate,
  { plain }: { plain: boolean },
): Verdict {
  const type = health?.probe.type ?? "engine";
  const command = health?.probe.type === "engine" ? health.probe.command : undefined;
  const none = type === "none" || (type === "engine" && plain && command === undefined);
  return { health: none ? "none" : "starting", ...(readiness ? { ready: false } : {}) };
}
