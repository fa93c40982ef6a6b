/**
 * Global services: one task on each node that fits.
 *
 * 1. A task belongs to one node: the one that it is on, or, while it waits for room there, its `pin`.
 * 2. A node keeps its slot as long as a task of it is remembered; other nodes get the lowest free ones.
 * 3. A node that is drained, or that the service no longer asks for (its labels, its pool, a `no-execute`
 *    taint), loses its task; one that is cordoned keeps it and gets no new one; the task of a node that is
 *    down is lost, and nobody takes its place.
 * 4. What is not asked for any more goes at once, as in scaling down: nothing takes its place, so the
 *    disruption budget, which is about what is wanted, has no say in it and does not count it.
 *
 * @module
 */
import type { CreateTask } from "../action.ts";
import { hold } from "../assign.ts";
import {
  type Draft,
  emit,
  overlay,
  room,
  stop,
  type Unplaced,
  unplacedNow,
  wake,
} from "../draft.ts";
import type { Filling } from "../fill.ts";
import { type Filter, FILTERS, filtersFor, firstRefusal } from "../filters.ts";
import { ask, type Candidate, overlayOf, type Request, requestOf } from "../overlay.ts";
import type { Policy } from "../policy.ts";
import { makeRoom } from "../preempt.ts";
import { replicaPolicy } from "../replicas.ts";
import { evicting, taintText } from "../rules/taints.ts";
import { newestEnded } from "../slots.ts";
import type { ServiceRecord, TaskRecord, World } from "../world.ts";

const READY = "ready";
/**
 * Filters that ask what a node has left, what runs there, or whether it answers. They say whether its
 * task can start now; all others say whether it is to have one at all.
 */
const MOMENTARY: ReadonlySet<string> = new Set([
  ...[READY, "resources", "hostports"],
  ...["maxpernode", "affinity", "spread"],
]);
/** Keep new tasks away and leave those that run, unless the taint drives them out. */
const AT_THE_DOOR: ReadonlySet<string> = new Set(["taints"]);

export function globalPolicy(world: World, record: ServiceRecord): Policy {
  const policy = replicaPolicy(record, Infinity);
  return { ...policy, due: () => policy.wanted === 0 ? 0 : nodesToServe(world, record, policy) };
}

/** How many nodes have a task or are to have one now, whether there is room or not. */
function nodesToServe(world: World, record: ServiceRecord, policy: Policy): number {
  const served = new Set<string | undefined>();
  const stopping = new Set<string | undefined>();
  for (const task of [...record.live.values()].flat()) {
    if (task.task.disconnected) continue;
    served.add(homeOf(task));
    if (task.task.desired === "stop") stopping.add(homeOf(task));
  }
  const done = new Set<string | undefined>();
  for (const slot of record.ended.keys()) {
    const ended = newestEnded(record, slot);
    if (ended?.task.revision === record.goal && !policy.fate(ended)) done.add(homeOf(ended));
  }
  const template = record.templates.get(record.service.revision);
  if (!template) return served.size;
  const request = requestOf(record.service.id, template);
  const nodes = overlayOf(world);
  const filters = filtersFor(nodes, request);
  const opening = filters.filter(({ name }) => name === READY || !MOMENTARY.has(name));
  const lasting = filters.filter(isLasting);
  let due = served.size;
  for (const node of nodes.candidates) {
    const { id } = node.record.node;
    if (!served.has(id)) {
      if (!done.has(id) && !firstRefusal(opening, node, request)) due++;
    } else if (stopping.has(id) && reasonToStop(node, request, lasting)) due--; // Invariant 4.
  }
  return due;
}

function isLasting({ name }: Filter): boolean {
  return !MOMENTARY.has(name) && !AT_THE_DOOR.has(name);
}

/** The services that any change of a node concerns. */
export function globalServices(world: World): string[] {
  const ids: string[] = [];
  for (const [id, { service }] of world.services) if (service.mode.type === "global") ids.push(id);
  return ids.sort();
}

/** Fills the nodes that are to have a task, and stops the tasks of the others. */
export function fillNodes(draft: Draft, record: ServiceRecord, policy: Policy): Filling {
  const filling: Filling = { placed: 0, waiting: 0, surged: new Set() };
  const template = record.templates.get(record.service.revision);
  if (!template || policy.wanted === 0) return filling;
  const request = requestOf(record.service.id, template);
  const filters = filtersFor(overlay(draft), request);
  const lasting = filters.filter(isLasting);
  const door = filters.filter(({ name }) => AT_THE_DOOR.has(name));
  const tasks = tasksByNode(record);
  const slots = new Slots(draft.world, record);
  const unplaced: Unplaced[] = [];
  const candidates = [...overlay(draft).candidates]
    .sort((a, b) => a.record.node.id < b.record.node.id ? -1 : 1);
  for (const node of candidates) {
    const mine = tasks.get(node.record.node.id) ?? [];
    tasks.delete(node.record.node.id);
    ask(node, request);
    const reason = reasonToStop(node, request, lasting);
    if (reason !== undefined) {
      stopAll(draft, record, mine, reason);
      continue;
    }
    const scene = { draft, record, policy, request, filters, door, filling, slots, unplaced };
    fillNode(scene, node, mine);
  }
  // Last: nothing is placed by a rule that counts what only waits for its room.
  for (const waits of unplaced) makeRoom(draft, waits);
  for (const home of [...tasks.keys()].sort()) {
    stopAll(draft, record, tasks.get(home) ?? [], "it belongs to no node");
  }
  return filling;
}

