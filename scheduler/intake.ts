/**
 * What comes in before planning: beats, due timers and wake-ups. Each wake-up has the world brought up to
 * date with the rows that it names, and marks what must be planned again.
 *
 * @module
 */
import { type BeatReader, MAX_READ_GAP_MS } from "../kv/beats.ts";
import {
  failMessage,
  parkUnreadable,
  type QueuedMessage,
  readQueue,
  type UnreadableMessage,
} from "../kv/queue.ts";
import type { Service } from "../kv/schema/service.ts";
import { key } from "../kv/keys.ts";
import { getInOrder, messageOf } from "../kv/store.ts";
import { isReady } from "../kv/schema/task.ts";
import { taskEvent } from "./apply_tasks.ts";
import { refreshNode, refreshService, refreshTask } from "./load.ts";
import { globalServices } from "./modes/global.ts";
import { nodeChange } from "./node_change.ts";
import { ttlOf } from "./loss.ts";
import { pendingServices } from "./plan.ts";
import type { Context, Term } from "./term.ts";
import { missingPorts, missingText } from "./unbound_ports.ts";
import type { NodeRecord } from "./world.ts";
import { dropNode } from "./world_changes.ts";

/** Beats are read this often. */
export const BEATS_MS = 1000;
/** Messages read in one go. */
export const QUEUE_BATCH = 200;
const RETRY_MS = 1000;
const MAX_WHY = 1024;
/**
 * Grace periods in a row for a node that was not heard between them. Without a bound, a leader that is only
 * called now and then (request-driven, and no worker left to call) would never judge.
 */
const MAX_GRACES = 3;

/**
 * Notes who gave a sign of life (tick.ts, invariant 5): once a second while somebody is not ready, and
 * always before a node is judged.
 */
export async function readBeats(context: Context, beats: BeatReader): Promise<void> {
  const { deps, term } = context;
  const nowMs = deps.clock.monoMs();
  if (nowMs < beatsDueAtMs(term)) return;
  const lookedMs = term.beatsAtMs;
  /** It is down, and had not been heard since when the leader looked last. */
  const isGone = (node: NodeRecord) =>
    node.status?.state === "down" && lookedMs - node.lastSeenMs >= ttlOf(node, context.nodeTtlMs);
  if (!attended(term, nowMs)) {
    term.away = { fromMs: lookedMs, toMs: nowMs };
    for (const [nodeId, node] of term.world.nodes) {
      const graces = term.graces.get(nodeId) ?? 0;
      if (isGone(node) || graces >= MAX_GRACES) continue;
      term.graces.set(nodeId, graces + 1);
      node.lastSeenMs = nowMs;
    }
  }
  term.beatsAtMs = nowMs;
  const { fromMs, toMs } = term.away;
  for (const [nodeId, atMs] of await beats.read()) {
    const node = term.world.nodes.get(nodeId);
    // How much of the silence since was the node's is not known: that brings nobody back.
    if (!node || (atMs < fromMs && isGone(node))) continue;
    node.lastSeenMs = Math.max(node.lastSeenMs, atMs, toMs);
    term.graces.delete(nodeId);
    if (node.status?.state !== "ready") term.dirtyNodes.add(nodeId);
  }
}

/**
 * When beats must be read next: when the first node, or tasks of a silent one, would be judged; within a
 * second while somebody is not ready; and soon enough that a row holds all beats since the last look, and
 * that their age is known well: it is counted from the look, not from when the row was written.
 */
export function beatsDueAtMs(term: Term): number {
  const gapMs = term.world.unready.size > 0 ? BEATS_MS : MAX_READ_GAP_MS;
  return Math.min(term.beatsAtMs + gapMs, term.wakes.nodes.earliestMs());
}

/**
 * Whether the leader has looked at the beats lately. If not, it stood still itself (a suspended machine, a
 * database that did not answer), and the nodes' silence says nothing: they get a fresh grace period.
 */
export function attended(term: Term, nowMs: number): boolean {
  return nowMs - term.beatsAtMs < MAX_READ_GAP_MS + BEATS_MS;
}

