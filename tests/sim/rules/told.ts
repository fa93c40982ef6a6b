/**
 * What nodes report is in the log, since all who follow it (replicas, watchers, audits) hear of tasks by
 * it alone: once no wake-up of a task waits, the log has told the state and the attempt that its node
 * reported last, and whether it is ready.
 *
 * @module
 */
import type { Rule, RuleContext } from "../checker.ts";
import type { ObservedRow } from "../facts.ts";

/** What a report says of a task that concerns others. */
interface Report {
  /** Its attempt and state, as `2/running`. */
  place: string;
  ready: boolean;
}

/** What was heard of a task, by its node and by the log. */
interface Hearsay {
  /** What its node reported since the log last told of it, the newest last. */
  reports: Report[];
  /** What the log last told: a record of a state does not say which of the values then it was. */
  told: Report[];
}

interface EventRow {
  type: string;
  taskId?: string;
  state?: string;
  attempt?: number;
  why?: string;
}

export function told({ facts, broken }: RuleContext): Rule {
  const tasks = new Map<string, Hearsay>();
  /** How many wake-ups of each task wait. */
  const waiting = new Map<string, number>();
  const of = (taskId: string): Hearsay => {
    const known = tasks.get(taskId);
    if (known) return known;
    const fresh: Hearsay = { reports: [], told: [] };
    tasks.set(taskId, fresh);
    return fresh;
  };

  function hear(event: EventRow): void {
    if (event.type !== "task.ready" && (event.type !== "task.state" || !event.attempt)) return;
    const heard = of(event.taskId ?? "");
    const { reports } = heard;
    if (event.type === "task.ready") {
      const ready = event.why === "ready";
      const places = new Set([...reports, ...heard.told].map(({ place }) => place));
      heard.told = [...places].map((place) => ({ place, ready }));
    } else {
      const place = `${event.attempt}/${event.state}`;
      // Told again by a new leader, it was told with a value that was there all the time.
      heard.told = [...reports, ...heard.told].filter((one) => one.place === place);
    }
    heard.reports = reports.slice(-1);
  }

  function check(taskId: string): void {
    const task = facts.task(taskId);
    const heard = tasks.get(taskId);
    const last = heard?.reports.at(-1);
    // What the leader itself has ended it tells as its own doing.
    if (!task || task.ended !== undefined || !heard || !last) return;
    if (heard.told.some((one) => same(one, last))) return;
    const { place, ready } = last;
    broken(`task ${taskId} is ${place}${ready ? ", ready" : ""}, and the log does not say so`);
  }

  function noteWakeUp(before: unknown, after: unknown): string | undefined {
    const { kind, id } = (after ?? before) as { kind: string; id: string };
    if (kind !== "task") return undefined;
    const left = (waiting.get(id) ?? 0) + Number(after !== undefined) -
      Number(before !== undefined);
    if (left === 0) waiting.delete(id);
    else waiting.set(id, left);
    return id;
  }

  return {
    commit({ changes }) {
      const touched = new Set<string>();
      const events: EventRow[] = [];
      for (const { key: [kind, id], before, after } of changes) {
        if (kind === "observed" && after !== undefined) {
          const { reports } = of(String(id));
          const report = reportOf(after as ObservedRow);
          if (!same(reports.at(-1), report)) reports.push(report);
          touched.add(String(id));
        } else if (kind === "task" && after === undefined) tasks.delete(String(id));
        else if (kind === "queue") {
          const taskId = noteWakeUp(before, after);
          if (taskId !== undefined) touched.add(taskId);
        } else if (kind === "log" && after !== undefined) {
          events.push(...(after as { events: EventRow[] }).events);
        }
      }
      for (const event of events) hear(event);
      for (const taskId of touched) if (!waiting.has(taskId)) check(taskId);
    },
  };
}

function same(a: Report | undefined, b: Report): boolean {
  return a?.place === b.place && a.ready === b.ready;
}

/** It runs, nothing says that it is ill, and what was to say that it is well has said so. */
function reportOf({ attempt, state, health, ready }: ObservedRow): Report {
  const well = health !== "unhealthy" && (ready ?? health !== "starting");
  return { place: `${attempt}/${state}`, ready: state === "running" && well };
}
