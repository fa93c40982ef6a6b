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
import { type Draft, emit, overlay, room, wake } from "./draft.ts";
import { type Candidate, type Request, requestOf } from "./overlay.ts";
import { place } from "./place.ts";
import type { Policy } from "./policy.ts";
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
  const assigned = assign(draft, record, request, waiting);
  const left = waiting.slice(assigned);
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
    draft.unplaced.push({ service: record, request, waiting: full ? left : [], missing });
  }
  return { placed: assigned + nodes.length, waiting: left.length + missing.length + held };
}

/** Says why for each task that found no node: invariant 2. */
export function explainUnplaced(draft: Draft): void {
  for (const { service, request, waiting, missing, only } of draft.unplaced) {
    const nodes = overlay(draft);
    const why = whyNowhere(only ? { ...nodes, candidates: [only] } : nodes, request);
    for (const create of missing) if (!emit(draft, service, { ...create, why })) break;
    for (const { task } of waiting) {
      if (task.why === why) continue;
      if (!emit(draft, service, { kind: "explain", taskId: task.id, why })) break;
    }
  }
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