/** Marks what asked to be planned again by now. */
export function markDue(term: Term, nowMs: number): void {
  for (const id of term.wakes.nodes.takeDue(nowMs)) {
    if (term.world.nodes.has(id)) term.dirtyNodes.add(id);
  }
  for (const id of term.wakes.services.takeDue(nowMs)) {
    if (term.world.services.has(id)) term.dirtyServices.add(id);
  }
}

/** Reads new messages and brings the world up to date with what they name; answers how many. */
export async function readMessages(context: Context): Promise<number> {
  const { deps, term } = context;
  const nowMs = deps.clock.monoMs();
  const skip = term.inFlight.size + term.retryAtMs.size;
  const unreadable: UnreadableMessage[] = [];
  const read = await readQueue(deps.kv, QUEUE_BATCH + skip, (one) => unreadable.push(one));
  for (const one of unreadable) await setAside(context, one);
  const messages = read.filter(({ messageId }) =>
    !term.inFlight.has(messageId) && (term.retryAtMs.get(messageId) ?? 0) <= nowMs
  );
  const observed = await readObserved(context, messages);
  for (const queued of messages) {
    try {
      const entry = observed.get(queued.message.id);
      if (entry) refreshObserved(context, queued.message.id, entry);
      else await refresh(context, queued, nowMs);
      term.inFlight.set(queued.messageId, queued);
    } catch (error) {
      await fail(context, queued, error);
    }
  }
  if (read.length + unreadable.length < QUEUE_BATCH + skip) term.unheard.clear();
  return messages.length + unreadable.length;
}

async function setAside({ deps, term }: Context, unreadable: UnreadableMessage): Promise<void> {
  await parkUnreadable(deps.kv, unreadable, term.lease.guard);
  const { messageId, problem } = unreadable;
  deps.log("error", "message parked: it cannot be read", { messageId, error: problem });
  term.events.push({ type: "message.parked", why: `${messageId} cannot be read: ${problem}` });
}

/** What was observed of the tasks that the messages name, by task: most messages are of this kind. */
async function readObserved(
  { deps: { kv } }: Context,
  messages: readonly QueuedMessage[],
): Promise<Map<string, Deno.KvEntryMaybe<unknown>>> {
  const ids = new Set(messages.flatMap(({ message }) => message.kind === "task" ? message.id : []));
  const entries = await getInOrder(kv, [...ids].map((id) => key.observed(id)));
  return new Map([...ids].flatMap((id, i) => entries[i] ? [[id, entries[i]]] : []));
}

/** Brings a service or node up to date. */
async function refresh(context: Context, queued: QueuedMessage, nowMs: number): Promise<void> {
  const { deps: { kv }, term } = context;
  const { world } = term;
  const { kind, id } = queued.message;
  if (kind === "service") {
    const before = world.services.get(id)?.service;
    const repelled = world.repellers.has(id);
    if (!await refreshService(kv, world, id)) return;
    if (repelled) { for (const other of pendingServices(world)) term.dirtyServices.add(other); }
    const service = world.services.get(id)?.service;
    term.dirtyServices.add(id);
    if (!service) return;
    if (before && !sameLease(before, service)) tellNodes(context, id);
    term.events.push({
      type: "service.changed",
      serviceId: id,
      service: `${service.project}/${service.name}`,
      why: service.deleting
        ? "asked to be removed"
        : `revision ${service.revision}${service.stopped ? ", stopped" : ""}`,
    });
  } else {
    term.dirtyNodes.add(id);
    const known = world.nodes.get(id);
    const before = known && { node: known.node, spec: known.spec };
    if (!await refreshNode(kv, world, id, nowMs)) {
      const node = world.nodes.get(id)?.node.name;
      if (node !== undefined) term.events.push({ type: "node.removed", nodeId: id, node });
      dropNode(world, id, nowMs);
      await forgetStatus(context, id);
      term.wakes.nodes.delete(id);
      term.dirtyNodes.add(id);
      return;
    }
    const record = world.nodes.get(id);
    for (const serviceId of pendingServices(world)) term.dirtyServices.add(serviceId);
    for (const serviceId of globalServices(world)) term.dirtyServices.add(serviceId);
    for (const taskId of record?.holding ?? []) {
      const task = world.tasks.get(taskId)?.task;
      if (task) term.dirtyServices.add(task.serviceId);
    }
    if (record) {
      const missing = missingText(missingPorts(world, record.node));
      const ports = missing === "" ? "" : `; ${missing}`;
      const why = `${nodeChange(before, record)}${ports}`.slice(0, MAX_WHY);
      term.events.push({ type: "node.changed", nodeId: id, node: record.node.name, why });
    }
  }
}

