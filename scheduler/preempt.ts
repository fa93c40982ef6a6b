/**
 * Making room for tasks of higher priority: what waits for room gets that of tasks that stop anyway, and
 * when that is not enough, tasks of lower priority are stopped for it.
 *
 * 1. Only tasks of services of strictly lower priority are stopped, and of their wanted ones never more
 *    than the service's disruption budget leaves.
 * 2. A node is cleared for a task only as a whole and no further than needed: what is stopped there makes
 *    the task fit, and less would not.
 * 3. The waiting task is nominated for the node. Room that is being made is set aside for it in every plan
 *    from then on, before services of lower priority are looked at, so that they cannot take it.
 * 4. What has been decided is found again by the next plan: nominations come first, then what fits once
 *    everything that is stopping has stopped; only for the rest is more stopped.
 *
 * @module
 */
import type { CreateTask } from "./action.ts";
import { candidateOf, type Draft, overlay, room, stop, type Unplaced, vacate } from "./draft.ts";
import { type Filter, filtersFor, firstRefusal } from "./filters.ts";
import {
  type Candidate,
  forkOf,
  giveBack,
  holdAgain,
  type Overlay,
  promise,
  type Request,
  requestOf,
  take,
} from "./overlay.ts";
import { place } from "./place.ts";
import { cheaper, type Victim, victimsOn } from "./victims.ts";
import { strategyOf } from "./why.ts";
import type { TaskRecord } from "./world.ts";

/** Nodes that one plan clears: each takes a look at all nodes. The next plan goes on. */
const CLEARINGS_PER_PLAN = 32;

/** What a nominated task is told. */
export function whyNominated(draft: Draft, nodeId: string): string {
  const name = draft.world.nodes.get(nodeId)?.node.name ?? nodeId;
  return `waits for room on ${name}: tasks are stopping there`;
}

/** Finds room for what found no node, and notes the nominations. */
export function makeRoom(draft: Draft, unplaced: Unplaced): void {
  const { priority } = unplaced.service.service;
  if (priority <= draft.lowestPriority) return;
  const now = overlay(draft);
  const future = futureOf(draft);
  const { serviceId, template } = unplaced.request;
  const request = requestOf(serviceId, template);
  const filters = filtersFor(future, request);
  const only = unplaced.only && future.candidates[unplaced.only.index];
  const scene: Scene = { draft, now, future, request, filters, unplaced, ...(only && { only }) };
  const left = keepNominations(scene);
  const fitted = fitLater(scene, left);
  for (const [i, node] of fitted.entries()) nominate(scene, left[i], node);
  stopForRest(scene, left.slice(fitted.length));
}

/** Nodes that have room once everything has stopped that is stopping: for the first of the waiting. */
function fitLater(scene: Scene, waiting: readonly Waiting[]): Candidate[] {
  const { draft, future, request, filters, only } = scene;
  if (!only) {
    const strategy = strategyOf(draft.world, request);
    return place(future, request, { strategy, slots: waiting.map(slotOf) });
  }
  if (waiting.length === 0 || firstRefusal(filters, only, request)) return [];
  take(future, only, request);
  return [only];
}

interface Scene {
  draft: Draft;
  now: Overlay;
  /** The nodes once everything that is stopping has stopped. */
  future: Overlay;
  request: Request;
  filters: Filter[];
  unplaced: Unplaced;
  /** The only node that may have them, as it will be. */
  only?: Candidate;
}

type Waiting = TaskRecord | CreateTask;

function slotOf(waiting: Waiting): number {
  return "task" in waiting ? waiting.task.slot : waiting.slot;
}

/** Confirms nominations of earlier plans; answers what has none: invariant 4. */
function keepNominations(scene: Scene): Waiting[] {
  const { draft, future, request, filters, unplaced } = scene;
  const left: Waiting[] = [];
  for (const waiting of unplaced.waiting) {
    const { nominated } = waiting.task;
    const node = nominated === undefined ? undefined : candidateOf(draft, future, nominated);
    if (node && !firstRefusal(filters, node, request)) {
      take(future, node, request);
      nominate(scene, waiting, node);
    } else left.push(waiting);
  }
  return [...left, ...unplaced.missing];
}

/** Sets the room aside among what the plan sees: invariant 3. */
function nominate(
  { now, unplaced, request }: Scene,
  waiting: Waiting | undefined,
  node: Candidate,
) {
  const held = now.candidates[node.index];
  if (!waiting || !held) return;
  promise(now, held, request);
  unplaced.nominated.set(waiting, node.record.node.id);
}

