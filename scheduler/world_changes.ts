/**
 * Changes of the world: rows that were put or dropped. They keep the indices and the nodes' allocations in
 * step with the tasks. Allocations are derived here and stored nowhere. No clock, no KV, no randomness.
 *
 * @module
 */
import type { Node, NodeSpec, NodeStatus } from "../kv/schema/node.ts";
import { goalOf, type Rollout, type RolloutRequest } from "../kv/schema/rollout.ts";
import type { Service, TaskTemplate } from "../kv/schema/service.ts";
import { type Observed, stateOf, type Task } from "../kv/schema/task.ts";
import { isTerminal } from "../kv/schema/task_state.ts";
import { attach, detach, hold } from "./holdings.ts";
import { repels } from "./rules/rules.ts";
import { evicts, taintText } from "./rules/taints.ts";
import { noteTrial } from "./serving.ts";
import { changeSlot, emptySlots, isOwnFailure, reindex } from "./slots.ts";
import type { NodeRecord, ServiceRecord, TaskRecord, World } from "./world.ts";

/** Adds a service or replaces its row and, if given, the template of its revision. */
export function putService(world: World, service: Service, template?: TaskTemplate): ServiceRecord {
  let record = world.services.get(service.id);
  if (!record) {
    record = {
      service,
      templates: new Map(),
      goal: service.revision,
      rolloutSinceMs: 0,
      restarts: [],
      live: new Map(),
      ended: new Map(),
      pending: 0,
      mark: {},
      failuresMs: new Map(),
      slots: emptySlots(),
      runs: new Map(),
      elapsed: new Map(),
    };
    world.services.set(service.id, record);
    world.names.set(`${service.project}/${service.name}`, service.id);
  }
  const before = record.service;
  record.service = service;
  const goal = goalOf(service, record.rollout);
  if (goal !== record.goal || before.mode.type !== service.mode.type) {
    record.goal = goal;
    reindex(record);
  }
  if (template) record.templates.set(service.revision, template);
  noteRepeller(world, service.id);
  return record;
}

/** Replaces what the leader remembers of a service's rollout. */
export function putRollout(
  world: World,
  serviceId: string,
  rollout: Rollout | undefined,
  nowMs: number,
): void {
  const record = world.services.get(serviceId);
  if (!record) return;
  if (!rollout || !record.rollout || !sameCourse(record.rollout, rollout)) {
    record.rolloutSinceMs = nowMs;
  }
  if (rollout) record.rollout = rollout;
  else delete record.rollout;
  const goal = goalOf(record.service, record.rollout);
  if (goal === record.goal) return;
  record.goal = goal;
  reindex(record);
}

/** Asking again for what is so already starts no new windows and deadlines. */
function sameCourse(a: Rollout, b: Rollout): boolean {
  return a.revision === b.revision && a.state === b.state && a.back === b.back &&
    a.promoted === b.promoted;
}

/** Replaces what users ask of a service's rollout. */
export function putRolloutRequest(
  world: World,
  serviceId: string,
  request: RolloutRequest | undefined,
): void {
  const record = world.services.get(serviceId);
  if (!record) return;
  if (request) record.request = request;
  else delete record.request;
}

/** Adds the template of an older revision that some task still runs. */
export function putTemplate(
  world: World,
  serviceId: string,
  revision: number,
  template: TaskTemplate,
): void {
  world.services.get(serviceId)?.templates.set(revision, template);
  noteRepeller(world, serviceId);
}

function noteRepeller(world: World, serviceId: string): void {
  if (repels(world, serviceId)) world.repellers.add(serviceId);
  else world.repellers.delete(serviceId);
}

/** Forgets a service. Its tasks must have been dropped before. */
export function dropService(world: World, serviceId: string): void {
  const service = world.services.get(serviceId)?.service;
  if (!service) return;
  world.services.delete(serviceId);
  world.repellers.delete(serviceId);
  const name = `${service.project}/${service.name}`;
  if (world.names.get(name) === serviceId) world.names.delete(name);
}

/**
 * Adds a node or replaces its rows; allocations are kept. `seenMs` counts for a new node only, and not
 * for one that is known to be down: it gets no grace period, only a beat brings it back.
 */
