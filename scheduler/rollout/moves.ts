/**
 * Which slots change next. Pure.
 *
 * 1. Stopping first, a task that serves is stopped only while fewer slots than `parallelism` are without
 *    one that serves (or have one that is too new): what serves never falls below the wanted number less
 *    `parallelism`, failures that are tolerated aside.
 * 2. Starting first, a task that serves is stopped only once its successor in the slot serves, and for
 *    `drainMs` clients could turn to that.
 * 3. Going back is starting first, whatever the order is. Tasks of the failed revision that do not serve
 *    make way at once.
 * 4. Before a canary is promoted, no more slots than `canary` have the new revision. What becomes vacant
 *    beyond them, or while a rollout pauses, is filled with the stable revision.
 *
 * @module
 */
import type { Steer } from "./judge.ts";
import type { Pace } from "./pace.ts";
import type { SlotSurvey } from "./survey.ts";

/** A rollout in the plan that is being made. */
export interface Course {
  goal: number;
  row: Steer;
  pace: Pace;
  slots: SlotSurvey[];
  /** Slots that are wanted no more, in which a task of the goal revision still lives. */
  leaving: number;
  /** Monotonic ms of the last transition. */
  sinceMs: number;
}

export interface Room {
  /** How many more slots may begin to change. */
  places: number;
  /** Monotonic ms at which a place becomes free by time alone. */
  freeAtMs: number;
}

/** What `parallelism`, the delay and the canary's limit leave: invariants 1 and 4. */
export function roomOf({ pace, slots, leaving }: Course, nowMs: number): Room {
  let busy = 0;
  let taken = leaving;
  let freeAtMs = Infinity;
  for (const slot of slots) {
    if (isChanged(slot) || isEmpty(slot)) taken++;
    if (slot.failed || slot.over) continue;
    if (slot.servingSinceMs !== undefined) {
      const freeMs = slot.servingSinceMs + pace.delayMs;
      if (freeMs <= nowMs) continue;
      busy++;
      freeAtMs = Math.min(freeAtMs, freeMs);
    } else if (slot.goal || isEmpty(slot)) busy++;
    else if (!slot.othersServe && pace.limit === Infinity) busy++;
  }
  if (!pace.moving) return { places: 0, freeAtMs: Infinity };
  const places = Math.max(0, Math.min(pace.parallelism - busy, pace.limit - taken));
  return { places, freeAtMs };
}

/** It has the goal revision, or had it last: what a canary's limit counts. */
function isChanged({ goal, visited, goalStopping }: SlotSurvey): boolean {
  return goal !== undefined || visited || goalStopping;
}

/** Nothing in it shall run, though it is not finished. */
function isEmpty({ goal, others, over }: SlotSurvey): boolean {
  return !goal && others.length === 0 && !over;
}

/** Slots whose old task serves alone: none is new, and none on its way out. In ascending order. */
export function unchangedSlots({ slots }: Course): SlotSurvey[] {
  return slots.filter(({ goal, others, othersServe, stopping }) =>
    !goal && othersServe && others.length === 1 && !stopping
  );
}

/** Slots whose old tasks serve nobody and are not waited for: invariant 3 of rollout.ts. */
export function idleSlots(course: Course, nowMs: number): SlotSurvey[] {
  if (!course.pace.moving) return [];
  const idle = course.slots.filter((slot) => slot.others.length > 0 && !slot.othersServe);
  if (course.pace.limit === Infinity) return idle;
  return idle.filter((slot) => !slot.goal).slice(0, roomOf(course, nowMs).places);
}

/** The revision for a slot in which nothing lives: invariant 4. */
export function revisionFor(course: Course, slot: number): number {
  const { goal, row, pace, slots, leaving } = course;
  if (row.back || row.state === "done") return goal;
  const survey = slots[slot - 1];
  const { visited = false, over = false, goalStopping = false } = survey ?? {};
  if (over || (visited && goalStopping)) return goal;
  if (!pace.moving && !visited) return row.stable;
  if (pace.limit === Infinity) return goal;
  // Where the goal only was, it comes back before it comes to other slots; in how many it was is not bounded.
  let taken = leaving;
  for (const other of slots) {
    const isBefore = other.slot < slot;
    if (other.goal || other.goalStopping || other.over) taken++;
    else if (other.visited ? !visited || isBefore : !visited && isEmpty(other) && isBefore) taken++;
  }
  return taken < pace.limit ? goal : row.stable;
}

export type Release = { kind: "stop"; why: string } | { kind: "wait"; atMs: number };

/** Whether the old tasks of a slot with both may go: invariant 2. */
export function release(course: Course, slot: SlotSurvey, nowMs: number): Release {
  const { pace, sinceMs, goal } = course;
  if (slot.servingSinceMs === undefined || pace.held) return { kind: "wait", atMs: Infinity };
  const turnedAtMs = course.row.promoted ? sinceMs : 0;
  const atMs = Math.max(slot.servingSinceMs, turnedAtMs) + pace.drainMs;
  return atMs > nowMs
    ? { kind: "wait", atMs }
    : { kind: "stop", why: `replaced by revision ${goal}` };
}
