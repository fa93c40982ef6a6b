/**
 * Schedules in cron's notation: five or six fields (seconds first), or `@daily` and its like, in a time
 * zone. Pure: the time is passed in.
 *
 * Where clocks are put forward, a time that does not exist is taken at the end of the gap; where they are
 * put back, a fixed time that comes twice counts once (the first), while `*` goes on through both.
 *
 * @module
 */
import { Cron } from "croner";

export interface Schedule {
  schedule: string;
  timeZone: string;
}

const FIELDS = /^(@(yearly|annually|monthly|weekly|daily|midnight|hourly)|\S+( +\S+){4,5})$/i;

/** What is wrong with a schedule, as a phrase that starts with "must"; undefined when nothing is. */
export function scheduleProblem(schedule: string): string | undefined {
  if (!FIELDS.test(schedule)) {
    return "must have five fields, or six with seconds first, or be @hourly, @daily, @weekly, …";
  }
  try {
    cronOf({ schedule, timeZone: "UTC" });
    return undefined;
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error);
    return `must be a schedule: ${said.replace(/^\w+: /, "")}`;
  }
}

/** Time zones that were found to be one: asking costs more than the rest of reading a service. */
const known = new Set<string>();

/** Whether this is a time zone's name, like `Europe/Berlin`. */
export function isTimeZone(name: string): boolean {
  if (known.has(name)) return true;
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
    known.add(name);
    return true;
  } catch {
    return false;
  }
}

/** The first time of the schedule after `afterMs`; undefined when there is none. In Unix ms. */
export function nextTime(schedule: Schedule, afterMs: number): number | undefined {
  return cronOf(schedule).nextRun(new Date(afterMs))?.getTime();
}

/** The last time of the schedule after `afterMs` and not after `untilMs`, if there is one. */
export function lastTime(
  schedule: Schedule,
  { afterMs, untilMs }: { afterMs: number; untilMs: number },
): number | undefined {
  const [last] = cronOf(schedule).previousRuns(1, new Date(untilMs + 1));
  const lastMs = last?.getTime();
  return lastMs !== undefined && lastMs > afterMs && lastMs <= untilMs ? lastMs : undefined;
}

/** Schedules that were read, by time zone and text: each look at a cron service asks for its own again. */
const crons = new Map<string, Cron>();
const MAX_CRONS = 1000;

function cronOf({ schedule, timeZone }: Schedule): Cron {
  const name = `${timeZone} ${schedule}`;
  let cron = crons.get(name);
  if (!cron) {
    cron = new Cron(schedule, { timezone: timeZone, paused: true });
    if (crons.size >= MAX_CRONS) crons.clear();
    crons.set(name, cron);
  }
  return cron;
}
