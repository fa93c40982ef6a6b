/**
 * Whether a rollout goes on: from what it was, what users ask, and where the slots stand, to what it is
 * next. Pure.
 *
 * 1. At most one transition a plan; what follows from it is left to the plan after.
 * 2. Failures, the progress deadline and the monitor windows count from the last transition that this
 *    leader made or read: a new leader begins them afresh.
 * 3. A rollback needs a revision to go back to; without one the rollout pauses.
 *
 * @module
 */
import type { Rollout } from "../../kv/schema/rollout.ts";
import type { RolloutEvent } from "../action.ts";
import type { ServiceRecord } from "../world.ts";
import type { Pace } from "./pace.ts";
import type { SlotSurvey } from "./survey.ts";

/** The row without its stamp. */
export type Steer = Omit<Rollout, "at">;

export interface Transition {
  row: Steer;
  event: RolloutEvent;
}

/** The row for a new goal, when there is something to replace or to close; else undefined. */
export function begin(record: ServiceRecord, wanted: number): Transition | undefined {
  const { service, rollout } = record;
  const { revision } = service;
  if (rollout?.revision === revision) return undefined;
  const outdated = hasOutdated(record, wanted);
  if (!rollout && !outdated) return undefined;
  const handled = rollout?.handled === undefined ? {} : { handled: rollout.handled };
  const base = { revision, back: false, promoted: false, ...handled };
  const undone = isUndone(record);
  const stable = stableOf(record);
  const previous = undone || stable === revision ? {} : { previous: stable };
  if (!outdated) {
    const row = { ...base, ...previous, state: "done" as const, stable: revision };
    return { row, event: "rollout.finished" };
  }
  if (undone) {
    const why = `asked to go back to revision ${revision}`;
    const row = { ...base, state: "rolling-back" as const, stable: revision, back: true, why };
    return { row, event: "rollout.rolling-back" };
  }
  const why = `revision ${revision} replaces revision ${stable}`;
  const row = { ...base, ...previous, state: "progressing" as const, stable, why };
  return { row, event: "rollout.started" };
}

/** Some wanted slot has a live task of another revision than the goal. */
export function hasOutdated({ slots }: ServiceRecord, wanted: number): boolean {
  for (const slot of slots.outdated) if (slot <= wanted) return true;
  return false;
}

/** A later revision is known: users went back to this one. */
function isUndone({ service, templates }: ServiceRecord): boolean {
  for (const revision of templates.keys()) if (revision > service.revision) return true;
  return false;
}

/** The last revision that was rolled out whole; without a memory of it, that of most live tasks. */
function stableOf({ service, rollout, live, templates }: ServiceRecord): number {
  if (rollout) {
    const known = rollout.state === "done" ? rollout.revision : rollout.stable;
    if (templates.has(known)) return known;
  }
  const counts = new Map<number, number>();
  for (const tasks of live.values()) {
    for (const { task } of tasks) {
      if (task.desired !== "run" || task.revision === service.revision) continue;
      counts.set(task.revision, (counts.get(task.revision) ?? 0) + 1);
    }
  }
  const [most] = [...counts].sort((a, b) => b[1] - a[1] || b[0] - a[0]);
  return most?.[0] ?? service.revision;
}

/** What users ask that was not heeded yet. */
export function heed(record: ServiceRecord, row: Steer): Transition | undefined {
  const { request, service } = record;
  if (!request || request.id === row.handled || request.revision !== service.revision) {
    return undefined;
  }
  const { why: _, ...rest } = row;
  const heeded = { ...rest, handled: request.id };
  const onward = row.back ? "rolling-back" as const : "progressing" as const;
  const over = row.state === "done" || row.state === "rolled-back";
  if (over) return undefined;
  switch (request.want) {
    case "pause":
      return {
        row: { ...heeded, state: "paused", why: "asked to pause" },
        event: "rollout.paused",
      };
    case "run":
      return { row: { ...heeded, state: onward }, event: "rollout.resumed" };
    case "promote":
      return { row: { ...heeded, state: onward, promoted: true }, event: "rollout.promoted" };
  }
}

export interface Verdict {
  transition?: Transition;
  /** Monotonic ms at which to judge again, unless something happens before. */
  againAtMs: number;
}

