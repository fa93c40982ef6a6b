/**
 * Where the slots of a service stand, kept in step by the world's reducers, so that a plan looks only at
 * slots with something to do: filling the last of 50,000 slots costs what filling the first did.
 *
 * 1. Everything here is derived from `live`, `ended`, the goal revision and the kind of mode.
 * 2. `changeSlot` is the only way by which a slot's tasks change.
 *
 * @module
 */
import { MAX_COMPLETIONS } from "../kv/schema/run.ts";
import type { Mode } from "../kv/schema/service.ts";
import { isReady } from "../kv/schema/task.ts";
import type { ServiceRecord, TaskRecord } from "./world.ts";

/** Sets hold slot numbers, or tasks by id. */
export interface SlotIndex {
  /** The highest filled slot; 0 without. Filled: a live task that shall run; of a job also a success. */
  tail: number;
  /** The slots below `tail` that are not filled. */
  gaps: Set<number>;
  /** Slots with more than one live task that shall run. */
  crowded: Set<number>;
  /** Slots with a live task that shall run, of another revision than the service's goal. */
  outdated: Set<number>;
  /** Slots with a pending task. */
  waiting: Set<number>;
  /** Live tasks whose node is not known. */
  strays: Map<string, TaskRecord>;
  /** Ended tasks that are not the newest of their slot. */
  older: Map<string, TaskRecord>;
  /** How many live tasks were put aside because their node is cut off; no other count has them. */
  aside: number;
  /** How many live tasks shall stop. */
  stopping: number;
  /** How many live tasks shall run, have a node and are not ready. */
  starting: number;
  /** How many tasks of the newest revision failed, as far as the newest task of each slot knows. */
  failed: number;
  /** No slot above this one has ended tasks. */
  endedTail: number;
  /** Monotonic ms at which the last task ended. */
  lastEndedAtMs: number;
  /** Slots of runs that have tasks: they count in no other set here, nor in `tail` and `failed`. */
  runs: Set<number>;
}

export function emptySlots(): SlotIndex {
  return {
    tail: 0,
    gaps: new Set(),
    crowded: new Set(),
    outdated: new Set(),
    waiting: new Set(),
    strays: new Map(),
    older: new Map(),
    aside: 0,
    stopping: 0,
    starting: 0,
    failed: 0,
    endedTail: 0,
    lastEndedAtMs: 0,
    runs: new Set(),
  };
}

/** Slots of runs are used once and grow without end: they are no part of a range that is kept filled. */
export function isRunSlot(mode: Mode, slot: number): boolean {
  return mode.type === "cron" || (mode.type === "job" && slot > MAX_COMPLETIONS);
}

/** Builds the index anew: the goal revision or the kind of mode has changed. */
export function reindex(service: ServiceRecord): void {
  const { strays } = service.slots;
  service.slots = { ...emptySlots(), strays };
  for (const slot of new Set([...service.live.keys(), ...service.ended.keys()])) {
    count(service, slot, 1);
    if (isFilled(service, slot)) fill(service.slots, slot);
  }
}

/** Runs `change`, which may change the tasks of this slot, and brings the index up to date. */
export function changeSlot(service: ServiceRecord, slot: number, change: () => void): void {
  const wasFilled = isFilled(service, slot);
  count(service, slot, -1);
  change();
  count(service, slot, 1);
  const filled = isFilled(service, slot);
  if (filled && !wasFilled) fill(service.slots, slot);
  else if (!filled && wasFilled) vacate(service.slots, slot);
}

/** The slots from 1 to `wanted` that are not filled, in ascending order. */
export function* unfilledSlots(slots: SlotIndex, wanted: number): Generator<number> {
  for (const slot of ascending(slots.gaps)) {
    if (slot > wanted) break;
    yield slot;
  }
  for (let slot = slots.tail + 1; slot <= wanted; slot++) yield slot;
}

/** A set of slots in ascending order. */
export function ascending(slots: ReadonlySet<number>): Uint32Array {
  return Uint32Array.from(slots).sort();
}

/** The newest ended task of a slot. */
export function newestEnded(service: ServiceRecord, slot: number): TaskRecord | undefined {
  return service.ended.get(slot)?.at(-1);
}

function isFilled(service: ServiceRecord, slot: number): boolean {
  if (isRunSlot(service.service.mode, slot)) return false;
  if (service.live.get(slot)?.some(({ task }) => task.desired === "run" && !task.disconnected)) {
    return true;
  }
  return service.service.mode.type === "job" &&
    (service.ended.get(slot)?.some((r) => r.state === "succeeded") ?? false);
}

function fill(slots: SlotIndex, slot: number): void {
  if (slot < slots.tail) {
    slots.gaps.delete(slot);
    return;
  }
  for (let gap = slots.tail + 1; gap < slot; gap++) slots.gaps.add(gap);
  slots.tail = slot;
}

function vacate(slots: SlotIndex, slot: number): void {
  if (slot < slots.tail) {
    slots.gaps.add(slot);
    return;
  }
  slots.tail--;
  while (slots.gaps.delete(slots.tail)) slots.tail--;
}

/** A slot has none for most of its life, of one kind or the other. */
const NONE: readonly TaskRecord[] = [];

/** Adds (1) or takes away (-1) what the slot's tasks contribute to the sets and sums. */
function count(service: ServiceRecord, slot: number, sign: 1 | -1): void {
  const { slots, goal: revision } = service;
  const live = service.live.get(slot) ?? NONE;
  const ended = service.ended.get(slot) ?? NONE;
  let kept = 0;
  let outdated = false;
  let waiting = false;
  for (const { task, state, observed } of live) {
    if (task.disconnected) {
      slots.aside += sign;
      continue;
    }
    if (task.desired === "stop") slots.stopping += sign;
    else {
      kept++;
      if (task.revision !== revision) outdated = true;
      if (state === "pending") waiting = true;
      else if (!isReady(state, observed)) slots.starting += sign;
    }
  }
  if (sign === 1 && ended.length > 0) {
    slots.lastEndedAtMs = Math.max(slots.lastEndedAtMs, ended.at(-1)?.endedAtMs ?? 0);
  }
  if (isRunSlot(service.service.mode, slot)) {
    mark(slots.runs, slot, sign === 1 && live.length + ended.length > 0);
    return;
  }
  mark(slots.crowded, slot, sign === 1 && kept > 1);
  mark(slots.outdated, slot, sign === 1 && outdated);
  mark(slots.waiting, slot, sign === 1 && waiting);
  for (let i = 0; i < ended.length - 1; i++) {
    const record = ended[i];
    if (!record) continue;
    if (sign === 1) slots.older.set(record.task.id, record);
    else slots.older.delete(record.task.id);
  }
  const newest = live.at(-1) ?? ended.at(-1);
  if (newest?.task.revision === revision) {
    slots.failed += sign * (newest.task.failures + Number(isOwnFailure(newest)));
  }
  if (sign === 1 && ended.length > 0) {
    slots.endedTail = Math.max(slots.endedTail, slot);
  } else if (service.ended.size === 0) slots.endedTail = 0;
}

/** It failed by itself: not because its node did, and not because it was stopped. */
export function isOwnFailure({ task, state }: TaskRecord): boolean {
  return (state === "failed" || state === "rejected") && task.desired === "run";
}

function mark(set: Set<number>, slot: number, member: boolean): void {
  if (member) set.add(slot);
  else if (set.size > 0) set.delete(slot);
}
