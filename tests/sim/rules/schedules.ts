/**
 * Schedules are kept: once nothing goes wrong any more, what is due is run or skipped.
 *
 * @module
 */
import type { Facts } from "../facts.ts";

/** A leader comes to what is due within so long. */
const LATE_MS = 7_000;

/** The cron services of which nothing was taken up lately. `wallMs` is the clock of the leaders. */
export function lapsed(facts: Facts, wallMs: number): string[] {
  return facts.services().flatMap(({ id, name, mode, stopped, deleting, updatedAt }) => {
    if (mode.type !== "cron" || stopped || deleting) return [];
    const periodMs = Number(/^\*\/(\d+) /.exec(mode.schedule)?.[1]) * 1000;
    const dueMs = wallMs - periodMs - LATE_MS;
    // It was changed just now, or by a clock that was ahead.
    if (Date.parse(updatedAt) > dueMs) return [];
    const cursor = facts.rows("run_cursor").get(id) as { lastScheduledAt?: string } | undefined;
    const lastMs = Date.parse(cursor?.lastScheduledAt ?? "");
    return lastMs >= dueMs ? [] : [`${name} was last run for ${cursor?.lastScheduledAt}`];
  });
}
