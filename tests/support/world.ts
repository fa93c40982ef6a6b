/**
 * Builders of planner worlds.
 *
 * @module
 */
import type { Action, Plan, PlanOptions, Scope } from "../../scheduler/action.ts";
import { type Request, requestOf } from "../../scheduler/overlay.ts";
import { plan } from "../../scheduler/plan.ts";
import { applyActions } from "../../scheduler/forecast/reduce.ts";
import { emptyWorld, type TaskRecord, type World } from "../../scheduler/world.ts";
import { putNode, putService, putTask, putTemplate } from "../../scheduler/world_changes.ts";
import { putVolume, putVolumeNode } from "../../scheduler/volumes.ts";
import type { Node, NodeSpec, NodeStatus } from "../../kv/schema/node.ts";
import {
  Disconnect,
  type Mode,
  type Service,
  type StrategyName,
  TaskTemplate,
} from "../../kv/schema/service.ts";
import { RollbackConfig, UpdateConfig } from "../../kv/schema/update.ts";
import type { Observed, Task } from "../../kv/schema/task.ts";
import { isTerminal, type TaskState } from "../../kv/schema/task_state.ts";
import type { z } from "zod";

export { applyActions };

const AT = "2026-01-01T00:00:00.000Z";

/** Schedules have seen five seconds pass. */
export const OPTIONS: PlanOptions = {
  nodeTtlMs: 6000,
  limit: 1000,
  historyLimit: 5,
  wallMs: Date.parse(AT) + 5000,
};

export interface NodeInput {
  /** Its id is `id-` and the name. */
  name: string;
  cpus?: number;
  memoryMiB?: number;
  labels?: Record<string, string>;
  engineLabels?: Record<string, string>;
  /** Default: 10.0.0.1. */
  address?: string;
  gpus?: number;
  hostname?: string;
  arch?: string;
  pool?: string;
  taints?: NodeSpec["taints"];
  availability?: NodeSpec["availability"];
  /** Default: ready. */
  state?: NodeStatus["state"] | "joining";
  usedPorts?: number[];
  seenMs?: number;
}

export interface ServiceInput {
  /** Its id is `id-` and the name. */
  name: string;
  mode?: Mode;
  replicas?: number;
  revision?: number;
  stopped?: boolean;
  deleting?: boolean;
  singleton?: "strict";
  disconnect?: z.input<typeof Disconnect>;
  priority?: number;
  /** Its disruption budget; default 1. */
  maxUnavailable?: number;
  update?: z.input<typeof UpdateConfig>;
  rollback?: z.input<typeof RollbackConfig>;
  template?: Partial<z.input<typeof TaskTemplate>>;
}

export interface TaskInput {
  id: string;
  /** Names, not ids. */
  service: string;
  slot: number;
  node?: string;
  /** Default: running with a node, pending without. */
  state?: TaskState;
  desired?: Task["desired"];
  revision?: number;
  failures?: number;
  why?: string;
  ranMs?: number;
  endedAtMs?: number;
}

export interface VolumeInput {
  name: string;
  driver?: string;
  /** Names of nodes that have it. */
  nodes?: string[];
}

export interface WorldInput {
  volumes?: VolumeInput[];
  strategy?: StrategyName;
  nodes?: NodeInput[];
  services?: ServiceInput[];
  tasks?: TaskInput[];
}

export function idOf(name: string): string {
  return `id-${name}`;
}

/** Nodes n1, n2, … with the same capacity (default: 4 cores, 4096 MiB). */
export function nodes(count: number, input: Omit<NodeInput, "name"> = {}): NodeInput[] {
  return Array.from({ length: count }, (_, i) => ({ ...input, name: `n${i + 1}` }));
}

/** Rows are added in the order given; times default to 0. */
export function world(input: WorldInput): World {
  const made = emptyWorld(input.strategy);
  for (const node of input.nodes ?? []) addNode(made, node);
  for (const service of input.services ?? []) addService(made, service);
  for (const volume of input.volumes ?? []) addVolume(made, volume);
  for (const task of input.tasks ?? []) addTask(made, task);
  return made;
}

export function addVolume(made: World, { name, driver, nodes = [] }: VolumeInput): void {
  const rest = driver === undefined ? {} : { driver };
  putVolume(made, { id: idOf(name), project: "default", name, createdAt: AT, ...rest });
  for (const node of nodes) putVolumeNode(made, `default/${name}`, idOf(node), node);
}

export function addNode(made: World, input: NodeInput): void {
  const node: Node = {
    id: idOf(input.name),
    name: input.name,
    address: input.address ?? "10.0.0.1",
    capacity: { cpus: input.cpus ?? 4, memoryMiB: input.memoryMiB ?? 4096 },
    labels: {},
    engineLabels: input.engineLabels ?? {},
    ...(input.hostname === undefined ? {} : { hostname: input.hostname }),
    ...(input.gpus === undefined ? {} : { gpus: input.gpus }),
    os: "linux",
    arch: input.arch ?? "x86_64",
    runtime: "sim",
    engine: "sim 1",
    agentVersion: "0",
    usedPorts: input.usedPorts ?? [],
    joinedAt: AT,
  };
  const spec: NodeSpec = {
    labels: input.labels ?? {},
    availability: input.availability ?? "active",
    pool: input.pool ?? "default",
    taints: input.taints ?? [],
  };
  const state = input.state ?? "ready";
  const status: NodeStatus | undefined = state === "joining"
    ? undefined
    : { state, since: AT, why: state === "down" ? "no sign of life for 7 s (limit 6 s)" : "seen" };
  putNode(made, { node, spec, ...(status ? { status } : {}) }, input.seenMs ?? 0);
}

