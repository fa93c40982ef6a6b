/**
 * Lets a forked world come to rest: plan, apply, let the nodes obey, and again.
 *
 * 1. Nothing but the planner decides; this loop only plays the leader's commits and the nodes' reports.
 * 2. The world is at rest when planning all of it gives no actions and nothing waits for its time.
 * 3. The loop ends: after so many rounds, or when the next thing to happen is beyond the horizon.
 *
 * @module
 */
import type { Action, PlanOptions } from "../action.ts";
import { pendingServices, plan } from "../plan.ts";
import type { World } from "../world.ts";
import { applyActions, obey } from "./reduce.ts";

export interface Settled {
  /** False when it was cut by invariant 3. */
  settled: boolean;
  /** Why tasks were stopped or lost, by their ids. */
  reasons: Map<string, string>;
}

export interface SettleOptions {
  /** Monotonic ms of the world. */
  nowMs: number;
  newId: () => string;
  /** Ids of the nodes that say nothing any more. All others keep saying that they are there. */
  silent: ReadonlySet<string>;
}

const PLAN: PlanOptions = {
  nodeTtlMs: 60_000,
  limit: 10_000,
  historyLimit: Number.MAX_SAFE_INTEGER,
};
/** Back-offs and the like are waited for; a job's retention is not. */
const HORIZON_MS = 3600_000;
/** A round looks at all nodes: so many looks in all. */
const LOOKS = 1_000_000;
const ROUNDS = { least: 200, most: 10_000 };

export function settle(world: World, options: SettleOptions): Settled {
  const { silent } = options;
  const reasons = new Map<string, string>();
  const wakes = new Map<string, number>();
  const untilMs = options.nowMs + HORIZON_MS;
  const rounds = roundsFor(world);
  let { nowMs } = options;
  let all = true;
  let services = new Set<string>();
  beat(world, silent, nowMs);
  obey(world, world.tasks.keys(), nowMs, silent);
  for (let round = 0; round < rounds; round++) {
    const scope = all
      ? { services: [...world.services.keys()].sort(), nodes: [...world.nodes.keys()].sort() }
      : { services, nodes: [] };
    const planned = plan(world, nowMs, scope, PLAN);
    const touched = carryOut(world, planned.actions, { ...options, nowMs, reasons });
    for (const [id, atMs] of planned.wakes) wakes.set(id, atMs);
    services = new Set([...touched, ...planned.unfinished]);
    if (planned.actions.length > 0) {
      for (const id of pendingServices(world)) services.add(id);
    } else if (all) { // Invariant 2.
      const dueMs = nextDue(world, wakes, silent);
      if (dueMs === undefined || dueMs > untilMs) return { settled: true, reasons };
      nowMs = Math.max(nowMs + 1, dueMs);
      for (const [id, atMs] of wakes) if (atMs <= nowMs) wakes.delete(id);
      beat(world, silent, nowMs);
    }
    all = services.size === 0 || planned.actions.length === 0;
  }
  return { settled: false, reasons };
}

function roundsFor(world: World): number {
  const rounds = Math.floor(LOOKS / (world.nodes.size + 1));
  return Math.min(ROUNDS.most, Math.max(ROUNDS.least, rounds));
}

/** Applies the actions and lets the nodes obey; answers the services that this touched. */
function carryOut(
  world: World,
  actions: readonly Action[],
  { newId, nowMs, silent, reasons }: SettleOptions & { reasons: Map<string, string> },
): Set<string> {
  const services = new Set<string>();
  const tasks = new Set<string>();
  for (const action of actions) {
    if ("serviceId" in action) services.add(action.serviceId);
    if (!("taskId" in action)) continue;
    tasks.add(action.taskId);
    const serviceId = world.tasks.get(action.taskId)?.task.serviceId;
    if (serviceId !== undefined) services.add(serviceId);
    if (action.kind === "stop" || action.kind === "lose") reasons.set(action.taskId, action.why);
  }
  const noted = () => {
    const id = newId();
    tasks.add(id);
    return id;
  };
  applyActions(world, actions, noted, nowMs);
  obey(world, tasks, nowMs, silent);
  return services;
}

/** All nodes say that they are there, save the silent ones. */
function beat(world: World, silent: ReadonlySet<string>, nowMs: number): void {
  for (const [id, node] of world.nodes) node.lastSeenMs = silent.has(id) ? -Infinity : nowMs;
}

/** When something that does not depend on a beat wants to be looked at again. */
function nextDue(
  world: World,
  wakes: ReadonlyMap<string, number>,
  silent: ReadonlySet<string>,
): number | undefined {
  let dueMs: number | undefined;
  for (const [id, atMs] of wakes) {
    if (world.nodes.has(id) && !silent.has(id)) continue;
    if (dueMs === undefined || atMs < dueMs) dueMs = atMs;
  }
  return dueMs;
}
