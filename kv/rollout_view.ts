/**
 * How far a rollout has come: counted from the tasks, beside what the leader remembers.
 *
 * @module
 */
import { goalOf, type Rollout, type RolloutView } from "./schema/rollout.ts";
import type { Service } from "./schema/service.ts";
import { isTerminal } from "./schema/task_state.ts";
import type { TaskSummary } from "./schema/tasks_known.ts";

/** Undefined for services that are not replicated. */
export function rolloutView(
  service: Pick<Service, "mode" | "revision">,
  rollout: Rollout | undefined,
  tasks: readonly TaskSummary[],
): RolloutView | undefined {
  if (service.mode.type !== "replicated") return undefined;
  const { replicas } = service.mode;
  const goal = goalOf(service, rollout);
  const live = tasks.filter(({ state }) => !isTerminal(state));
  const updated = new Set(
    live.filter((task) =>
      task.revision === goal && task.desired === "run" && task.ready && task.slot <= replicas
    ).map(({ slot }) => slot),
  );
  const retiring = live.filter((task) => task.revision !== goal).length;
  const counts = { updated: updated.size, total: replicas, retiring };
  if (rollout?.revision === service.revision) {
    const { revision, stable, state, why, at: since } = rollout;
    return { revision, goal, stable, state, ...counts, since, ...(why ? { why } : {}) };
  }
  // The leader remembers nothing of a first revision, and has not seen a newer one yet.
  const stable = rollout ? rollout.state === "done" ? rollout.revision : rollout.stable : goal;
  const state = retiring > 0 || rollout ? "progressing" as const : "done" as const;
  return { revision: service.revision, goal, stable, state, ...counts };
}
