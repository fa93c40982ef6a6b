/**
 * Giving nodes to tasks: to those that wait, the nominated ones first (preempt.ts), and to new ones.
 *
 * @module
 */
import { candidateOf, type Draft, emit, overlay, room } from "./draft.ts";
import { filtersFor, firstRefusal } from "./filters.ts";
import { type Candidate, type Request, take } from "./overlay.ts";
import { place } from "./place.ts";
import { strategyOf } from "./why.ts";
import type { ServiceRecord, TaskRecord } from "./world.ts";

/** Gives nodes to the first of the waiting tasks, as many as there is room for; answers the others. */
export function assign(
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
    hold(draft, node, request);
    give(draft, record, task, node);
    given.add(task);
  }
  return given;
}

function give(draft: Draft, record: ServiceRecord, { task }: TaskRecord, node: Candidate): void {
  emit(draft, record, { kind: "assign", taskId: task.id, nodeId: node.record.node.id });
}

/** Chooses a node for each of the slots, as far as there is room. */
export function choose(draft: Draft, request: Request, slots: readonly number[]): Candidate[] {
  if (slots.length === 0) return [];
  const strategy = strategyOf(draft.world, request);
  const nodes = place(overlay(draft), request, { strategy, slots });
  for (const node of nodes) mirror(draft, node, request);
  return nodes;
}

/** Sets aside what one task needs, now and once everything has stopped that is stopping. */
export function hold(draft: Draft, node: Candidate, request: Request): void {
  take(overlay(draft), node, request);
  mirror(draft, node, request);
}

function mirror({ future }: Draft, { index }: Candidate, request: Request): void {
  const node = future?.candidates[index];
  if (future && node) take(future, node, request);
}
