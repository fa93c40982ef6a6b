/**
 * The world that the planner sees: the leader's copy of the stored rows, indexed. It is changed only
 * by the functions below, which keep the indices and the nodes' allocations in step with the tasks.
 * Allocations are derived here and stored nowhere. No clock, no KV, no randomness.
 *
 * @module
 */
import type { Node, NodeSpec, NodeStatus } from "../kv/schema/node.ts";
import type { Service, StrategyName, TaskTemplate } from "../kv/schema/service.ts";
import { type Observed, stateOf, type Task } from "../kv/schema/task.ts";
import { isTerminal, type TaskState } from "../kv/schema/task_state.ts";
import { attach, detach, hold } from "./holdings.ts";
import { repels } from "./rules/rules.ts";
import { changeSlot, emptySlots, reindex, type SlotIndex } from "./slots.ts";

export { demandOf, hostPortsOf } from "./holdings.ts";

/** A task with both of its rows and its derived state. */
export interface TaskRecord {
  task: Task;
  observed?: Observed;
  state: TaskState;
  /** Monotonic ms at which the leader learned that it ended; set once. */
  endedAtMs?: number;
}

/** A node with its three rows and what its tasks hold of it. */
export interface NodeRecord {
  node: Node;
  spec: NodeSpec;
  /** Absent until the leader first concluded something. */
  status?: NodeStatus;
  /** Labels of the agent, overridden by those that users set. */
  labels: Record<string, string>;
  /** Monotonic ms of the newest beat; a new leader starts every node with a fresh grace period. */
  lastSeenMs: number;
  /** Sum of the reservations of the tasks that hold the node, in thousandths of a core and MiB. */
  usedMilliCpus: number;
  usedMemoryMiB: number;
  /** Ids of the tasks that hold the node: assigned to it and not ended. */
  holding: Set<string>;
  /** Host ports that they hold, as `tcp/8080`, with the task that holds each. */
  ports: Map<string, string>;
  /** How many of them belong to each service. */
  perService: Map<string, number>;
  /** The world's `placements` when a task was last placed here: for round-robin. */
  lastPlacedAt: number;
}

export interface ServiceRecord {
  service: Service;
  templates: Map<number, TaskTemplate>;
  /** Tasks that have not ended, by slot and id. More than one a slot only while one is replaced. */
  live: Map<number, TaskRecord[]>;
  /** Ended tasks that are kept as history, by slot, oldest first. */
  ended: Map<number, TaskRecord[]>;
  /** How many of the live tasks wait for a node. */
  pending: number;
  /** Where the slots stand, derived from all of the above. */
  slots: SlotIndex;
}

export interface World {
  strategy: StrategyName;
  nodes: Map<string, NodeRecord>;
  services: Map<string, ServiceRecord>;
  tasks: Map<string, TaskRecord>;
  /** Ids of the services, by `project/name`. */
  names: Map<string, string>;
  /** Ids of the services that keep others away from their tasks. */
  repellers: Set<string>;
  /** Counts placements; orders nodes for round-robin. */
  placements: number;
  /** The greatest id of all tasks that were seen; empty before the first. */
  lastTaskId: string;
}

export function emptyWorld(strategy: StrategyName = "spread"): World {
  return {
    strategy,
    nodes: new Map(),
    services: new Map(),
    tasks: new Map(),
    names: new Map(),
    repellers: new Set(),
    placements: 0,
    lastTaskId: "",
  };
}

/** Adds a service or replaces its row and, if given, the template of its revision. */
export function putService(world: World, service: Service, template?: TaskTemplate): ServiceRecord {
  let record = world.services.get(service.id);
  if (!record) {
    record = {
      service,
      templates: new Map(),
      live: new Map(),
      ended: new Map(),
      pending: 0,
      slots: emptySlots(),
    };
    world.services.set(service.id, record);
    world.names.set(`${service.project}/${service.name}`, service.id);
  }
  const before = record.service;
  record.service = service;
  if (before.revision !== service.revision || before.mode.type !== service.mode.type) {
    reindex(record);
  }
  if (template) record.templates.set(service.revision, template);
  noteRepeller(world, service.id);
  return record;
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
    return known;
  }
  const record: NodeRecord = {
    ...rows,
    labels,
    lastSeenMs: rows.status?.state === "down" ? -Infinity : seenMs,
    usedMilliCpus: 0,
    usedMemoryMiB: 0,
    holding: new Set(),
    ports: new Map(),
    perService: new Map(),
    lastPlacedAt: 0,
  };
  world.nodes.set(rows.node.id, record);
  for (const service of world.services.values()) {
    for (const stray of service.slots.strays.values()) {
      if (stray.task.nodeId === rows.node.id) hold(world, service, stray);
    }
  }
  return record;
}

/** Forgets a node. The tasks that it holds become strays: the next plan gives them up. */
export function dropNode(world: World, nodeId: string): void {
  const node = world.nodes.get(nodeId);
  if (!node) return;
  world.nodes.delete(nodeId);
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
  changeSlot(service, task.slot, () => {
    if (before) detach(world, service, before);
    attach(world, service, record);
  });
  world.tasks.set(task.id, record);
  if (task.id > world.lastTaskId) world.lastTaskId = task.id;
  return record;
}

/** Forgets a task altogether. */
export function dropTask(world: World, taskId: string): void {
  const record = world.tasks.get(taskId);
  if (!record) return;
  const service = world.services.get(record.task.serviceId);
  if (service) changeSlot(service, record.task.slot, () => detach(world, service, record));
  world.tasks.delete(taskId);
}
