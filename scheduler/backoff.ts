/**
 * When the leader replaces a task that ended, and how it counts failures. The agent restarts in place
 * first; a task ends only when that was given up.
 *
 * @module
 */
import type { TaskRecord } from "./world.ts";

export const BACKOFF = {
  /** Delay after the first failure; doubles with each further one in a row. */
  firstMs: 1000,
  capMs: 60_000,
  /** A task that ran this long is replaced at once when it fails for the first time. */
  briefMs: 10_000,
  /** A task that ran this long has made up for the failures before it. */
  steadyMs: 300_000,
} as const;

/** How to replace a task: the new task's `failures`, and the monotonic ms before which to wait. */
export interface Restart {
  failures: number;
  atMs: number;
}

/** Replaces a task that broke (or, to run for ever, came to an end): with growing delays. */
export function afterFailure(ended: TaskRecord, options: { forgive: boolean }): Restart {
  const ranMs = ended.observed?.ranMs ?? 0;
  const forgiven = options.forgive && ranMs >= BACKOFF.steadyMs;
  const failures = (forgiven ? 0 : ended.task.failures) + 1;
  const delayMs = failures === 1 && ranMs >= BACKOFF.briefMs ? 0 : delayOf(failures);
  return { failures, atMs: endOf(ended) + delayMs };
}

/** Replaces a task that ended for no fault of its own. */
export function atOnce(ended: TaskRecord): Restart {
  return { failures: ended.task.failures, atMs: endOf(ended) };
}

/** Replaces a task that something else than the leader stopped: not in a hot loop. */
export function afterInterruption(ended: TaskRecord): Restart {
  return { failures: ended.task.failures, atMs: endOf(ended) + BACKOFF.firstMs };
}

function delayOf(failures: number): number {
  return Math.min(BACKOFF.capMs, BACKOFF.firstMs * 2 ** (failures - 1));
}

function endOf(ended: TaskRecord): number {
  return ended.endedAtMs ?? 0;
}
