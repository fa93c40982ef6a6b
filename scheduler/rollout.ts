/**
 * Stopping tasks that could go on: those of an older revision, and those on nodes that are being drained
 * or that have a `no-execute` taint which they do not tolerate.
 * Their slots are filled again by the planning that follows (stop-first).
 *
 * 1. A task that runs is stopped only while no other task of its service is on its way, up or down: one
 *    at a time.
 * 2. A roll-out stops nothing that runs while any other wanted slot lacks its task. A drain does: the
 *    node is to become empty even if there is no room elsewhere.
 * 3. A task that does not run yet serves nobody and is stopped at once.
 *
 * @module
 */
import type { Task } from "../kv/schema/task.ts";
import { type Draft, drainingNodes, overlay, stop } from "./draft.ts";
import type { Filling } from "./fill.ts";
import { requestOf } from "./overlay.ts";
import { fitsSomewhere } from "./place.ts";
import type { Policy } from "./policy.ts";
import { evicting, taintText } from "./rules/taints.ts";
import { ascending } from "./slots.ts";
import { whyNowhere } from "./why.ts";
import type { NodeRecord, ServiceRecord, TaskRecord } from "./world.ts";

/** Stops what is outdated or on a draining node and does not run yet: invariant 3. */
export function stopIdle(draft: Draft, record: ServiceRecord, policy: Policy): void {
  const { service, slots, live } = record;
  if (slots.outdated.size > 0 && (slots.starting > 0 || slots.waiting.size > 0)) {
    for (const slot of ascending(slots.outdated)) {
      if (slot > policy.wanted) break;
      for (const { task, state } of live.get(slot) ?? []) {
        if (task.desired === "stop" || task.revision === service.revision) continue;
        if (state !== "pending" && (state === "running" || !policy.rolls)) continue;
        if (!stop(draft, record, task.id, outdated(record))) return;
      }
    }
  }
  if (slots.starting === 0) return;
  for (const { task, state } of tasksToDrain(draft, record)) {
    if (state === "running" || draft.stopped.has(task.id)) continue;
    if (!stop(draft, record, task.id, draining(draft, record, task))) return;
  }
}

/** Stops one task that runs, if it is the time for it: invariants 1 and 2. */
export function stopNext(
  draft: Draft,
  record: ServiceRecord,
  policy: Policy,
  filling: Filling,
): void {
  const { slots } = record;
  if (slots.stopping > 0 || draft.disturbed.has(record.service.id)) return;
  if (policy.rolls && (slots.starting > 0 || filling.placed > 0)) return;
  const [drained] = tasksToDrain(draft, record);
  if (drained) {
    stop(draft, record, drained.task.id, draining(draft, record, drained.task));
    return;
  }
  if (!policy.rolls || filling.waiting > 0) return;
  const rolled = firstOutdated(record, policy.wanted);
  if (rolled) stop(draft, record, rolled.task.id, outdated(record));
}

function firstOutdated(record: ServiceRecord, wanted: number): TaskRecord | undefined {
  let first = Infinity;
  for (const slot of record.slots.outdated) if (slot < first) first = slot;
  if (first > wanted) return undefined;
  return record.live.get(first)?.find(({ task }) =>
    task.desired === "run" && task.revision !== record.service.revision
  );
}

/** The service's tasks that shall run and are on draining nodes, by slot. */
function tasksToDrain(draft: Draft, record: ServiceRecord): TaskRecord[] {
  const { service } = record;
  const tasks: TaskRecord[] = [];
  for (const node of drainingNodes(draft)) {
    if (!node.perService.has(service.id)) continue;
    for (const taskId of node.holding) {
      const task = draft.world.tasks.get(taskId);
      if (task?.task.serviceId !== service.id || task.task.desired !== "run") continue;
      if (hasToLeave(record, node, task)) tasks.push(task);
    }
  }
  return tasks.sort((a, b) => a.task.slot - b.task.slot || (a.task.id < b.task.id ? -1 : 1));
}

function hasToLeave({ templates }: ServiceRecord, node: NodeRecord, { task }: TaskRecord): boolean {
  if (node.spec.availability === "drain") return true;
  const template = templates.get(task.revision);
  return template !== undefined && evicting(node, template.placement.tolerations) !== undefined;
}

function outdated({ service }: ServiceRecord): string {
  return `replaced by revision ${service.revision}`;
}

function draining(draft: Draft, record: ServiceRecord, { nodeId, revision }: Task): string {
  const node = nodeId === undefined ? undefined : draft.world.nodes.get(nodeId);
  const template = record.templates.get(record.service.revision);
  const own = record.templates.get(revision);
  const taint = node && own && node.spec.availability !== "drain"
    ? evicting(node, own.placement.tolerations)
    : undefined;
  const cause = taint ? `has taint ${taintText(taint)}` : "is being drained";
  const why = `node ${node?.node.name ?? nodeId} ${cause}`;
  if (!template) return why;
  const request = requestOf(record.service.id, template);
  if (fitsSomewhere(overlay(draft), request)) return why;
  return `${why}; there is no room elsewhere: ${whyNowhere(overlay(draft), request)}`.slice(
    0,
    1024,
  );
}