interface Scene {
  draft: Draft;
  record: ServiceRecord;
  policy: Policy;
  request: Request;
  filters: readonly Filter[];
  /** What keeps new tasks away from a node that is not to lose its own. */
  door: readonly Filter[];
  filling: Filling;
  slots: Slots;
  /** What found no room on its node. */
  unplaced: Unplaced[];
}

/** One node that the service asks for. */
function fillNode(scene: Scene, node: Candidate, mine: TaskRecord[]): void {
  const { draft, record, request, filters, door, filling } = scene;
  const opens = isReady(node, request) && !firstRefusal(door, node, request);
  const [first, ...doubles] = mine.sort(keepFirst);
  stopAll(draft, record, doubles, "another task runs on its node");
  if (!first) {
    if (opens) create(scene, node);
    return;
  }
  if (first.state !== "pending" || draft.stopped.has(first.task.id)) return;
  if (!opens) {
    stop(draft, record, first.task.id, `node ${node.record.node.name} takes no new tasks`);
    return;
  }
  if (firstRefusal(filters, node, request)) {
    return waitFor(scene, node, { waiting: [first], missing: [] });
  }
  const nodeId = node.record.node.id;
  if (!emit(draft, record, { kind: "assign", taskId: first.task.id, nodeId })) return;
  hold(draft, node, request);
  filling.placed++;
}

/** A task that its node has no room for waits there, or others make room for it. */
function waitFor(
  { draft, record, request, filling, unplaced }: Scene,
  only: Candidate,
  tasks: { waiting: TaskRecord[]; missing: CreateTask[] },
): void {
  const waits = unplacedNow(draft, { service: record, request, only, ...tasks });
  draft.unplaced.push(waits);
  unplaced.push(waits);
  filling.waiting++;
}

function create(scene: Scene, node: Candidate): void {
  const { draft, record, policy, request, filters, filling, slots } = scene;
  const { service } = record;
  const nodeId = node.record.node.id;
  const slot = slots.of(nodeId);
  const ended = newestEnded(record, slot);
  let failures = 0;
  if (ended?.task.revision === service.revision && homeOf(ended) === nodeId) {
    const restart = policy.fate(ended);
    if (!restart) return;
    if (restart.atMs > draft.nowMs) {
      wake(draft, service.id, restart.atMs);
      filling.waiting++;
      return;
    }
    failures = restart.failures;
  }
  const { id: serviceId, revision } = service;
  const action: CreateTask = { kind: "create", serviceId, revision, slot, failures };
  if (firstRefusal(filters, node, request)) {
    return waitFor(scene, node, { waiting: [], missing: [{ ...action, pin: nodeId }] });
  }
  if (room(draft) > 0) hold(draft, node, request);
  if (emit(draft, record, { ...action, nodeId })) filling.placed++;
  else filling.waiting++;
}

/** Invariant 3. */
function reasonToStop(
  node: Candidate,
  request: Request,
  lasting: readonly Filter[],
): string | undefined {
  const { name } = node.record.node;
  if (node.record.spec.availability === "drain") return `node ${name} is being drained`;
  const [taint] = evicting(node.record, request.template.placement.tolerations);
  if (taint) return `node ${name} has taint ${taintText(taint)}`;
  const refusal = firstRefusal(lasting, node, request);
  return refusal && `node ${name} ${refusal.group(node, request).one}`;
}

function isReady(node: Candidate, request: Request): boolean {
  return FILTERS.every((filter) => filter.name !== READY || filter.check(node, request));
}

function stopAll(draft: Draft, record: ServiceRecord, tasks: TaskRecord[], why: string): void {
  for (const { task } of tasks) {
    if (task.desired === "run" && !stop(draft, record, task.id, why)) return;
  }
}

/** The live tasks of each node; under "" those that belong to none. */
function tasksByNode({ live }: ServiceRecord): Map<string, TaskRecord[]> {
  const byNode = new Map<string, TaskRecord[]>();
  const byId = (a: TaskRecord, b: TaskRecord) => a.task.id < b.task.id ? -1 : 1;
  for (const task of [...live.values()].flat().sort(byId)) {
    const home = homeOf(task) ?? "";
    const tasks = byNode.get(home);
    if (tasks) tasks.push(task);
    else byNode.set(home, [task]);
  }
  return byNode;
}

/** Invariant 1. */
function homeOf({ task }: TaskRecord): string | undefined {
  return task.nodeId ?? task.pin;
}

/** The one that is kept of several on a node: it runs, or is the oldest. */
function keepFirst(a: TaskRecord, b: TaskRecord): number {
  return Number(b.state === "running") - Number(a.state === "running") ||
    (a.task.id < b.task.id ? -1 : 1);
}

/** Invariant 2. */
class Slots {
  readonly #byNode = new Map<string, number>();
  readonly #taken = new Set<number>();
  #next = 1;

  constructor(world: World, record: ServiceRecord) {
    for (const slot of record.live.keys()) this.#taken.add(slot);
    for (const slot of [...record.ended.keys()].sort((a, b) => a - b)) {
      const ended = newestEnded(record, slot);
      const home = ended && homeOf(ended);
      if (home === undefined || this.#taken.has(slot)) continue;
      if (this.#byNode.has(home) || !world.nodes.has(home)) continue;
      this.#byNode.set(home, slot);
      this.#taken.add(slot);
    }
  }

  /** The slot of a node without a live task. */
  of(nodeId: string): number {
    const known = this.#byNode.get(nodeId);
    if (known !== undefined) return known;
    while (this.#taken.has(this.#next)) this.#next++;
    this.#taken.add(this.#next);
    return this.#next;
  }
}
