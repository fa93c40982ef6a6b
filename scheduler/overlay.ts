/**
 * What the nodes have left while a plan is made: the world's allocations plus the tentative ones of this
 * plan. The world itself is never written to.
 *
 * @module
 */
import type { Constraint } from "../kv/schema/constraint.ts";
import { allocatableOf } from "../kv/schema/node.ts";
import type { TaskTemplate } from "../kv/schema/service.ts";
import { requiredConstraints } from "./rules/constraints.ts";
import {
  type Counter,
  notePromised,
  shiftCounter,
  tasksOf,
  type Topology,
} from "./rules/domains.ts";
import type { Rules } from "./rules/rules.ts";
import { type Located, settle } from "./rules/volumes.ts";
import { boundVolumes } from "./volumes.ts";
import { demandOf, hostPortsOf, type NodeRecord, type World } from "./world.ts";

/** Identical tasks of one service that want a place. */
export interface Request {
  serviceId: string;
  template: TaskTemplate;
  milliCpus: number;
  memoryMiB: number;
  gpus: number;
  /** Published host ports, as `tcp/8080`. */
  ports: readonly string[];
  /** What the node itself must be like. */
  constraints: readonly Constraint[];
  /** Named volumes that bind their tasks to nodes, unless they are shared. */
  volumes: readonly string[];
  /** Where those are that are somewhere, as of the overlay that was asked last; see filtersFor. */
  located?: readonly Located[];
  /** The rules that look at other tasks, for the overlay that was asked last; see filtersFor. */
  rules?: Rules;
  /** Hash of the service's id, once needed. */
  hash?: number;
  /** The lot of the slot that was asked about last; see strategies/random.ts. */
  lot?: {
    slot: number;
    nodes: number;
    of: number;
    start: number;
    stride: number;
    inverse?: number;
  };
}

export type NodeState = "joining" | "ready" | "down";

/** A node as a candidate for tasks. */
export interface Candidate {
  record: NodeRecord;
  /** Its place in the overlay's list. */
  index: number;
  state: NodeState;
  capacityMilliCpus: number;
  capacityMemoryMiB: number;
  usedMilliCpus: number;
  usedMemoryMiB: number;
  usedGpus: number;
  /** Tasks that hold it. */
  tasks: number;
  /** How many of them are of the service that asks; set by {@link ask}. */
  mine: number;
  /** Count of placements when it last got a task. */
  placedAt: number;
  /** Host ports: taken by tasks of this plan, and given back in a what-if. */
  portsTaken?: Set<string>;
  portsFreed?: Set<string>;
  /** Tasks of this plan (negative: given back), by service. */
  added?: Map<string, number>;
  /** Of those, tasks that only have room set aside; see {@link promise}. */
  promised?: Map<string, number>;
  /** Its place in the order of preference, lower is better; set while placing. Preferences first. */
  preference: number;
  score: number;
  /** Its place among the ids of all candidates, and their number; set by {@link rank}. */
  rank: number;
  ranks: number;
}

export interface Overlay {
  world: World;
  candidates: Candidate[];
  placements: number;
  /** Services of which this plan gave tasks to nodes, or took some. */
  moved: Set<string>;
  /** The candidates by id, once needed. */
  ranked?: Candidate[];
  /** Whether any node has a taint of effect `prefer-no-schedule`, once needed. */
  softTaints?: boolean;
  /** Where this plan puts volumes that are nowhere yet, by `project/name`: node id and name. */
  located: Map<string, ReadonlyMap<string, string>>;
  /** Once needed: domains of nodes, by label; tasks in them, by service and label. */
  topologies: Map<string, Topology>;
  counters: Map<string, Map<string, Counter>>;
}

/** `states` overrides what the world knows of some nodes: what this plan concludes about them. */
export function overlayOf(world: World, states?: ReadonlyMap<string, NodeState>): Overlay {
  const candidates: Candidate[] = [];
  for (const [id, record] of world.nodes) {
    const allocatable = allocatableOf(record.node);
    candidates.push({
      record,
      index: candidates.length,
      state: states?.get(id) ?? record.status?.state ?? "joining",
      capacityMilliCpus: Math.round(allocatable.cpus * 1000),
      capacityMemoryMiB: allocatable.memoryMiB,
      usedMilliCpus: record.usedMilliCpus,
      usedMemoryMiB: record.usedMemoryMiB,
      usedGpus: record.usedGpus,
      tasks: record.holding.size,
      mine: 0,
      placedAt: record.lastPlacedAt,
      preference: 0,
      score: 0,
      rank: 0,
      ranks: 0,
    });
  }
  const { placements } = world;
  return {
    ...{ world, candidates, placements, located: new Map(), moved: new Set<string>() },
    ...{ topologies: new Map(), counters: new Map() },
  };
}

