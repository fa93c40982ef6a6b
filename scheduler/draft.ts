/**
 * A plan in the making, shared by the planner's concerns.
 *
 * @module
 */
import type { TaskTemplate } from "../kv/schema/service.ts";
import type { Action, CreateTask, PlanOptions } from "./action.ts";
import {
  type Candidate,
  giveBack,
  type NodeState,
  type Overlay,
  overlayOf,
  type Request,
  requestOf,
} from "./overlay.ts";
import type { Policy } from "./policy.ts";
import { evicts } from "./rules/taints.ts";
import { type Budgets, createBudgets, type Victim } from "./victims.ts";
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
  /** The lowest priority of any service: nobody makes room for it. */
  lowestPriority: number;
  /** What preemption needs to know (preempt.ts); the maps are filled as needed, by node. */
  budgets: Budgets;
  victims: Map<string, Victim[]>;
  requests: Map<TaskTemplate, Request>;
  /** How the nodes will be once what stops has stopped. */
  future?: Overlay;
  /** The places of the nodes in overlays. */
  indices?: Map<string, number>;
  /** Nodes cleared by this plan, and searches that found none to clear. */
  clearings: number;
  futile: Set<string>;
}

/** Tasks for which no node had room. They are told why at the end, when all is placed that fits. */
export interface Unplaced {
  service: ServiceRecord;
  request: Request;
  waiting: TaskRecord[];
  missing: CreateTask[];
  /** The only node that was asked. */
  only?: Candidate;
  /** The nodes on which room is being made for some of them. */
  nominated: Map<TaskRecord | CreateTask, string>;
  /** How many actions the plan had, and stops among them, when a place was sought for them. */
  since: { actions: number; stopped: number };
}

export function newDraft(
  world: World,
  nowMs: number,
  options: PlanOptions,
  policyOf: (record: ServiceRecord) => Policy,
): Draft {
  let lowestPriority = Infinity;
  for (const { service, live } of world.services.values()) {
    if (service.deleting && live.size === 0) continue;
    lowestPriority = Math.min(lowestPriority, service.priority);
  }
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
    lowestPriority,
    budgets: createBudgets(policyOf),
    victims: new Map(),
    requests: new Map(),
    clearings: 0,
    futile: new Set(),
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
  if (draft.future) vacate(draft, draft.future, taskId);
  // A pending task ends at once; its slot is free then.
  if (draft.world.tasks.get(taskId)?.state === "pending") draft.unfinished.add(service.service.id);
  return true;
}

/** Gives back what the task holds. */
export function vacate(draft: Draft, future: Overlay, taskId: string): void {
  const task = draft.world.tasks.get(taskId)?.task;
  const template = task && draft.world.services.get(task.serviceId)?.templates.get(task.revision);
  const node = candidateOf(draft, future, task?.nodeId ?? "");
  if (task && template && node) giveBack(future, node, requestOf(task.serviceId, template));
}

/** A node of the plan's overlay, or of a fork of it, by its id. */
export function candidateOf(draft: Draft, of: Overlay, nodeId: string): Candidate | undefined {
  draft.indices ??= new Map(of.candidates.map(({ record, index }) => [record.node.id, index]));
  return of.candidates[draft.indices.get(nodeId) ?? -1];
}

/** Asks for the service or node to be planned again at this monotonic ms, or earlier. */
export function wake(draft: Draft, id: string, atMs: number): void {
  draft.wakes.set(id, Math.min(atMs, draft.wakes.get(id) ?? Infinity));
}

/** What the nodes have left in this plan. */
export function overlay(draft: Draft): Overlay {
  return draft.overlay ??= overlayOf(draft.world, draft.states);
}

/** The nodes that tasks have to leave, by id: all tasks, or those that do not tolerate its taints. */
export function drainingNodes(draft: Draft): NodeRecord[] {
  return draft.draining ??= [...draft.world.nodes.values()]
    .filter(({ spec }) => spec.availability === "drain" || spec.taints.some(evicts))
    .sort((a, b) => a.node.id < b.node.id ? -1 : 1);
}

/** Notes for the end of the plan that these tasks found no node now. */
export function unplacedNow(
  draft: Draft,
  parts: Omit<Unplaced, "nominated" | "since">,
): Unplaced {
  const since = { actions: draft.actions.length, stopped: draft.stopped.size };
  return { ...parts, nominated: new Map(), since };
}
