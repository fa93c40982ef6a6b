/**
 * What becomes of the tasks of a node that fell silent: when they are given up, and how fast.
 *
 * 1. A strict task is given up only when its container must be dead (strict.ts).
 * 2. A service may ask for patience (`disconnect.replaceAfterMs`) and for its old tasks back
 *    (`disconnect.reconcile`): they are then put aside instead of given up.
 * 3. When a large part of the cluster falls silent at once, the partition is as likely to be ours: the
 *    nodes count as down, but their tasks are replaced a few a second.
 * 4. Nothing is decided by a clock but the leader's own; a new leader counts from its takeover. And
 *    nothing by a silence that lasted since the beats were read last: there may be newer ones.
 *
 * @module
 */
import { type Draft, emit, room, wake } from "./draft.ts";
import { isStrict, strictWaitAfterRemovalMs, strictWaitMs } from "./strict.ts";
import type { NodeRecord, ServiceRecord, TaskRecord, World } from "./world.ts";

export const MASS_LOSS = {
  /** It takes this many nodes, and more than this part of those that were ready. */
  nodes: 3,
  share: 1 / 3,
  /** Replaced then, over the whole cluster. */
  tasksPerBatch: 10,
  batchMs: 1000,
  /** A node that was silent for this part of its TTL has missed its polls: it may be one of them. */
  suspectShare: 2 / 3,
} as const;

/**
 * The silence after which a node is down: its own limit or the cluster's. A limit for a pool of nodes
 * would be looked up here, between the two.
 */
export function ttlOf(node: Pick<NodeRecord, "spec">, nodeTtlMs: number): number {
  return node.spec.ttlMs ?? nodeTtlMs;
}

/** From when its silence counts: the last beat, or the start of this leader's knowledge of it. */
function silentSinceMs(node: NodeRecord): number {
  return Math.max(node.lastSeenMs, node.knownSinceMs);
}

/** How many nodes fell silent together with this one, if they are many: invariant 3. */
export function massLoss(
  world: World,
  node: NodeRecord,
  options: { nowMs: number; nodeTtlMs: number },
): { nodes: number } | undefined {
  const { nowMs, nodeTtlMs } = options;
  const aroundMs = silentSinceMs(node);
  const windowMs = ttlOf(node, nodeTtlMs);
  let together = 0;
  let alive = 0;
  for (const other of world.nodes.values()) {
    const ttlMs = ttlOf(other, nodeTtlMs);
    const quiet = nowMs - other.lastSeenMs >= ttlMs * MASS_LOSS.suspectShare;
    if (!quiet) alive++;
    else if (Math.abs(silentSinceMs(other) - aroundMs) <= windowMs) together++;
  }
  const many = together >= MASS_LOSS.nodes && together > (together + alive) * MASS_LOSS.share;
  return many ? { nodes: together } : undefined;
}

/** The monotonic ms from which a task of a silent node is given up: invariants 1 and 2. */
export function lossAtMs(
  service: ServiceRecord,
  record: TaskRecord,
  node: NodeRecord,
  nodeTtlMs: number,
): number {
  const ttlMs = ttlOf(node, nodeTtlMs);
  const sinceMs = silentSinceMs(node);
  if (isStrict(service.service)) return sinceMs + strictWaitMs(ttlMs);
  const patienceMs = service.service.disconnect?.replaceAfterMs ?? 0;
  if (patienceMs === 0 || !isWanted(service, record)) return -Infinity; // The node is down already.
  return sinceMs + ttlMs + patienceMs;
}

/** It is to run, and nothing has made it superfluous meanwhile. */
function isWanted({ service }: ServiceRecord, { task }: TaskRecord): boolean {
  if (task.desired === "stop" || service.stopped || service.deleting) return false;
  return service.mode.type !== "replicated" || task.slot <= service.mode.replicas;
}