/** A copy that can be changed by itself, for a what-if. */
export function forkOf(overlay: Overlay): Overlay {
  const candidates = overlay.candidates.map((node): Candidate => ({
    ...node,
    ...(node.portsTaken ? { portsTaken: new Set(node.portsTaken) } : {}),
    ...(node.portsFreed ? { portsFreed: new Set(node.portsFreed) } : {}),
    ...(node.added ? { added: new Map(node.added) } : {}),
    ...(node.promised ? { promised: new Map(node.promised) } : {}),
  }));
  const { world, placements, topologies } = overlay;
  const located = new Map(overlay.located);
  const moved = new Set(overlay.moved);
  return { world, candidates, placements, located, moved, topologies, counters: new Map() };
}

export function requestOf(serviceId: string, template: TaskTemplate): Request {
  return {
    serviceId,
    template,
    ...demandOf(template),
    ports: hostPortsOf(template),
    constraints: requiredConstraints(template.placement),
    volumes: boundVolumes(template),
  };
}

/** Gives the candidates their ranks. */
export function rank(overlay: Overlay): Candidate[] {
  if (overlay.ranked) return overlay.ranked;
  const ranked = [...overlay.candidates]
    .sort((a, b) => a.record.node.id < b.record.node.id ? -1 : 1);
  for (const [i, node] of ranked.entries()) {
    node.rank = i;
    node.ranks = ranked.length;
  }
  return overlay.ranked = ranked;
}

/** Prepares the candidate for questions about this request. */
export function ask(candidate: Candidate, request: Request): void {
  candidate.mine = tasksOf(candidate, request.serviceId);
}

/** Whether any node holds a task of the service that asks; if not, none need be asked for its own. */
export function isSomewhere({ world, moved }: Overlay, { serviceId }: Request): boolean {
  return moved.has(serviceId) || (world.services.get(serviceId)?.live.size ?? 0) > 0;
}

/** Sets aside what one task needs. */
export function take(overlay: Overlay, candidate: Candidate, request: Request): void {
  shift(overlay, candidate, request, 1);
  settle(overlay, request, candidate.record.node);
  candidate.mine++;
  candidate.placedAt = ++overlay.placements;
  if (request.ports.length === 0) return;
  candidate.portsTaken ??= new Set();
  for (const port of request.ports) candidate.portsTaken.add(port);
}

/**
 * Sets aside what one task will need that waits until others have stopped. It takes room and keeps away
 * what it keeps away, but it is no company yet, and makes nothing even: it may go elsewhere in the end.
 */
export function promise(overlay: Overlay, candidate: Candidate, request: Request): void {
  take(overlay, candidate, request);
  const { serviceId } = request;
  candidate.promised ??= new Map();
  candidate.promised.set(serviceId, (candidate.promised.get(serviceId) ?? 0) + 1);
  const counters = overlay.counters.get(serviceId);
  if (counters) { for (const counter of counters.values()) notePromised(counter, candidate, 1); }
}

/** Gives back what one task of the world holds, for a what-if. */
export function giveBack(overlay: Overlay, candidate: Candidate, request: Request): void {
  shift(overlay, candidate, request, -1);
  if (request.ports.length === 0) return;
  candidate.portsFreed ??= new Set();
  for (const port of request.ports) candidate.portsFreed.add(port);
}

/** Undoes {@link giveBack}. */
export function holdAgain(overlay: Overlay, candidate: Candidate, request: Request): void {
  shift(overlay, candidate, request, 1);
  for (const port of request.ports) candidate.portsFreed?.delete(port);
}

function shift(overlay: Overlay, candidate: Candidate, request: Request, sign: 1 | -1): void {
  candidate.usedMilliCpus += sign * request.milliCpus;
  candidate.usedMemoryMiB += sign * request.memoryMiB;
  candidate.usedGpus += sign * request.gpus;
  candidate.tasks += sign;
  overlay.moved.add(request.serviceId);
  candidate.added ??= new Map();
  const added = candidate.added.get(request.serviceId) ?? 0;
  candidate.added.set(request.serviceId, added + sign);
  const counters = overlay.counters.get(request.serviceId);
  if (counters) { for (const counter of counters.values()) shiftCounter(counter, candidate, sign); }
}

/** Who holds a host port: a task (its id; empty for one of this plan), something else, or nobody. */
export function portHolder(
  candidate: Candidate,
  port: string,
): { taskId: string } | "other" | undefined {
  if (candidate.portsTaken?.has(port)) return { taskId: "" };
  const taskId = candidate.record.ports.get(port);
  if (taskId !== undefined && !candidate.portsFreed?.has(port)) return { taskId };
  return candidate.record.node.usedPorts.includes(portNumber(port)) ? "other" : undefined;
}

function portNumber(port: string): number {
  return Number(port.slice(port.indexOf("/") + 1));
}
