/**
 * Where each wanted slot of a service stands on its way to the goal revision. Derived from the tasks
 * alone, so that a new leader finds the same. Tasks that were put aside (loss.ts) do not count. Pure.
 *
 * @module
 */
import type { Policy } from "../policy.ts";
import { serves } from "../serving.ts";
import type { ServiceRecord, TaskRecord } from "../world.ts";

export interface SlotSurvey {
  slot: number;
  /** Its live task of the goal revision that shall run; the best one, should there be several. */
  goal?: TaskRecord;
  /** Monotonic ms since which `goal` serves; undefined while it does not. */
  servingSinceMs?: number;
  /** Its live tasks of other revisions that shall run. */
  others: TaskRecord[];
  /** One of the others serves. */
  othersServe: boolean;
  /** A task in it is on its way out. */
  stopping: boolean;
  /** It is one of the goal revision: for as long as it lives the slot counts as changed. */
  goalStopping: boolean;
  /** A task of the goal revision broke within the monitor window, since the rollout began. */
  failed: boolean;
  /** No task shall run, and the newest one had the goal: the slot has been changed before. */
  visited: boolean;
  /** The newest task ended, had the goal, and is not to be replaced. */
  over: boolean;
}

/** One pass over the wanted slots, in ascending order. */
export function surveySlots(
  record: ServiceRecord,
  policy: Policy,
  options: { monitorMs: number; sinceMs: number },
): SlotSurvey[] {
  return Array.from(
    { length: policy.wanted },
    (_, i) => surveySlot(record, policy, i + 1, options),
  );
}

/** How many slots are wanted no more, and have a task of the goal revision that still lives. */
export function leavingSlots({ goal, live }: ServiceRecord, { wanted }: Policy): number {
  let leaving = 0;
  for (const [slot, tasks] of live) {
    if (slot > wanted && tasks.some(({ task }) => task.revision === goal)) leaving++;
  }
  return leaving;
}

function surveySlot(
  { goal, live, ended }: ServiceRecord,
  policy: Policy,
  slot: number,
  { monitorMs, sinceMs }: { monitorMs: number; sinceMs: number },
): SlotSurvey {
  const past = ended.get(slot) ?? [];
  const here = (live.get(slot) ?? []).filter(({ task }) => !task.disconnected);
  const running = here.filter(({ task }) => task.desired === "run");
  const [best] = running.filter(({ task }) => task.revision === goal).sort(preferred);
  const others = running.filter(({ task }) => task.revision !== goal).sort(preferred);
  const broke = ({ task, brokeAtMs, brokeAfterMs }: TaskRecord) =>
    task.revision === goal && brokeAtMs !== undefined && brokeAtMs > sinceMs &&
    (brokeAfterMs ?? 0) <= monitorMs;
  const leaving = here.filter(({ task }) => task.desired !== "run").sort(older).at(-1);
  const newest = leaving ?? past.at(-1);
  const visited = running.length === 0 && newest?.task.revision === goal;
  return {
    slot,
    ...(best ? { goal: best } : {}),
    ...(best && serves(best) ? { servingSinceMs: best.servingSinceMs ?? 0 } : {}),
    others,
    othersServe: others.some(serves),
    stopping: running.length < here.length,
    goalStopping: here.some(({ task }) => task.revision === goal && task.desired === "stop"),
    failed: here.some(broke) || past.some(broke),
    visited,
    over: visited && here.length === 0 && newest !== undefined && policy.fate(newest) === undefined,
  };
}

function older(a: TaskRecord, b: TaskRecord): number {
  return a.task.id < b.task.id ? -1 : 1;
}

/** The one that serves, then the one that has come further, then the oldest. */
export function preferred(a: TaskRecord, b: TaskRecord): number {
  return Number(serves(b)) - Number(serves(a)) || progress(b) - progress(a) ||
    older(a, b);
}

function progress({ state }: TaskRecord): number {
  return state === "running" ? 2 : state === "pending" ? 0 : 1;
}
