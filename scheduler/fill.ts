/**
 * Keeps the wanted slots of a service filled: finds nodes for the tasks that wait and creates those that
 * are missing.
 *
 * 1. A slot gets a task only when no live task is in it, even one that is stopping: no two containers
 *    run in one slot. A task that was put aside (loss.ts) does not count.
 *    A rollout that starts first is the exception: there a task of the goal revision joins the old one.
 * 2. Tasks without a node are told why at the end of the plan, when everything is placed that fits, so
 *    that planning again finds the same reason and has nothing to say.
 *
 * @module
 */
import type { CreateTask } from "./action.ts";
import { assign, choose } from "./assign.ts";
import { type Draft, emit, overlay, room, type Unplaced, unplacedNow, wake } from "./draft.ts";
import { type Request, requestOf } from "./overlay.ts";
import type { Policy } from "./policy.ts";
import { makeRoom, whyNominated } from "./preempt.ts";
import { type Surge, surge } from "./rollout/course.ts";
import { type Course, revisionFor } from "./rollout/moves.ts";
import { ascending, newestEnded, unfilledSlots } from "./slots.ts";
import { whyNowhere } from "./why.ts";
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
    const left = assign(draft, record, request, waiting);
    filling.placed += waiting.length - left.length;
    filling.waiting += left.length;
    if (left.length === 0) continue;
    if (room(draft) > 0) full.set(revision, left);
    else draft.unfinished.add(record.service.id);
  }
  const { vacant, held } = findVacancies(draft, record, policy, course);
  filling.waiting += held;
  for (const { slot } of vacant) if (isTaken(record, slot)) filling.surged.add(slot);
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
    const waiting = left ?? [];
    const unplaced = unplacedNow(draft, { service: record, request, waiting, missing });
    draft.unplaced.push(unplaced);
    makeRoom(draft, unplaced);
  }
  return filling;
}

function requestFor(record: ServiceRecord, revision: number): Request | undefined {
  const template = record.templates.get(revision);
  return template && requestOf(record.service.id, template);
}

/** Says why for each task that found no node: invariant 2. */
export function explainUnplaced(draft: Draft): void {
  const unsettled = new Set(draft.unplaced.filter((unplaced) => changedSince(draft, unplaced)));
  for (const unplaced of draft.unplaced) {
    const { service, request, waiting, missing, nominated, only } = unplaced;
    if (unsettled.has(unplaced)) {
      draft.unfinished.add(service.service.id);
      continue;
    }
    const nowhere = whyNowhere(overlay(draft), request, only && [only]);
    const reason = (waits: TaskRecord | CreateTask) => {
      const nodeId = nominated.get(waits);
      if (nodeId === undefined) return { why: nowhere };
      return { why: whyNominated(draft, nodeId), nominated: nodeId };
    };
    for (const create of missing) {
      if (!emit(draft, service, { ...create, ...reason(create) })) break;
    }
    for (const record of waiting) {
      const told = reason(record);
      const { id: taskId, why, nominated } = record.task;
      if (why === told.why && nominated === told.nominated) continue;
      if (!emit(draft, service, { kind: "explain", taskId, ...told })) break;
    }
  }
}

/** Whether what was done since may be what it waits for: company, or tasks that stop. */
function changedSince(draft: Draft, unplaced: Unplaced): boolean {
  const { request, service, waiting, missing, nominated, since } = unplaced;
  const { affinity } = request.template.placement;
  if (affinity.some(({ required, anti }) => required && !anti)) {
    return draft.actions.length > since.actions;
  }
  return waiting.length + missing.length > nominated.size &&
    service.service.priority > draft.lowestPriority && draft.stopped.size > since.stopped;
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
      const tasks = waiting.get(revision);
      if (tasks) tasks.push(task);
      else waiting.set(revision, [task]);
    }
  }
  return [...waiting].sort(([a], [b]) => Number(a === record.goal) - Number(b === record.goal));
}

/** The tasks to create now, by slot, and how many slots have to wait for it. */
function findVacancies(
  draft: Draft,
  record: ServiceRecord,
  policy: Policy,
  course: Course | undefined,
): { vacant: CreateTask[]; held: number } {
  const { slots } = record;
  const found = { vacant: [] as CreateTask[], held: 0 };
  for (const slot of unfilledSlots(slots, policy.wanted)) {
    if (found.vacant.length >= policy.openings) break;
    if (isTaken(record, slot)) continue; // Invariant 1.
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

/** Whether a live task is in the slot; one that was put aside does not count. */
function isTaken({ live }: ServiceRecord, slot: number): boolean {
  return live.get(slot)?.some(({ task }) => !task.disconnected) ?? false;
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