/** A node's status is the leader's: one that was written while the node was removed is left over. */
async function forgetStatus({ deps: { kv }, term }: Context, nodeId: string): Promise<void> {
  const status = await kv.get(key.nodeStatus(nodeId));
  if (status.versionstamp === null) return;
  await kv.atomic().check(term.lease.guard).delete(status.key).commit();
}

/** Whether nodes are to treat the service's tasks as before when they are cut off. */
function sameLease(before: Service, after: Service): boolean {
  return before.singleton === after.singleton &&
    before.disconnect?.stopAfterMs === after.disconnect?.stopAfterMs;
}

/** Has the nodes of a service read their assignments again: what is in them beside the task changed. */
function tellNodes({ term }: Context, serviceId: string): void {
  for (const [nodeId, node] of term.world.nodes) {
    if (!node.perService.has(serviceId)) continue;
    const why = "a service changed what is to happen when the node is cut off";
    term.events.push({ type: "node.changed", nodeId, node: node.node.name, why });
  }
}

function refreshObserved(
  { deps, term }: Context,
  taskId: string,
  entry: Deno.KvEntryMaybe<unknown>,
): void {
  const before = term.world.tasks.get(taskId);
  if (!before || !refreshTask(term.world, taskId, entry, deps.clock.monoMs())) return;
  const after = term.world.tasks.get(taskId);
  if (!after?.observed) return;
  const moved = term.unheard.delete(taskId) || after.state !== before.state ||
    after.observed.attempt !== before.observed?.attempt;
  const readiness = isReady(after.state, after.observed);
  if (!moved && readiness === isReady(before.state, before.observed)) return;
  term.dirtyServices.add(after.task.serviceId);
  if (after.endedAtMs !== undefined) {
    for (const serviceId of pendingServices(term.world)) term.dirtyServices.add(serviceId);
  }
  const { state, attempt, message } = after.observed;
  const { why: _, ...event } = taskEvent(
    term.world,
    after.task,
    moved ? "task.state" : "task.ready",
  );
  if (!moved) {
    const why = readiness ? "ready" : message ?? "not ready";
    term.events.push({ ...event, why });
    return;
  }
  term.events.push({ ...event, state, attempt, ...(message ? { why: message } : {}) });
}

/** The messages behind what could not be planned are counted as failed instead of consumed. */
export async function failBroken(context: Context): Promise<void> {
  const { term } = context;
  if (term.broken.size === 0) return;
  for (const queued of [...term.inFlight.values()]) {
    const { kind, id } = queued.message;
    const about = kind === "task" ? term.world.tasks.get(id)?.task.serviceId ?? id : id;
    const error = term.broken.get(about);
    if (error !== undefined) await fail(context, queued, new Error(error));
  }
  term.broken.clear();
}

/** Counts a failure; the message is tried again later, or parked. */
async function fail(context: Context, queued: QueuedMessage, error: unknown): Promise<void> {
  const { deps, term } = context;
  term.inFlight.delete(queued.messageId);
  const failed = await failMessage(deps.kv, queued, {
    error: messageOf(error).slice(0, 1000),
    guard: term.lease.guard,
  });
  deps.log("error", failed.parked ? "message parked" : "message failed", {
    ...queued.message,
    error: messageOf(error),
  });
  if (failed.parked) {
    term.retryAtMs.delete(queued.messageId);
    const { kind, id } = queued.message;
    term.events.push({ type: "message.parked", why: `${kind} ${id}: ${messageOf(error)}` });
  } else {
    term.retryAtMs.set(queued.messageId, deps.clock.monoMs() + RETRY_MS * 2 ** failed.tries);
  }
}
