/**
 * What the nodes have left while a plan is made: the world's allocations plus the tentative ones of this
 * plan. The world itself is never written to.
 *
 * @module
 */
import { allocatableOf } from "../kv/schema/node.ts";
import type { TaskTemplate } from "../kv/schema/service.ts";
import { demandOf, hostPortsOf, type NodeRecord, type World } from "./world.ts";

/** Identical tasks of one service that want a place. */
export interface Request {
  serviceId: string;
  template: TaskTemplate;
  milliCpus: number;
  memoryMiB: number;
  /** Published host ports, as `tcp/8080`. */
  ports: readonly string[];
  /** Hash of the service's id, once needed. */
  hash?: number;
}

export type NodeState = "joining" | "ready" | "down";

/** A node as a candidate for tasks. */
export interface Candidate {
  record: NodeRecord;
  state: NodeState;
  capacityMilliCpus: number;
  capacityMemoryMiB: number;
  usedMilliCpus: number;
  usedMemoryMiB: number;
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
  /** Its place in the order of preference, lower is better; set while placing. */
  score: number;
  /** Hash of its id, once needed. */
  hash?: number;
}

export interface Overlay {
  candidates: Candidate[];
  placements: number;
}

/** `states` overrides what the world knows of some nodes: what this plan concludes about them. */
export function overlayOf(world: World, states?: ReadonlyMap<string, NodeState>): Overlay {
  const candidates: Candidate[] = [];
  for (const [id, record] of world.nodes) {
    const allocatable = allocatableOf(record.node);
    candidates.push({
      record,
      state: states?.get(id) ?? record.status?.state ?? "joining",
      capacityMilliCpus: Math.round(allocatable.cpus * 1000),
      capacityMemoryMiB: allocatable.memoryMiB,
      usedMilliCpus: record.usedMilliCpus,
      usedMemoryMiB: record.usedMemoryMiB,
      tasks: record.holding.size,
      mine: 0,
      placedAt: record.lastPlacedAt,
      score: 0,
    });
  }
  return { candidates, placements: world.placements };
}

export function requestOf(serviceId: string, template: TaskTemplate): Request {
  return { serviceId, template, ...demandOf(template.reserve), ports: hostPortsOf(template) };
}

/** Prepares the candidate for questions about this request. */
export function ask(candidate: Candidate, request: Request): void {
  candidate.mine = (candidate.record.perService.get(request.serviceId) ?? 0) +
    (candidate.added?.get(request.serviceId) ?? 0);
}

/** Sets aside what one task needs. */
export function take(overlay: Overlay, candidate: Candidate, request: Request): void {
  shift(candidate, request, 1);
  candidate.placedAt = ++overlay.placements;
  if (request.ports.length === 0) return;
  candidate.portsTaken ??= new Set();
  for (const port of request.ports) candidate.portsTaken.add(port);
}

/** Gives back what one task of the world holds, for a what-if. */
export function giveBack(candidate: Candidate, request: Request): void {
  shift(candidate, request, -1);
  candidate.portsFreed = new Set(request.ports);
}

function shift(candidate: Candidate, request: Request, sign: 1 | -1): void {
  candidate.usedMilliCpus += sign * request.milliCpus;
  candidate.usedMemoryMiB += sign * request.memoryMiB;
  candidate.tasks += sign;
  candidate.mine += sign;
  candidate.added ??= new Map();
  const added = candidate.added.get(request.serviceId) ?? 0;
  candidate.added.set(request.serviceId, added + sign);
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
