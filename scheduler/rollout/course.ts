/**
 * A service's rollout, from its rows to what this plan does about it.
 *
 * @module
 */
import { type Draft, emit, stop, wake } from "../draft.ts";
import type { Policy } from "../policy.ts";
import { serves } from "../serving.ts";
import { ascending } from "../slots.ts";
import type { ServiceRecord, TaskRecord } from "../world.ts";
import { begin, hasOutdated, heed, judge, type Steer, type Transition } from "./judge.ts";
import { type Course, idleSlots, release, roomOf, unchangedSlots } from "./moves.ts";
import { paceOf } from "./pace.ts";
import { leavingSlots, preferred, surveySlots } from "./survey.ts";

/**
 * `rest`: there is nothing to roll out. `again`: the goal changes, and with it all that this plan knows
 * of the slots; the service is planned again once that is applied.
 */
export type Plotted = { kind: "rest" } | { kind: "again" } | { kind: "course"; course: Course };

/** Judges the service's rollout, and emits what the leader is to remember of it. */
export function plotCourse(draft: Draft, record: ServiceRecord, policy: Policy): Plotted {
  const { service } = record;
  // A global service goes node by node (rollout.ts): it has no number of slots to count.
  if (service.mode.type !== "replicated") return { kind: "rest" };
  if (!policy.rolls || service.stopped || service.deleting) return { kind: "rest" };
  const started = begin(record, policy.wanted);
  if (started) {
    if (!remember(draft, record, started)) return { kind: "again" };
    draft.unfinished.add(service.id);
  }
  const row: Steer | undefined = started?.row ?? record.rollout;
  if (!row || isAtRest(record, policy, row)) return { kind: "rest" };
  const sinceMs = started ? draft.nowMs : record.rolloutSinceMs;
  const pace = paceOf(service, row);
  const slots = surveySlots(record, policy, { monitorMs: pace.monitorMs, sinceMs });
  const leaving = leavingSlots(record, policy);
  const course: Course = { goal: record.goal, row, pace, slots, leaving, sinceMs };
  if (started) return { kind: "course", course };
  const asked = heed(record, row);
  const verdict = asked ? undefined : judge(record, row, pace, { ...course, nowMs: draft.nowMs });
  if (verdict && verdict.againAtMs < Infinity) wake(draft, service.id, verdict.againAtMs);
  const transition = asked ?? verdict?.transition;
  if (!transition) return { kind: "course", course };
  if (remember(draft, record, transition)) draft.unfinished.add(service.id);
  return { kind: "again" };
}

function isAtRest(record: ServiceRecord, { wanted }: Policy, { state }: Steer): boolean {
  return (state === "done" || state === "rolled-back") && !hasOutdated(record, wanted);
}

function remember(draft: Draft, record: ServiceRecord, { row, event }: Transition): boolean {
  return emit(draft, record, { kind: "rollout", serviceId: record.service.id, row, event });
}

/** Where a slot has several tasks that shall run: stops those that are too many. One put aside is none of them. */
export function stopSurplus(draft: Draft, record: ServiceRecord, course: Course): void {
  for (const slot of ascending(record.slots.crowded)) {
    const survey = course.slots[slot - 1];
    if (!survey) continue;
    const goals = (record.live.get(slot) ?? []).filter(({ task }) =>
      task.desired === "run" && task.revision === course.goal && !task.disconnected
    ).sort(preferred);
    const keep = survey.goal && !course.pace.startFirst && survey.others.length > 0
      ? keepOne(survey.goal, survey.others)
      : undefined;
    if (keep) {
      for (const task of [...goals, ...survey.others]) {
        if (task !== keep && !stopDouble(draft, record, task)) return;
      }
      continue;
    }
    const spare = survey.goal
      ? [...goals.slice(1), ...survey.others.slice(1)]
      : survey.others.slice(1);
    for (const task of spare) if (!stopDouble(draft, record, task)) return;
    const [old] = survey.others;
    if (!survey.goal || !old) continue;
    const due = release(course, survey, draft.nowMs);
    if (due.kind === "wait") {
      if (due.atMs < Infinity) wake(draft, record.service.id, due.atMs);
    } else if (!stop(draft, record, old.task.id, due.why)) return;
  }
}

/** Stopping first, a slot has one task: the old one while it alone serves, or else the new one. */
function keepOne(goal: TaskRecord, others: readonly TaskRecord[]): TaskRecord {
  const [old] = others;
  if (!old) return goal;
  return serves(old) && !serves(goal) ? old : goal;
}

function stopDouble(draft: Draft, record: ServiceRecord, { task }: TaskRecord): boolean {
  return stop(draft, record, task.id, "another task runs in its slot");
}

/** Stops old tasks that serve nobody. */
export function stopIdleOld(draft: Draft, record: ServiceRecord, course: Course): void {
  for (const { others } of idleSlots(course, draft.nowMs)) {
    for (const { task } of others) {
      if (!stop(draft, record, task.id, `replaced by revision ${course.goal}`)) return;
    }
  }
}

/** Slots that may get a task of the goal beside the old one, and how many of them. */
export interface Surge {
  slots: readonly number[];
  places: number;
}

const NO_SURGE: Surge = { slots: [], places: 0 };

export function surge(draft: Draft, record: ServiceRecord, course: Course): Surge {
  if (!course.pace.startFirst) return NO_SURGE;
  const { places, freeAtMs } = roomOf(course, draft.nowMs);
  if (freeAtMs < Infinity) wake(draft, record.service.id, freeAtMs);
  if (places === 0) return NO_SURGE;
  return { slots: unchangedSlots(course).map(({ slot }) => slot), places };
}

/** Stops old tasks that serve, as many as may be missing at a time. */
export function stopOld(draft: Draft, record: ServiceRecord, course: Course): void {
  if (course.pace.startFirst) return;
  const { places, freeAtMs } = roomOf(course, draft.nowMs);
  if (freeAtMs < Infinity) wake(draft, record.service.id, freeAtMs);
  if (draft.disturbed.has(record.service.id) || places === 0) return;
  for (const { others } of unchangedSlots(course).slice(0, places)) {
    for (const { task } of others) {
      if (!stop(draft, record, task.id, `replaced by revision ${course.goal}`)) return;
    }
  }
}