/** Stops tasks of lower priority for those that wait, the first ones first. */
function stopForRest(scene: Scene, waiting: readonly Waiting[]): void {
  const { draft, future, request, filters, unplaced: { service } } = scene;
  let cleared: Candidate | undefined;
  for (const item of waiting) {
    if (!cleared || firstRefusal(filters, cleared, request)) {
      if (draft.clearings >= CLEARINGS_PER_PLAN) {
        draft.unfinished.add(service.service.id);
        return;
      }
      const found = search(scene);
      if (!found) return;
      // Invariant 2: all of them or none; and the one that waits has to be told.
      if (found.victims.length >= room(draft) && draft.actions.length > 0) {
        draft.unfinished.add(service.service.id);
        return;
      }
      const { priority, name } = service.service;
      const why = `preempted by ${name}.${slotOf(item)}, which has priority ${priority}`;
      for (const victim of found.victims) {
        if (!stop(draft, victim.service, victim.task.task.id, why)) return;
        draft.budgets.spend(victim);
      }
      draft.clearings++;
      cleared = found.node;
    }
    take(future, cleared, request);
    nominate(scene, item, cleared);
  }
}

/** Nothing gets easier during a plan: what was sought in vain is not sought again. */
function search(scene: Scene): Clearing | undefined {
  const { draft, request, unplaced: { service }, only } = scene;
  if (only) return cheapest(scene, [only]);
  const { placement } = request.template;
  const alone = placement.affinity.length === 0 && placement.spread.length === 0 &&
    placement.maxPerNode === undefined && draft.world.repellers.size === 0;
  const { milliCpus, memoryMiB, gpus, ports } = request;
  const wish = [service.service.priority, milliCpus, memoryMiB, gpus, ports, placement];
  const key = JSON.stringify(alone ? wish : [request.serviceId, ...wish]);
  if (draft.futile.has(key)) return undefined;
  const found = cheapest(scene, scene.future.candidates);
  if (!found) draft.futile.add(key);
  return found;
}

interface Clearing {
  node: Candidate;
  victims: Victim[];
}

/** The node on which the least has to be stopped. */
function cheapest(scene: Scene, among: readonly Candidate[]): Clearing | undefined {
  const { unplaced, request } = scene;
  const { priority } = unplaced.service.service;
  let best: Clearing | undefined;
  for (const node of among) {
    if (!request.rules?.admissible(node)) continue;
    const victims = victimsOn(scene.draft, node.record, priority);
    if (victims.length === 0) continue;
    const needed = neededOf(scene, node, victims);
    if (!needed) continue;
    if (!best || cheaper({ node, victims: needed }, best)) best = { node, victims: needed };
  }
  return best;
}

/** The victims that have to go for the request to fit; undefined when it does not fit without all. */
function neededOf(
  { future, request, filters }: Scene,
  node: Candidate,
  victims: readonly Victim[],
): Victim[] | undefined {
  if (!couldFit(node, request, victims)) return undefined;
  for (const victim of victims) giveBack(future, node, victim.request);
  const fits = !firstRefusal(filters, node, request);
  const needed: Victim[] = [];
  // The dearest first: whoever can stay, stays.
  for (const victim of victims.toReversed()) {
    holdAgain(future, node, victim.request);
    if (!fits || !firstRefusal(filters, node, request)) continue;
    giveBack(future, node, victim.request);
    needed.push(victim);
  }
  for (const victim of needed) holdAgain(future, node, victim.request);
  return fits ? needed.reverse() : undefined;
}

/** A quick look at the sums, since most nodes are of no use. */
function couldFit(node: Candidate, request: Request, victims: readonly Victim[]): boolean {
  let milliCpus = node.capacityMilliCpus - node.usedMilliCpus;
  let memoryMiB = node.capacityMemoryMiB - node.usedMemoryMiB;
  for (const victim of victims) {
    milliCpus += victim.request.milliCpus;
    memoryMiB += victim.request.memoryMiB;
  }
  return milliCpus >= request.milliCpus && memoryMiB >= request.memoryMiB;
}

/** The nodes once everything has stopped that is stopping: {@link stop} keeps it up to date. */
function futureOf(draft: Draft): Overlay {
  if (draft.future) return draft.future;
  const future = draft.future = forkOf(overlay(draft));
  for (const record of draft.world.services.values()) {
    if (record.slots.stopping === 0) continue;
    for (const tasks of record.live.values()) {
      for (const { task } of tasks) if (task.desired === "stop") vacate(draft, future, task.id);
    }
  }
  for (const taskId of draft.stopped) vacate(draft, future, taskId);
  return future;
}