export function putNode(
  world: World,
  rows: { node: Node; spec: NodeSpec; status?: NodeStatus },
  seenMs: number,
): NodeRecord {
  const labels = { ...rows.node.labels, ...rows.spec.labels };
  const known = world.nodes.get(rows.node.id);
  if (known) {
    known.node = rows.node;
    known.spec = rows.spec;
    if (rows.status) known.status = rows.status;
    known.labels = labels;
    noteUnready(world, known);
    noteLeaving(known, seenMs);
    return known;
  }
  const record: NodeRecord = {
    ...rows,
    labels,
    lastSeenMs: rows.status?.state === "down" ? -Infinity : seenMs,
    knownSinceMs: seenMs,
    taintSinceMs: new Map(),
    usedMilliCpus: 0,
    usedMemoryMiB: 0,
    usedGpus: 0,
    mark: {},
    holding: new Set(),
    ended: new Set(),
    ports: new Map(),
    perService: new Map(),
    lastPlacedAt: 0,
  };
  noteLeaving(record, seenMs);
  noteUnready(world, record);
  world.nodes.set(rows.node.id, record);
  for (const service of world.services.values()) {
    for (const stray of service.slots.strays.values()) {
      if (stray.task.nodeId === rows.node.id) hold(world, service, stray);
    }
  }
  return record;
}

function noteUnready(world: World, { node, status }: NodeRecord): void {
  if (status?.state === "ready") world.unready.delete(node.id);
  else world.unready.add(node.id);
}

function noteLeaving(node: NodeRecord, nowMs: number): void {
  if (node.spec.availability === "drain") node.drainSinceMs ??= nowMs;
  else delete node.drainSinceMs;
  const before = node.taintSinceMs;
  node.taintSinceMs = new Map(
    node.spec.taints.filter(evicts).map(taintText).map((text) => [text, before.get(text) ?? nowMs]),
  );
}

/** Forgets a node. The tasks that it holds become strays: the next plan gives them up. */
export function dropNode(world: World, nodeId: string, nowMs = 0): void {
  const node = world.nodes.get(nodeId);
  if (!node) return;
  world.nodes.delete(nodeId);
  world.unready.delete(nodeId);
  world.removedMs.set(nodeId, nowMs);
  for (const taskId of node.holding) {
    const stray = world.tasks.get(taskId);
    if (stray) world.services.get(stray.task.serviceId)?.slots.strays.set(taskId, stray);
  }
}

/**
 * Adds a task or replaces its rows, and moves it between the indices. `nowMs` stamps the end of a task
 * that is seen ended for the first time. The service must be known; so must the node, if it has one
 * (a task of an unknown node is kept, holding nothing).
 */
export function putTask(
  world: World,
  task: Task,
  observed: Observed | undefined,
  nowMs: number,
): TaskRecord | undefined {
  const service = world.services.get(task.serviceId);
  if (!service) return undefined;
  const before = world.tasks.get(task.id);
  const record: TaskRecord = { task, state: stateOf(task, observed) };
  if (observed) record.observed = observed;
  if (isTerminal(record.state)) record.endedAtMs = before?.endedAtMs ?? nowMs;
  if (before && before.endedAtMs === undefined && isOwnFailure(record)) {
    noteFailure(service, task.nodeId, nowMs);
  }
  if (before && task.ended === "lost" && before.task.ended !== "lost") world.lastLossMs = nowMs;
  noteTrial(record, before, nowMs);
  changeSlot(service, task.slot, () => {
    if (before) detach(world, service, before);
    attach(world, service, record);
  });
  world.tasks.set(task.id, record);
  if (task.id > world.lastTaskId) world.lastTaskId = task.id;
  return record;
}

/** Enough of them for any verdict (failing.ts). */
const KEPT_FAILURES = 8;

/** A task failed on this node by its own fault. */
export function noteFailure(
  { failuresMs }: ServiceRecord,
  nodeId: string | undefined,
  nowMs: number,
): void {
  if (nodeId === undefined) return;
  failuresMs.set(nodeId, [...failuresMs.get(nodeId) ?? [], nowMs].slice(-KEPT_FAILURES));
}

/** Forgets a task altogether. */
export function dropTask(world: World, taskId: string): void {
  const record = world.tasks.get(taskId);
  if (!record) return;
  const service = world.services.get(record.task.serviceId);
  if (service) changeSlot(service, record.task.slot, () => detach(world, service, record));
  world.tasks.delete(taskId);
}
