/**
 * Deadlines of jobs and runs. How long one goes on is measured by the leader's monotonic clock and saved
 * as a duration, at the start, with every tenth of the deadline, and when it is over. A new leader goes on
 * from what was saved: time in which nobody led does not count, and a change of leader makes a deadline
 * later by a tenth at the most, never earlier.
 *
 * @module
 */
import { type Draft, emit, wake } from "../draft.ts";
import type { ServiceRecord } from "../world.ts";

/** At most one save a second. */
const MIN_STEP_MS = 1000;
const STEPS = 10;

export interface Timed {
  /** 0: the whole job. */
  slot: number;
  /** Another revision starts anew. */
  revision: number;
  deadlineMs: number;
}

/** Whether it is known to have taken too long. */
export function isOverdue(record: ServiceRecord, timed: Timed): boolean {
  const watch = record.elapsed.get(timed.slot);
  return watch?.revision === timed.revision && watch.elapsedMs >= timed.deadlineMs;
}

/** Keeps the time of something that goes on; true once its deadline has passed. */
export function keepTime(draft: Draft, record: ServiceRecord, timed: Timed): boolean {
  if (isOverdue(record, timed)) return true;
  const { slot, revision, deadlineMs } = timed;
  const serviceId = record.service.id;
  const found = record.elapsed.get(slot);
  const watch = found?.revision === revision ? found : undefined;
  const startedAtMs = watch?.startedAtMs ?? draft.nowMs;
  const elapsedMs = draft.nowMs - startedAtMs;
  const stepMs = Math.max(MIN_STEP_MS, deadlineMs / STEPS);
  const over = elapsedMs >= deadlineMs;
  const save = !watch || over || elapsedMs >= watch.elapsedMs + stepMs;
  if (save) {
    const action = { kind: "elapsed", serviceId, slot, revision, elapsedMs, startedAtMs } as const;
    emit(draft, record, action);
  }
  const savedMs = save ? elapsedMs : watch?.elapsedMs ?? 0;
  if (!over) wake(draft, serviceId, startedAtMs + Math.min(deadlineMs, savedMs + stepMs));
  return over;
}