/** Gives up, or puts aside, the tasks of a node that is down: invariant 4. */
export function loseTasks(draft: Draft, node: NodeRecord): void {
  const { world, nowMs, options: { nodeTtlMs, heardMs = nowMs } } = draft;
  const { id: nodeId, name } = node.node;
  const slow = massLoss(world, node, { nowMs, nodeTtlMs }) !== undefined;
  const why = `node ${name} is down`;
  for (const taskId of [...node.holding].sort()) {
    const record = world.tasks.get(taskId);
    const service = record && world.services.get(record.task.serviceId);
    if (!record || !service) continue;
    const aside = service.service.disconnect?.reconcile === "keep-old" &&
      !isStrict(service.service) && isWanted(service, record);
    if (aside && record.task.disconnected) continue;
    const atMs = lossAtMs(service, record, node, nodeTtlMs);
    if (atMs > heardMs) {
      wake(draft, nodeId, atMs);
      continue;
    }
    if (room(draft) === 0) {
      draft.nodesLeft = true;
      wake(draft, nodeId, nowMs);
      return;
    }
    if (slow && !takeFromBatch(draft)) {
      wake(
        draft,
        nodeId,
        Math.max(world.lastLossMs, nowMs - MASS_LOSS.batchMs) + MASS_LOSS.batchMs,
      );
      return;
    }
    draft.actions.push(
      aside
        ? { kind: "disconnect", taskId, disconnected: true, why: `${why}; kept for its return` }
        : { kind: "lose", taskId, why },
    );
    draft.unfinished.add(record.task.serviceId);
  }
}

/** Counts one more task to this second's batch; false when that is full: invariant 3. */
function takeFromBatch(draft: Draft): boolean {
  const open = draft.nowMs - draft.world.lastLossMs >= MASS_LOSS.batchMs;
  draft.slowLosses ??= open ? MASS_LOSS.tasksPerBatch : 0;
  return draft.slowLosses-- > 0;
}

/** The node is back: what was put aside is taken back, and planned once that is done. */
export function takeBack(draft: Draft, node: NodeRecord): void {
  for (const taskId of [...node.holding].sort()) {
    const record = draft.world.tasks.get(taskId);
    if (!record?.task.disconnected) continue;
    if (room(draft) === 0) {
      draft.nodesLeft = true;
      wake(draft, node.node.id, draft.nowMs);
      break;
    }
    const why = `node ${node.node.name} is back`;
    draft.actions.push({ kind: "disconnect", taskId, disconnected: false, why });
    draft.unfinished.add(record.task.serviceId);
  }
}

/**
 * The tasks that the service has on nodes that are not known any more; true when some were given up
 * now: then the service is planned again after that.
 */
export function loseStrays(draft: Draft, service: ServiceRecord): boolean {
  const { world, nowMs, options: { nodeTtlMs } } = draft;
  let lost = false;
  for (const [taskId, { task }] of [...service.slots.strays].sort(([a], [b]) => a < b ? -1 : 1)) {
    const removedMs = world.removedMs.get(task.nodeId ?? "") ?? world.loadedMs;
    const atMs = removedMs + strictWaitAfterRemovalMs(nodeTtlMs);
    if (isStrict(service.service) && atMs > nowMs) { // Invariant 1.
      wake(draft, service.service.id, atMs);
      continue;
    }
    if (!emit(draft, service, { kind: "lose", taskId, why: "its node was removed" })) return true;
    lost = true;
  }
  if (lost) draft.unfinished.add(service.service.id);
  return lost;
}

/** The tasks put aside that nobody wants back any more are given up; true when some were. */
export function loseAside(draft: Draft, service: ServiceRecord): boolean {
  if (service.slots.aside === 0) return false;
  let lost = false;
  for (const tasks of service.live.values()) {
    for (const record of tasks) {
      if (!record.task.disconnected) continue;
      const node = draft.world.nodes.get(record.task.nodeId ?? "");
      const kept = service.service.disconnect?.reconcile === "keep-old";
      if (node?.status?.state === "ready") continue; // It is being taken back.
      if (node && kept && isWanted(service, record)) continue;
      const why = "its node is cut off, and nobody waits for it";
      if (!emit(draft, service, { kind: "lose", taskId: record.task.id, why })) return true;
      lost = true;
    }
  }
  if (lost) draft.unfinished.add(service.service.id);
  return lost;
}