/** Adds a service or replaces it. All revisions up to its newest have the same template. */
export function addService(made: World, input: ServiceInput): void {
  const service: Service = {
    id: idOf(input.name),
    name: input.name,
    project: "default",
    labels: {},
    mode: input.mode ?? { type: "replicated", replicas: input.replicas ?? 1 },
    priority: input.priority ?? 0,
    disruption: { maxUnavailable: input.maxUnavailable ?? 1 },
    update: UpdateConfig.parse(input.update ?? {}),
    rollback: RollbackConfig.parse(input.rollback ?? {}),
    stopped: input.stopped ?? false,
    ...(input.singleton ? { singleton: input.singleton } : {}),
    ...(input.disconnect ? { disconnect: Disconnect.parse(input.disconnect) } : {}),
    ingressPorts: [],
    deleting: input.deleting ?? false,
    revision: input.revision ?? 1,
    createdAt: AT,
    updatedAt: AT,
  };
  const template = TaskTemplate.parse({ image: "app", ...input.template });
  putService(made, service, template);
  for (let revision = 1; revision < service.revision; revision++) {
    if (!made.services.get(service.id)?.templates.has(revision)) {
      putTemplate(made, service.id, revision, template);
    }
  }
}

export function addTask(made: World, input: TaskInput): TaskRecord {
  const serviceId = idOf(input.service);
  const state = input.state ?? (input.node === undefined ? "pending" : "running");
  const leaders = state === "lost" || (state === "stopped" && input.node === undefined);
  const task: Task = {
    id: input.id,
    serviceId,
    revision: input.revision ?? made.services.get(serviceId)?.service.revision ?? 1,
    slot: input.slot,
    ...(input.node === undefined ? {} : { nodeId: idOf(input.node) }),
    desired: input.desired ?? "run",
    ...(leaders ? { ended: state } : {}),
    ...(input.why === undefined ? {} : { why: input.why }),
    failures: input.failures ?? 0,
    createdAt: AT,
  };
  const seen = leaders || state === "pending" || state === "assigned"
    ? undefined
    : observed(input.id, state, input.ranMs);
  const record = putTask(made, task, seen, input.endedAtMs ?? 0);
  if (!record) throw new Error(`add task ${input.id}: no service ${input.service}`);
  return record;
}

function observed(taskId: string, state: TaskState, ranMs?: number): Observed {
  if (state === "pending" || state === "assigned" || state === "lost") {
    throw new Error(`observed task ${taskId}: nodes do not report ${state}`);
  }
  const ran = ranMs === undefined ? {} : { ranMs };
  return { taskId, attempt: 1, state, health: "none", ports: [], ...ran };
}

/** What a node reports about one of its tasks. */
export function report(made: World, taskId: string, state: TaskState, nowMs = 0, ranMs?: number) {
  const record = made.tasks.get(taskId);
  if (!record) throw new Error(`report task ${taskId}: no such task`);
  putTask(made, record.task, observed(taskId, state, ranMs), nowMs);
}

/** Every live task that has a node does what it shall: run, or end. */
export function settle(made: World, nowMs = 0): void {
  for (const { task, state } of [...made.tasks.values()]) {
    if (isTerminal(state) || state === "pending") continue;
    if (task.desired === "stop") report(made, task.id, "stopped", nowMs);
    else if (state !== "running") report(made, task.id, "running", nowMs);
  }
}

/** Ids t0001, t0002, …: in the order in which they are made. */
export function counter(prefix = "t"): () => string {
  let last = 0;
  return () => `${prefix}${String(++last).padStart(6, "0")}`;
}

/** Everything there is, by id. */
export function everything(made: World): Scope {
  return { services: [...made.services.keys()].sort(), nodes: [...made.nodes.keys()].sort() };
}

/** Plans everything in the world, or one service by name. */
export function planAll(
  made: World,
  options: { nowMs?: number; service?: string } & Partial<PlanOptions> = {},
): Plan {
  const { nowMs = 0, service, ...rest } = options;
  const scope = service === undefined ? everything(made) : { services: [idOf(service)], nodes: [] };
  return plan(made, nowMs, scope, { ...OPTIONS, ...rest });
}

/** Plans and applies until nothing is left to do at this time; answers what was done, round by round. */
export function converge(
  made: World,
  newId: () => string,
  options: { nowMs?: number } & Partial<PlanOptions> = {},
): Action[][] {
  const rounds: Action[][] = [];
  for (let round = 0; round < 50; round++) {
    const { actions } = planAll(made, options);
    if (actions.length === 0) return rounds;
    rounds.push(actions);
    applyActions(made, actions, newId, options.nowMs ?? 0);
  }
  throw new Error("planning does not come to rest within 50 rounds");
}

/** The live tasks of a service as `slot@node state`, with `!` when they shall stop, by slot. */
export function liveOf(made: World, service: string): string[] {
  const record = made.services.get(idOf(service));
  const tasks = [...(record?.live.values() ?? [])].flat();
  return tasks.sort((a, b) => a.task.slot - b.task.slot || (a.task.id < b.task.id ? -1 : 1))
    .map(({ task, state }) => {
      const node = task.nodeId === undefined ? "" : `@${made.nodes.get(task.nodeId)?.node.name}`;
      return `${task.slot}${node} ${state}${task.desired === "stop" ? "!" : ""}`;
    });
}

/** What the planner asks for a task of a service. */
export function requestFor(made: World, service: string): Request {
  const record = made.services.get(idOf(service));
  const template = record?.templates.get(record.service.revision);
  if (!template) throw new Error(`no service ${service}`);
  return requestOf(idOf(service), template);
}
