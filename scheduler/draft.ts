/**
 * A plan in the making, shared by the planner's concerns.
 *
 * @module
 */
import type { Action, CreateTask, PlanOptions } from "./action.ts";
import {
  type Candidate,
  type NodeState,
  type Overlay,
  overlayOf,
  type Request,
} from "./overlay.ts";
import type { NodeRecord, ServiceRecord, TaskRecord, World } from "./world.ts";

export interface Draft {
  world: World;
  nowMs: number;
  options: PlanOptions;
  actions: Action[];
  /** Services to plan again once the actions are applied. */
  unfinished: Set<string>;
  wakes: Map<string, number>;
  /** A node was cut by the limit. */
  nodesLeft: boolean;
  /** What this plan concludes about nodes. */
  states: Map<string, NodeState>;
  overlay?: Overlay;
  draining?: NodeRecord[];
  unplaced: Unplaced[];
  /** How many more tasks of silent nodes this plan may give up, when that is done slowly. */
  slowLosses?: number;
  /** Tasks that this plan stops: nothing else is decided about them. */
  stopped: Set<string>;
  /** Services of which this plan stops a task. */
  disturbed: Set<string>;
}

/** Tasks for which no node had room. They are told why at the end, when all is placed that fits. */
export interface Unplaced {
  service: ServiceRecord;
  request: Request;
  waiting: TaskRecord[];
  missing: CreateTask[];
  /** The only node that was asked. */
  only?: Candidate;
}

export function newDraft(world: World, nowMs: number, options: PlanOptions): Draft {
  return {
    world,
    nowMs,
    options,
    actions: [],
    unfinished: new Set(),
    wakes: new Map(),
    nodesLeft: false,
    states: new Map(),
    unplaced: [],
    stopped: new Set(),
    disturbed: new Set(),
  };
}

/** How many actions the limit still allows. */
export function room(draft: Draft): number {
  return Math.max(0, draft.options.limit - draft.actions.length);
}

/** Adds an action about a service, or notes that the service is not finished; false when cut. */
export function emit(draft: Draft, service: ServiceRecord, action: Action): boolean {
  if (room(draft) === 0) {
    draft.unfinished.add(service.service.id);
    return false;
  }
  draft.actions.push(action);
  return true;
}

/** Stops a live task, unless this plan does already; false when cut. */
export function stop(
  draft: Draft,
  service: ServiceRecord,
  taskId: string,
  why: string,
  more: { over?: true } = {},
): boolean {
  if (draft.stopped.has(taskId)) return true;
  if (!emit(draft, service, { kind: "stop", taskId, why, ...more })) return false;
  draft.stopped.add(taskId);
  draft.disturbed.add(service.service.id);
  // A pending task ends at once; its slot is free then.
  if (draft.world.tasks.get(taskId)?.state === "pending") draft.unfinished.add(service.service.id);
  return true;
}

/** Asks for the service or node to be planned again at this monotonic ms, or earlier. */
export function wake(draft: Draft, id: string, atMs: number): void {
  draft.wakes.set(id, Math.min(atMs, draft.wakes.get(id) ?? Infinity));
}

/** What the nodes have left in this plan. */
export function overlay(draft: Draft): Overlay {
  return draft.overlay ??= overlayOf(draft.world, draft.states);
}

/** The nodes that are being drained, by id. */
export function drainingNodes(draft: Draft): NodeRecord[] {
  return draft.draining ??= [...draft.world.nodes.values()]
    .filter(({ spec }) => spec.availability === "drain")
    .sort((a, b) => a.node.id < b.node.id ? -1 : 1);
}
