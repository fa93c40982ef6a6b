/**
 * When a task does what it is there for. The one predicate that rollouts go by.
 *
 * @module
 */
import { isReady } from "../kv/schema/task.ts";
import type { TaskRecord } from "./world.ts";

/** Whether clients may be sent to the task. */
export function serves({ state, observed }: Pick<TaskRecord, "state" | "observed">): boolean {
  return isReady(state, observed);
}

/**
 * Notes since when a task serves, and when it first broke: it ended by itself, or was started again.
 * A restart that happened before this leader looked is not held against the task.
 */
export function noteTrial(
  record: TaskRecord,
  before: TaskRecord | undefined,
  nowMs: number,
): void {
  const restarted = before !== undefined &&
    (record.observed?.attempt ?? 1) > (before.observed?.attempt ?? 1);
  if (serves(record)) {
    const known = restarted ? undefined : before?.servingSinceMs;
    record.servingSinceMs = known ?? nowMs;
  }
  if (before?.brokeAtMs !== undefined && before.brokeAfterMs !== undefined) {
    record.brokeAtMs = before.brokeAtMs;
    record.brokeAfterMs = before.brokeAfterMs;
  } else if (restarted || brokeDown(record)) {
    const servedMs = before?.servingSinceMs === undefined
      ? undefined
      : nowMs - before.servingSinceMs;
    record.brokeAtMs = nowMs;
    record.brokeAfterMs = servedMs ?? record.observed?.ranMs ?? 0;
  }
}

/** It ended by itself, though it was to run; a node that was lost is not its fault. */
function brokeDown({ task, state }: TaskRecord): boolean {
  if (task.desired === "stop") return false;
  return state === "failed" || state === "rejected" || state === "succeeded";
}
