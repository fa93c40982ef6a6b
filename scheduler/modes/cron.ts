/**
 * Which time of a schedule is due. A time is run once at the most, whatever the wall clock does: the
 * cursor remembers the last one that was run or skipped, and only later ones count. After the clock was
 * put back nothing runs until it has passed the cursor again; after it jumped ahead, what lies between
 * counts as missed.
 *
 * @module
 */
import type { CronMode } from "../../kv/schema/run.ts";
import { lastTime, nextTime } from "../../kv/schema/schedule.ts";
import { type Draft, wake } from "../draft.ts";
import type { ServiceRecord } from "../world.ts";

/** A run that the leader comes to within this time is late, not missed: a change of leader takes less. */
export const LATE_MS = 10_000;
/** The wall clock may jump: it is looked at this often, though the next time is far. */
const CHECK_MS = 5_000;

/**
 * The newest time that is due, in Unix ms, and a wake for the next one. Times before the last change of
 * the service do not count, and so neither do those that passed while it was stopped.
 */
export function dueTime(draft: Draft, record: ServiceRecord, mode: CronMode): number | undefined {
  const { wallMs } = draft.options;
  const { service, cursor } = record;
  if (wallMs === undefined || service.stopped || service.deleting) return undefined;
  const lastMs = cursor?.lastScheduledAt === undefined ? 0 : Date.parse(cursor.lastScheduledAt);
  const afterMs = Math.max(lastMs, Date.parse(service.updatedAt));
  const nextMs = nextTime(mode, Math.max(wallMs, afterMs)) ?? Infinity;
  wake(draft, service.id, draft.nowMs + Math.min(CHECK_MS, nextMs - wallMs));
  const windowMs = Math.max(LATE_MS, mode.catchUpMs);
  return lastTime(mode, { afterMs: Math.max(afterMs, wallMs - windowMs - 1), untilMs: wallMs });
}
