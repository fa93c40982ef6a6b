/**
 * Stopping tasks that could go on: those of an older revision (how, rollout/ says), and those on nodes
 * that are being drained.
 *
 * 1. A task that runs is drained only while no other task of its service is on its way, up or down: one
 *    at a time.
 * 2. A drain goes on though there is no room elsewhere: the node is to become empty.
 * 3. A task that does not run yet serves nobody and is stopped at once.
 *
 * @module
 */
import { type Draft, drainingNodes, overlay, stop } from "./draft.ts";
import type { Filling } from "./fill.ts";
import { requestOf } from "./overlay.ts";
import { fitsSomewhere } from "./place.ts";
import type { Policy } from "./policy.ts";
import { stopIdleOld, stopOld } from "./rollout/course.ts";
import type { Course } from "./rollout/moves.ts";
import { ascending } from "./slots.ts";
import { whyNowhere } from "./why.ts";
import type { ServiceRecord, TaskRecord } from "./world.ts";

/** Stops what is outdated or on a draining node and does not run yet: invariant 3. */
export function stopIdle(
  draft: Draft,
  record: ServiceRecord,
  policy: Policy,
  course?: Course,
): void {
  const { goal, slots, live } = record;
  if (course) stopIdleOld(draft, record, course);
  else if (!policy.rolls && slots.outdated.size > 0 && slots.waiting.size > 0) {
    for (const slot of ascending(slots.outdated)) {
      if (slot > policy.wanted) break;
      for (const { task, state } of live.get(slot) ?? []) {
        if (task.desired === "stop" || task.revision === goal || state !== "pending") continue;
        if (!stop(draft, record, task.id, `replaced by revision ${goal}`)) return;
      }
    }
  }
  if (slots.starting === 0) return;
  for (const { task, state } of tasksToDrain(draft, record)) {
    if (state === "running" || draft.stopped.has(task.id)) continue;
    if (!stop(draft, record, task.id, draining(draft, record, task.nodeId))) return;
  }
}

/** Stops one task on a draining node, if it is the time for it; or else what the rollout stops next. */
export function stopNext(
  draft: Draft,
  record: ServiceRecord,
  policy: Policy,
  { filling, course }: { filling: Filling; course: Course | undefined },
): void {
  if (!stopDrained(draft, record, policy, filling) && course) stopOld(draft, record, course);
}

/** Invariants 1 and 2; true when a task was stopped. */
function stopDrained(
  draft: Draft,
  record: ServiceRecord,
  policy: Policy,
  filling: Filling,
): boolean {
  const { slots } = record;
  if (slots.stopping > 0 || draft.disturbed.has(record.service.id)) return false;
  if (policy.rolls && (slots.starting > 0 || filling.placed > 0)) return false;
  const toDrain = tasksToDrain(draft, record);
  const drained = toDrain.find(({ task }) => !filling.surged.has(task.slot));
  // In a slot that just got a second task, the drain goes on in the next plan.
  if (!drained && toDrain.length > 0) draft.unfinished.add(record.service.id);
  if (!drained) return false;
  return stop(draft, record, drained.task.id, draining(draft, record, drained.task.nodeId));
}

/** The service's tasks that shall run and are on draining nodes, by slot. */
function tasksToDrain(draft: Draft, { service }: ServiceRecord): TaskRecord[] {
  const tasks: TaskRecord[] = [];
  for (const node of drainingNodes(draft)) {
    if (!node.perService.has(service.id)) continue;
    for (const taskId of node.holding) {
      const task = draft.world.tasks.get(taskId);
      if (task?.task.serviceId === service.id && task.task.desired === "run") tasks.push(task);
    }
  }
  return tasks.sort((a, b) => a.task.slot - b.task.slot || (a.task.id < b.task.id ? -1 : 1));
}

function draining(draft: Draft, record: ServiceRecord, nodeId: string | undefined): string {
  const node = nodeId === undefined ? undefined : draft.world.nodes.get(nodeId);
  const why = `node ${node?.node.name ?? nodeId} is being drained`;
  const template = record.templates.get(record.goal);
  if (!template) return why;
  const request = requestOf(record.service.id, template);
  if (fitsSomewhere(overlay(draft), request)) return why;
  return `${why}; there is no room elsewhere: ${whyNowhere(overlay(draft), request)}`.slice(
    0,
    1024,
  );
}
