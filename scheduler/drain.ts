/**
 * Draining nodes: moving their tasks away, as many at a time as each service can spare.
 *
 * 1. No more tasks of a service are down at once for a drain than its disruption budget allows, counting
 *    those that are down or on their way for other reasons.
 * 2. After the node's deadline its tasks are stopped regardless.
 * 3. A task that does not run yet serves nobody and is stopped at once (rollout.ts does it).
 *
 * @module
 */
import { DRAIN_DEADLINE_MS } from "../kv/schema/node.ts";
import { isReady } from "../kv/schema/task.ts";
import { type Draft, drainingNodes, stop, wake } from "./draft.ts";
import type { Policy } from "./policy.ts";
import { evicting } from "./rules/taints.ts";
import type { NodeRecord, ServiceRecord, TaskRecord } from "./world.ts";

/** The monotonic ms at which the patience with a draining node's tasks ends. */
export function drainDeadlineMs(node: NodeRecord): number {
  return (node.drainSinceMs ?? Infinity) + (node.spec.drain?.deadlineMs ?? DRAIN_DEADLINE_MS);
}

/** The service's tasks that shall run and are on draining nodes, by slot. */
export function tasksToDrain(draft: Draft, record: ServiceRecord): TaskRecord[] {
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

/**
 * Stops what may be stopped now of the service's tasks on draining nodes; true while there are any, so
 * that nothing else is stopped beside them. `whyOf` words the reason for one task.
 */
export function drainNext(
  draft: Draft,
  record: ServiceRecord,
  policy: Policy,
  { whyOf, surged }: { whyOf: (task: TaskRecord) => string; surged: ReadonlySet<number> },
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
    const dueMs = drainDeadlineMs(node);
    if (dueMs > draft.nowMs) {
      wake(draft, record.service.id, dueMs);
      if (budget <= 0) continue;
      budget--;
    }
    if (!stop(draft, record, task.task.id, whyOf(task))) break;
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
