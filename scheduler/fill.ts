/**
 * Keeps the wanted slots of a service filled: finds nodes for the tasks that wait and creates those that
 * are missing.
 *
 * 1. A slot gets a task only when no live task is in it, even one that is stopping: no two containers
 *    run in one slot.
 *    A rollout that starts first is the exception: there a task of the goal revision joins the old one.
 * 2. Tasks without a node are told why at the end of the plan, when everything is placed that fits, so
 *    that planning again finds the same reason and has nothing to say.
 *
 * @module
 */
import type { CreateTask } from "./action.ts";
import { type Draft, emit, overlay, room, wake } from "./draft.ts";
import { type Candidate, type Request, requestOf } from "./overlay.ts";
import { place } from "./place.ts";
import type { Policy } from "./policy.ts";
import { type Surge, surge } from "./rollout/course.ts";
import { type Course, revisionFor } from "./rollout/moves.ts";
import { ascending, newestEnded, unfilledSlots } from "./slots.ts";
import { strategyOf, whyNowhere } from "./why.ts";
import type { ServiceRecord, TaskRecord } from "./world.ts";

/** What is on its way in the wanted slots. */
export interface Filling {
  /** Tasks that this plan places. */
  placed: number;
  /** Slots that wait for room on a node or for the end of a back-off, or that the limit cut. */
  waiting: number;
  /** Slots that get a second task, beside the old one. */
  surged: Set<number>;
}

/** `course`: the service's rollout, if there is one; it says which revision a slot gets. */
export function fillSlots(
  draft: Draft,
  record: ServiceRecord,
  policy: Policy,
  course?: Course,
): Filling {
  const filling: Filling = { placed: 0, waiting: 0, surged: new Set() };
  if (policy.wanted === 0) return filling;
  const full = new Map<number, TaskRecord[]>();
  for (const [revision, waiting] of waitingTasks(draft, record, policy.wanted)) {
    const request = requestFor(record, revision);
    if (!request) continue;
    const assigned = assign(draft, record, request, waiting);
    const left = waiting.slice(assigned);
    filling.placed += assigned;
    filling.waiting += left.length;
    if (left.length === 0) continue;
    if (room(draft) > 0) full.set(revision, left);
    else draft.unfinished.add(record.service.id);
  }
  const { vacant, held } = findVacancies(draft, record, policy, course);
  filling.waiting += held;
  for (const { slot } of vacant) if (record.live.has(slot)) filling.surged.add(slot);
  for (const revision of new Set([...vacant.map((create) => create.revision), ...full.keys()])) {
    const request = requestFor(record, revision);
    if (!request) continue;
    const left = full.get(revision);
    const creates = vacant.filter((create) => create.revision === revision);
    const nodes = left ? [] : choose(draft, request, creates.map(({ slot }) => slot));
    for (const [i, node] of nodes.entries()) {
      const create = creates[i];
      if (create) emit(draft, record, { ...create, nodeId: node.record.node.id });
    }
    const missing = creates.slice(nodes.length);
    filling.placed += nodes.length;
    filling.waiting += missing.length;
    if (!left && missing.length === 0) continue;
    draft.unplaced.push({ service: record, request, waiting: left ?? [], missing });
  }
  return filling;
}

function requestFor(record: ServiceRecord, revision: number): Request | undefined {
  const template = record.templates.get(revision);
  return template && requestOf(record.service.id, template);
}

/** Says why for each task that found no node: invariant 2. */
export function explainUnplaced(draft: Draft): void {
  for (const { service, request, waiting, missing } of draft.unplaced) {
    const why = whyNowhere(overlay(draft), request);
    for (const create of missing) if (!emit(draft, service, { ...create, why })) break;
    for (const { task } of waiting) {
      if (task.why === why) continue;
      if (!emit(draft, service, { kind: "explain", taskId: task.id, why })) break;
    }
  }
}

/** The pending tasks of the wanted slots, by revision and slot; those of the goal come last. */
function waitingTasks(
  draft: Draft,
  record: ServiceRecord,
  wanted: number,
): [revision: number, tasks: TaskRecord[]][] {
  const waiting = new Map<number, TaskRecord[]>();
  for (const slot of ascending(record.slots.waiting)) {
    if (slot > wanted) break;
    for (const task of record.live.get(slot) ?? []) {
      if (task.state !== "pending" || draft.stopped.has(task.task.id)) continue;
      const { revision } = task.task;
      waiting.set(revision, [...waiting.get(revision) ?? [], task]);
    }
  }
  return [...waiting].sort(([a], [b]) => Number(a === record.goal) - Number(b === record.goal));
}

/** Gives nodes to the first of the waiting tasks, as many as there is room for; answers how many. */
function assign(
  draft: Draft,
  record: ServiceRecord,
  request: Request,
  waiting: readonly TaskRecord[],
): number {
  const first = waiting.slice(0, room(draft));
  const nodes = choose(draft, request, first.map(({ task }) => task.slot));
  for (const [i, node] of nodes.entries()) {
    const taskId = first[i]?.task.id;
    if (taskId === undefined) break;
    emit(draft, record, { kind: "assign", taskId, nodeId: node.record.node.id });
  }
  return nodes.length;
}

function choose(draft: Draft, request: Request, slots: readonly number[]): Candidate[] {
  if (slots.length === 0) return [];
  return place(overlay(draft), request, { strategy: strategyOf(draft.world, request), slots });
}

/** The tasks to create now, by slot, and how many slots have to wait for it. */
function findVacancies(
  draft: Draft,
  record: ServiceRecord,
  policy: Policy,
  course: Course | undefined,
): { vacant: CreateTask[]; held: number } {
  const { slots, live } = record;
  const found = { vacant: [] as CreateTask[], held: 0 };
  for (const slot of unfilledSlots(slots, policy.wanted)) {
    if (found.vacant.length >= policy.openings) break;
    if (live.has(slot)) continue; // Invariant 1.
    const revision = course ? revisionFor(course, slot) : record.goal;
    if (!addVacancy(draft, record, policy, { slot, revision, found })) return found;
  }
  const { slots: beside, places }: Surge = course
    ? surge(draft, record, course)
    : { slots: [], places: 0 };
  const most = found.vacant.length + places;
  for (const slot of beside) {
    if (found.vacant.length >= most) break;
    if (!addVacancy(draft, record, policy, { slot, revision: record.goal, found })) break;
  }
  return found;
}

interface Vacancy {
  slot: number;
  revision: number;
  found: { vacant: CreateTask[]; held: number };
}

/** Adds the task that the slot needs, unless it has to wait or is done with; false when cut. */
function addVacancy(
  draft: Draft,
  record: ServiceRecord,
  policy: Policy,
  { slot, revision, found }: Vacancy,
): boolean {
  const serviceId = record.service.id;
  const ended = newestEnded(record, slot);
  let failures = 0;
  if (ended?.task.revision === revision) {
    const restart = policy.fate(ended);
    if (!restart) return true;
    if (restart.atMs > draft.nowMs) {
      wake(draft, serviceId, restart.atMs);
      found.held++;
      return true;
    }
    failures = restart.failures;
  }
  if (found.vacant.length >= room(draft)) {
    draft.unfinished.add(serviceId);
    found.held++;
    return false;
  }
  found.vacant.push({ kind: "create", serviceId, revision, slot, failures });
  return true;
}