/** What failures, time and completion make of a rollout that is under way. */
export function judge(
  record: ServiceRecord,
  row: Steer,
  pace: Pace,
  scene: { slots: readonly SlotSurvey[]; nowMs: number; sinceMs: number },
): Verdict {
  const { slots, nowMs, sinceMs } = scene;
  if (!pace.moving || row.state === "done" || row.state === "rolled-back") {
    return { againAtMs: Infinity };
  }
  const failed = slots.filter((slot) => slot.failed);
  if (failed.length > pace.maxFailureRatio * slots.length) {
    const act = onFailure(record, row, pace, failureText(record, slots.length, failed));
    if (act) return { transition: act, againAtMs: Infinity };
  }
  const good = countGood(slots, pace, nowMs);
  const reached = completion(row, pace, { total: slots.length, ...good });
  if (reached) return { transition: reached, againAtMs: Infinity };
  if (row.state === "waiting-promote") return { againAtMs: good.nextAtMs };
  const dueMs = lastProgress(slots, sinceMs) + pace.delayMs + pace.deadlineMs;
  const allServe = slots.every((slot) => slot.servingSinceMs !== undefined || slot.over);
  if (allServe) return { againAtMs: good.nextAtMs };
  if (nowMs < dueMs) return { againAtMs: Math.min(good.nextAtMs, dueMs) };
  const why = `no progress for ${seconds(pace.deadlineMs)}`;
  const act = onFailure(record, row, pace, why);
  return { ...(act ? { transition: act } : {}), againAtMs: good.nextAtMs };
}

/** What `failureAction` asks for; undefined: to go on. */
function onFailure(
  { templates }: ServiceRecord,
  row: Steer,
  pace: Pace,
  why: string,
): Transition | undefined {
  if (pace.failureAction === "continue") return undefined;
  if (row.back) {
    return { row: { ...row, state: "failed", why: `rollback: ${why}` }, event: "rollout.failed" };
  }
  const canGoBack = row.stable !== row.revision && templates.has(row.stable); // Invariant 3.
  if (pace.failureAction === "rollback" && canGoBack) {
    const back = { ...row, state: "rolling-back" as const, back: true, why };
    return { row: back, event: "rollout.rolling-back" };
  }
  const more = pace.failureAction === "rollback" ? "; there is nothing to roll back to" : "";
  return { row: { ...row, state: "paused", why: why + more }, event: "rollout.paused" };
}

interface Good {
  /** Slots whose goal task served through the monitor window. */
  good: number;
  /** Of these (and those that are over), slots without tasks of other revisions. */
  clean: number;
  /** When the next of them may be good. */
  nextAtMs: number;
}

function countGood(slots: readonly SlotSurvey[], pace: Pace, nowMs: number): Good {
  let good = 0;
  let clean = 0;
  let nextAtMs = Infinity;
  for (const { servingSinceMs, others, over } of slots) {
    const atMs = over ? nowMs : (servingSinceMs ?? Infinity) + pace.monitorMs;
    if (atMs > nowMs) nextAtMs = Math.min(nextAtMs, atMs);
    else {
      good++;
      if (others.length === 0) clean++;
    }
  }
  return { good, clean, nextAtMs };
}

function completion(
  row: Steer,
  pace: Pace,
  { total, good, clean }: Good & { total: number },
): Transition | undefined {
  if (pace.limit < Infinity || pace.held) {
    if (row.state === "waiting-promote" || good < Math.min(pace.limit, total)) return undefined;
    const why = pace.held
      ? `all ${total} tasks of revision ${row.revision} serve beside the old ones`
      : `${good} of ${total} slots have revision ${row.revision}`;
    if (pace.held && pace.turnsOver) {
      return { row: { ...row, promoted: true, why }, event: "rollout.promoted" };
    }
    return { row: { ...row, state: "waiting-promote", why }, event: "rollout.waiting" };
  }
  if (clean < total) return undefined;
  if (row.back) return { row: { ...row, state: "rolled-back" }, event: "rollout.rolled-back" };
  const { why: _, ...rest } = row;
  return { row: { ...rest, state: "done", stable: row.revision }, event: "rollout.finished" };
}

function lastProgress(slots: readonly SlotSurvey[], sinceMs: number): number {
  return slots.reduce((last, slot) => Math.max(last, slot.servingSinceMs ?? 0), sinceMs);
}

function failureText(
  { goal, live, ended }: ServiceRecord,
  total: number,
  failed: readonly SlotSurvey[],
): string {
  const one = failed[0];
  const tasks = one === undefined
    ? []
    : [...ended.get(one.slot) ?? [], ...live.get(one.slot) ?? []];
  const last = tasks.findLast(({ task, brokeAtMs }) =>
    task.revision === goal && brokeAtMs !== undefined
  );
  const code = last?.observed?.exitCode;
  const said = last?.observed?.message ?? (code === undefined ? undefined : `exit code ${code}`);
  const what = `${failed.length} of ${total} slots failed with revision ${goal}`;
  return (said ? `${what}: ${said}` : what).slice(0, 900);
}

function seconds(ms: number): string {
  return `${Math.round(ms / 100) / 10} s`;
}
