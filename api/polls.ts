/**
 * Long polls of assignments, thousands of them held at once.
 *
 * 1. A node is told of every change: the version of an answer is read before its rows, so a commit that
 *    comes in between is told again by the next answer.
 * 2. A poll registers its waiter before it decides to wait, and both happen without an await in
 *    between, so no wake-up is lost.
 * 3. "Nothing new" is said only of a span of the log that this process has followed itself.
 * 4. A held poll costs one map entry and one timer; leaving it, however it ends, frees both.
 * 5. Whether the leader can know of a poll is looked up when its answer is made: a replica that is cut off
 *    from the database may go on answering, but extends no lease.
 *
 * @module
 */
import { readAssignments } from "../kv/assignments.ts";
import type { Immutable } from "../kv/immutable.ts";
import { logHead } from "../kv/log.ts";
import { Lru } from "../kv/lru.ts";
import { dropRestart, type NodeSettings, readNodeSettings } from "../kv/node_settings.ts";
import type { PollResponse } from "../kv/schema/agent.ts";
import type { Event } from "../kv/schema/event.ts";
import { isTerminal } from "../kv/schema/task_state.ts";
import type { ApiDeps } from "./deps.ts";
import type { Tunnels } from "./tunnel.ts";

export interface PollOptions {
  /** Version of the answer that the node applied last. */
  since?: number;
  holdMs?: number;
  /** The restart that the agent is about to make. */
  restarted?: string;
  /** The request's: aborts when the agent went away. */
  signal: AbortSignal;
}

export interface Polls {
  poll(nodeId: string, options: PollOptions): Promise<PollResponse>;
  /** Polls that are held now. */
  held(): number;
  close(): void;
}

const SETTINGS = 20_000;
/** Polls within one TTL: two in a row may get lost before the node counts as down. */
const POLLS_PER_TTL = 3;

export function createPolls(
  deps: Pick<ApiDeps, "kv" | "clock" | "feed" | "beats" | "nodeTtlMs">,
  rooms: { immutable: Immutable; tunnels: Tunnels },
): Polls {
  const { kv, clock, feed, beats } = deps;
  const coversFrom = feed.head();
  const touched = new Map<string, number>();
  const waiters = new Map<string, Set<() => void>>();
  /** What users decided about nodes, as far as polls need it; dropped when it may have changed. */
  const settings = new Lru<string, NodeSettings>(SETTINGS);
  let settingsChanged = 0;
  let closed = false;

  async function settingsOf(nodeId: string): Promise<NodeSettings> {
    const known = settings.get(nodeId);
    if (known) return known;
    const before = settingsChanged;
    const read = await readNodeSettings(kv, nodeId);
    if (before === settingsChanged) settings.set(nodeId, read);
    return read;
  }

  function wake(nodeId: string): void {
    for (const leave of waiters.get(nodeId) ?? []) leave();
  }

  const unsubscribe = [
    feed.subscribe((entries) => {
      for (const { seq, record } of entries) {
        for (const nodeId of nodesTouched(record.events)) {
          settings.delete(nodeId);
          settingsChanged++;
          touched.set(nodeId, seq);
          wake(nodeId);
        }
      }
    }),
    rooms.tunnels.onRequest(wake),
  ];

  /** Invariant 3. */
  function isCurrent(nodeId: string, since: number | undefined): since is number {
    return since !== undefined && since >= coversFrom && (touched.get(nodeId) ?? 0) <= since;
  }

  /** Resolves when the node is woken, the time is up, or the agent went away. */
  async function hold(nodeId: string, holdMs: number, signal: AbortSignal): Promise<void> {
    const leaving = new AbortController();
    const leave = () => leaving.abort();
    const mine = waiters.get(nodeId) ?? new Set();
    waiters.set(nodeId, mine.add(leave));
    signal.addEventListener("abort", leave, { once: true });
    if (signal.aborted) leave();
    try {
      await clock.sleep(holdMs, leaving.signal);
    } finally {
      // Invariant 4.
      signal.removeEventListener("abort", leave);
      mine.delete(leave);
      if (mine.size === 0 && waiters.get(nodeId) === mine) waiters.delete(nodeId);
    }
  }

  /** Invariant 1. A `since` that is ahead of our feed comes from a replica that saw more. */
  async function versionNow(since: number | undefined): Promise<number> {
    const head = feed.head();
    return since !== undefined && since > head ? Math.max(head, await logHead(kv)) : head;
  }

  async function poll(nodeId: string, options: PollOptions): Promise<PollResponse> {
    const { since, signal } = options;
    const arrivedMs = clock.monoMs();
    beats.beat(nodeId);
    if (options.restarted !== undefined) {
      await dropRestart(kv, nodeId, options.restarted);
      settings.delete(nodeId);
    }
    let own = await settingsOf(nodeId);
    const clusterMs = typeof deps.nodeTtlMs === "number" ? deps.nodeTtlMs : deps.nodeTtlMs();
    const ttlMs = own.ttlMs ?? clusterMs;
    const suggestedMs = Math.floor(ttlMs / POLLS_PER_TTL);
    const holdMs = Math.min(options.holdMs ?? suggestedMs, suggestedMs);
    let tunnels = rooms.tunnels.take(nodeId);
    // Invariant 2: from this decision to the waiter's entry there is no await.
    const news = tunnels.length > 0 || own.restart !== undefined;
    if (isCurrent(nodeId, since) && !news && holdMs > 0 && !closed) {
      // The end of a held poll is no sign of life: a frozen agent's connection stays open.
      await hold(nodeId, holdMs, signal);
      tunnels = rooms.tunnels.take(nodeId);
      own = await settingsOf(nodeId);
    }
    const restart = own.restart === undefined ? {} : { restart: own.restart };
    const rest = { tunnels, holdMs: suggestedMs, ttlMs, ...restart };
    if (isCurrent(nodeId, since)) {
      return { version: since, ...rest, ...unheard(nodeId, arrivedMs, ttlMs) };
    }
    const version = await versionNow(since);
    const assignments = await readAssignments({ kv, immutable: rooms.immutable }, nodeId);
    return { version, assignments, ...rest, ...unheard(nodeId, arrivedMs, ttlMs) };
  }

  /** Invariant 5. A TTL before, the leader need not have known of any poll. */
  function unheard(nodeId: string, arrivedMs: number, ttlMs: number): { unheardMs?: number } {
    const recordedMs = beats.recordedMs(nodeId) ?? -Infinity;
    const unheardMs = Math.min(ttlMs, Math.ceil(arrivedMs - recordedMs));
    return unheardMs > 0 ? { unheardMs } : {};
  }

  return {
    poll,
    held: () => [...waiters.values()].reduce((sum, set) => sum + set.size, 0),
    close() {
      closed = true;
      for (const stop of unsubscribe) stop();
      for (const nodeId of [...waiters.keys()]) wake(nodeId);
    },
  };
}

/**
 * The nodes whose assignments a commit may have changed. A state that a node itself reported, short of
 * the last one, is an echo: it changes nothing that the node does not know.
 */
function nodesTouched(events: readonly Event[]): Set<string> {
  const nodes = new Set<string>();
  for (const event of events) {
    if (event.nodeId === undefined) continue;
    if (event.taskId === undefined) {
      if (event.type === "node.changed") nodes.add(event.nodeId);
      continue;
    }
    const echo = event.type === "task.ready" ||
      event.type === "task.state" && event.state !== undefined && !isTerminal(event.state);
    if (!echo) nodes.add(event.nodeId);
  }
  return nodes;
}
