/**
 * Tasks that have to leave their node, since it is drained or has a `no-execute` taint that they do not
 * tolerate: moving them away, as many at a time as each service can spare.
 *
 * 1. No more tasks of a service are down at once for that than its disruption budget allows, counting
 *    those that are down or on their way for other reasons, or have no room.
 * 2. After the node's deadline they are stopped regardless: what waits for room for ever keeps none of
 *    them there. A drain's counts from when it began, a taint's from when it came.
 * 3. A task that does not run yet serves nobody and is stopped at once (rollout.ts does it).
 *
 * @module
 */
import { DRAIN_DEADLINE_MS } from "../kv/schema/node.ts";
import { isReady } from "../kv/schema/task.ts";
import { type Draft, drainingNodes, stop, wake } from "./draft.ts";
import type { Policy } from "./policy.ts";
import { evicting, taintText } from "./rules/taints.ts";
import type { NodeRecord, ServiceRecord, TaskRecord } from "./world.ts";

/** The service's tasks that shall run and have to leave their nodes, by slot. */
export function tasksToDrain(draft: Draft, record: ServiceRecord): TaskRecord[] {
  const { service } = record;
  const tasks: TaskRecord[] = [];
  for (const node of drainingNodes(draft)) {
    if (!node.perService.has(service.id)) continue;
    for (const taskId of node.holding) {
      const task = draft.world.tasks.get(taskId);
      if (task?.task.serviceId !== service.id || task.task.desired !== "run") continue;
      if (leaveSinceMs(record, node, task) !== undefined) tasks.push(task);
    }
  }
  return tasks.sort((a, b) => a.task.slot - b.task.slot || (a.task.id < b.task.id ? -1 : 1));
}

/** The monotonic ms since which the task has to leave the node; undefined: it may stay. */
function leaveSinceMs(
  { templates }: ServiceRecord,
  node: NodeRecord,
  { task }: TaskRecord,
): number | undefined {
  if (node.spec.availability === "drain") return node.drainSinceMs ?? Infinity;
  const template = templates.get(task.revision);
  const taints = template ? evicting(node, template.placement.tolerations) : [];
  if (taints.length === 0) return undefined;
  return Math.min(...taints.map((one) => node.taintSinceMs.get(taintText(one)) ?? Infinity));
}

/** The monotonic ms at which the patience with the task ends: invariant 2. */
function dueMsOf(record: ServiceRecord, node: NodeRecord, task: TaskRecord): number {
  const patienceMs = node.spec.drain?.deadlineMs ?? DRAIN_DEADLINE_MS;
  return (leaveSinceMs(record, node, task) ?? Infinity) + patienceMs;
}

/**
 * Stops what may be stopped now of the service's tasks that have to leave; true while there are any, so
 * that nothing else is stopped beside them. `whyOf` words the reason for one task; overdue is what the
 * budget would have kept.
 */
export function drainNext(
  draft: Draft,
  record: ServiceRecord,
  policy: Policy,
  { whyOf, surged }: {
    whyOf: (task: TaskRecord, how: { overdue: boolean }) => string;
    surged: ReadonlySet<number>;
  },
): boolean {
  const all = tasksToDrain(draft, record).filter(({ task }) => !draft.stopped.has(task.id));
  if (all.length === 0) return false;
  // In a slot that just got a second task, the drain goes on in the next plan.
  const tasks = all.filter(({ task }) => !surged.has(task.slot));
  if (tasks.length < all.length) draft.unfinished.add(record.service.id);
  let budget = record.service.disruption.maxUnavailable - unavailable(draft, record, policy);
  for (const task of tasks) {
    const node = draft.world.nodes.get(task.task.nodeId ?? "");
    if (!node) continue;
    const dueMs = dueMsOf(record, node, task);
    const spared = budget-- > 0;
    if (dueMs > draft.nowMs) {
      wake(draft, record.service.id, dueMs);
      if (!spared) continue;
    }
    if (!stop(draft, record, task.task.id, whyOf(task, { overdue: !spared }))) break;
  }
  return true;
}

/** How many of the wanted tasks are not ready, or are about to stop: invariant 1. */
function unavailable(draft: Draft, record: ServiceRecord, policy: Policy): number {
  const ready = new Set<number>();
  let stopping = 0;
  for (const tasks of record.live.values()) {
    for (const { task, state, observed } of tasks) {
      if (task.disconnected) continue;
      if (task.desired === "stop" || draft.stopped.has(task.id)) stopping++;
      else if (isReady(state, observed) && task.slot <= policy.wanted) ready.add(task.slot);
    }
  }
  const due = policy.due?.();
  return due === undefined ? stopping : Math.max(0, due - ready.size);
}
