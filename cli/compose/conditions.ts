/**
 * When a service is as far as another one, or a user, waits for. Pure.
 *
 * @module
 */
import type { ServiceView } from "../../kv/schema/service.ts";
import type { Dependency } from "./graph.ts";

export type Condition = Dependency["condition"];

/** `never`: waiting longer cannot help, and why. */
export type Standing = { kind: "met" } | { kind: "waiting" } | { kind: "never"; why: string };

const MET: Standing = { kind: "met" };
const WAITING: Standing = { kind: "waiting" };

export function standingOf(
  { phase, counts, mode, name, stopped, rollout, revision }: ServiceView,
  condition: Condition,
): Standing {
  // Of a service that is scaled to nothing nothing is to be waited for, as in Compose.
  if (mode.type === "replicated" && mode.replicas === 0) return MET;
  if (stopped) return { kind: "never", why: `${name} is stopped` };
  if (mode.type === "job" && phase === "failed") return { kind: "never", why: `${name} failed` };
  if (rollout?.revision === revision && /^(paused|rolled-back|failed)$/.test(rollout.state)) {
    return { kind: "never", why: `${name}: the rollout is ${rollout.state}: ${rollout.why ?? ""}` };
  }
  if (phase === "finished") return MET;
  if (condition === "service_completed_successfully") return WAITING;
  if (phase === "running" || phase === "scheduled") return MET;
  if (condition === "service_healthy" || phase === "removing") return WAITING;
  const changed = rollout === undefined || rollout.updated >= rollout.total;
  const started = counts.running + counts.succeeded >= counts.wanted && counts.wanted > 0;
  return changed && started || isStarted(mode, counts, rollout) ? MET : WAITING;
}

/** A first revision has no others to replace: its tasks run, ready or not. */
function isStarted(
  mode: ServiceView["mode"],
  counts: ServiceView["counts"],
  rollout: ServiceView["rollout"],
): boolean {
  if (mode.type !== "replicated" || !rollout || rollout.retiring > 0) return false;
  return counts.running >= counts.wanted;
}
