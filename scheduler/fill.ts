/**
 * Keeps the wanted slots of a service filled: finds nodes for the tasks that wait and creates those that
 * are missing.
 *
 * 1. A slot gets a task only when no live task is in it, even one that is stopping: no two containers
 *    run in one slot. A task that was put aside (loss.ts) does not count.
 * 2. Tasks without a node are told why at the end of the plan, when everything is placed that fits, so
 *    that planning again finds the same reason and has nothing to say.
 *
 * @module
 */
import type { CreateTask } from "./action.ts";
import {
  candidateOf,
  type Draft,
  emit,
  overlay,
  room,
  type Unplaced,
  unplacedNow,
  wake,
} from "./draft.ts";
import { type Candidate, type Overlay, type Request, requestOf, take } from "./overlay.ts";
import { filtersFor, firstRefusal } from "./filters.ts";
import { place } from "./place.ts";
import type { Policy } from "./policy.ts";
import { makeRoom, whyNominated } from "./preempt.ts";
import { ascending, newestEnded, unfilledSlots } from "./slots.ts";
import { strategyOf, whyNowhere } from "./why.ts";
import type { ServiceRecord, TaskRecord } from "./world.ts";

/** What is on its way in the wanted slots. */
export interface Filling {
  /** Tasks that this plan places. */
  placed: number;
  /** Slots that wait for room on a node or for the end of a back-off, or that the limit cut. */
  waiting: number;
}

export function fillSlots(draft: Draft, record: ServiceRecord, policy: Policy): Filling {
  const template = record.templates.get(record.service.revision);
  if (!template || policy.wanted === 0) return { placed: 0, waiting: 0 };
  const request = requestOf(record.service.id, template);

  const waiting = waitingTasks(draft, record, policy.wanted);
  const left = assign(draft, record, request, waiting);
  const assigned = waiting.length - left.length;
  const full = left.length > 0 && room(draft) > 0;
  if (left.length > 0 && !full) draft.unfinished.add(record.service.id);

  const { vacant, held } = findVacancies(draft, record, policy);
  const nodes = full ? [] : choose(draft, request, vacant.map(({ slot }) => slot));
  const missing: CreateTask[] = [];
  for (const [i, create] of vacant.entries()) {
    const node = nodes[i];
    if (node) emit(draft, record, { ...create, nodeId: node.record.node.id });
    else missing.push(create);
  }
  if (full || missing.length > 0) {
    const waits = full ? left : [];
    const unplaced = unplacedNow(draft, { service: record, request, waiting: waits, missing });
    draft.unplaced.push(unplaced);
    makeRoom(draft, unplaced);
  }
  return { placed: assigned + nodes.length, waiting: left.length + missing.length + held };
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
    const nodes = overlay(draft);
    const nowhere = whyNowhere(only ? { ...nodes, candidates: [only] } : nodes, request);
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

/** The pending tasks of the wanted slots, by slot. */
function waitingTasks(draft: Draft, record: ServiceRecord, wanted: number): TaskRecord[] {
  const waiting: TaskRecord[] = [];
  for (const slot of ascending(record.slots.waiting)) {
    if (slot > wanted) break;
    for (const task of record.live.get(slot) ?? []) {
      if (task.state === "pending" && !draft.stopped.has(task.task.id)) waiting.push(task);
    }
  }
  return waiting;
}

/** Gives nodes to the first of the waiting tasks, as many as there is room for; answers the others. */
function assign(
  draft: Draft,
  record: ServiceRecord,
  request: Request,
  waiting: readonly TaskRecord[],
): TaskRecord[] {
  const first = waiting.slice(0, room(draft));
  const nominated = assignNominated(draft, record, request, first);
  const others = first.filter((task) => !nominated.has(task));
  const nodes = choose(draft, request, others.map(({ task }) => task.slot));
  for (const [i, node] of nodes.entries()) {
    const task = others[i];
    if (task) give(draft, record, task, node);
  }
  const given = new Set([...nominated, ...others.slice(0, nodes.length)]);
  return waiting.filter((task) => !given.has(task));
}

/** Whom room was made for gets that room, so that it does not take another's. */
function assignNominated(
  draft: Draft,
  record: ServiceRecord,
  request: Request,
  waiting: readonly TaskRecord[],
): Set<TaskRecord> {
  const given = new Set<TaskRecord>();
  for (const task of waiting) {
    const { nominated } = task.task;
    const node = nominated === undefined
      ? undefined
      : candidateOf(draft, overlay(draft), nominated);
    if (!node || firstRefusal(filtersFor(overlay(draft), request), node, request)) continue;
    take(overlay(draft), node, request);
    if (draft.future) mirror(draft.future, [node], request);
    give(draft, record, task, node);
    given.add(task);
  }
  return given;
}

function give(draft: Draft, record: ServiceRecord, { task }: TaskRecord, node: Candidate): void {
  emit(draft, record, { kind: "assign", taskId: task.id, nodeId: node.record.node.id });
}

function choose(draft: Draft, request: Request, slots: readonly number[]): Candidate[] {
  if (slots.length === 0) return [];
  const strategy = strategyOf(draft.world, request);
  const nodes = place(overlay(draft), request, { strategy, slots });
  if (draft.future) mirror(draft.future, nodes, request);
  return nodes;
}

function mirror(future: Overlay, nodes: readonly Candidate[], request: Request): void {
  for (const { index } of nodes) {
    const node = future.candidates[index];
    if (node) take(future, node, request);
  }
}

/** The tasks to create now, by slot, and how many slots have to wait for it. */
function findVacancies(
  draft: Draft,
  record: ServiceRecord,
  policy: Policy,
): { vacant: CreateTask[]; held: number } {
  const { service, slots, live } = record;
  const vacant: CreateTask[] = [];
  let held = 0;
  for (const slot of unfilledSlots(slots, policy.wanted)) {
    if (vacant.length >= policy.openings) break;
    if (live.get(slot)?.some(({ task }) => !task.disconnected)) continue; // Invariant 1.
    const ended = newestEnded(record, slot);
    let failures = 0;
    if (ended?.task.revision === service.revision) {
      const restart = policy.fate(ended);
      if (!restart) continue;
      if (restart.atMs > draft.nowMs) {
        wake(draft, service.id, restart.atMs);
        held++;
        continue;
      }
      failures = restart.failures;
    }
    if (vacant.length >= room(draft)) {
      draft.unfinished.add(service.id);
      held++;
      break;
    }
    vacant.push({
      kind: "create",
      serviceId: service.id,
      revision: service.revision,
      slot,
      failures,
    });
  }
  return { vacant, held };
}
