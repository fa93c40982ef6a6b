/**
 * Long polls of assignments, thousands of them held at once.
 *
 * 1. A node is told of every change: the version of an answer is read before its rows, so a commit that
 *    comes in between is told again by the next answer.
 * 2. A poll registers its waiter before it decides to wait, and both happen without an await in
 *    between, so no wake-up is lost.
 * 3. "Nothing new" is said only of a span of the log that this process has followed itself.
 * 4. A held poll costs what one wait does (waits.ts); leaving it, however it ends, frees that.
 * 5. Whether the leader can know of a poll is looked up when its answer is made: a replica that is cut off
 *    from the database may go on answering, but extends no lease.
 * 6. What the leader's memory says is believed as far as it goes: it has in it all records up to the version
 *    of the answer. Only an agent that says what it has is answered from it: the memory learns of a task's
 *    end after the rows do, and an agent that lost its state would start the task again.
 *
 * @module
 */
import { makeAssignments, readAssignments } from "../kv/assignments.ts";
import type { Immutable } from "../kv/immutable.ts";
import { logHead } from "../kv/log.ts";
import { Lru } from "../kv/lru.ts";
import { dropRestart, type NodeSettings, readNodeSettings } from "../kv/node_settings.ts";
import type { Assignment, PollResponse } from "../kv/schema/agent.ts";
import type { Event } from "../kv/schema/event.ts";
import { isTerminal } from "../kv/schema/task_state.ts";
import type { ApiDeps } from "./deps.ts";
import type { Tunnels } from "./tunnel.ts";
import { createWaits } from "./waits.ts";

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
  deps: Pick<ApiDeps, "kv" | "clock" | "feed" | "beats" | "nodeTtlMs" | "liveAssigned">,
  rooms: { immutable: Immutable; tunnels: Tunnels },
): Polls {
  const { kv, clock, feed, beats } = deps;
  const coversFrom = feed.head();
  const touched = new Map<string, number>();
  const waits = createWaits(clock);
  /** What users decided about nodes, as far as polls need it; dropped when it may have changed. */
  const settings = new Lru<string, NodeSettings>(SETTINGS);
  let settingsChanged = 0;
  let closed = false;

  async function readSettings(nodeId: string): Promise<NodeSettings> {
    const before = settingsChanged;
    const read = await readNodeSettings(kv, nodeId);
    if (before === settingsChanged) settings.set(nodeId, read);
    return read;
  }

  const unsubscribe = [
    feed.subscribe((entries) => {
      for (const { seq, record } of entries) {
        for (const event of record.events) {
          if (event.type !== "node.changed" || event.nodeId === undefined) continue;
          settings.delete(event.nodeId);
          settingsChanged++;
        }
        for (const nodeId of nodesTouched(record.events)) {
          touched.set(nodeId, seq);
          waits.wake(nodeId);
        }
      }
    }),
    rooms.tunnels.onRequest(waits.wake),
  ];

  /** Invariant 3. */
  function isCurrent(nodeId: string, since: number | undefined): since is number {
    return since !== undefined && since >= coversFrom && (touched.get(nodeId) ?? 0) <= since;
  }

  /** Invariant 1. A `since` that is ahead of our feed comes from a replica that saw more. */
  async function versionNow(since: number | undefined): Promise<number> {
    const head = feed.head();
    return since !== undefined && since > head ? Math.max(head, await logHead(kv)) : head;
  }

  /** Invariant 6. */
  function assignmentsOf(
    nodeId: string,
    { version, since }: { version: number; since: number | undefined },
  ): Promise<Assignment[]> {
    const read = { kv, immutable: rooms.immutable };
    const live = since === undefined ? undefined : deps.liveAssigned?.();
    const known = live && live.seq >= version ? live.of(nodeId) : undefined;
    return known ? makeAssignments(read, known) : readAssignments(read, nodeId);
  }

  async function poll(nodeId: string, options: PollOptions): Promise<PollResponse> {
    const { since, signal } = options;
    const arrivedMs = clock.monoMs();
    beats.beat(nodeId);
    if (options.restarted !== undefined) {
      await dropRestart(kv, nodeId, options.restarted);
      settings.delete(nodeId);
    }
    let own = settings.get(nodeId) ?? await readSettings(nodeId);
    const clusterMs = typeof deps.nodeTtlMs === "number" ? deps.nodeTtlMs : deps.nodeTtlMs();
    const ttlMs = own.ttlMs ?? clusterMs;
    const suggestedMs = Math.floor(ttlMs / POLLS_PER_TTL);
    const holdMs = Math.min(options.holdMs ?? suggestedMs, suggestedMs);
    let tunnels = rooms.tunnels.take(nodeId);
    // Invariant 2: from this decision to the waiter's entry there is no await.
    const news = tunnels.length > 0 || own.restart !== undefined;
    if (isCurrent(nodeId, since) && !news && holdMs > 0 && !closed) {
      // The end of a held poll is no sign of life: a frozen agent's connection stays open.
      await waits.wait(nodeId, holdMs, signal);
      tunnels = rooms.tunnels.take(nodeId);
      own = settings.get(nodeId) ?? await readSettings(nodeId);
    }
    const restart = own.restart === undefined ? {} : { restart: own.restart };
    const rest = { tunnels, holdMs: suggestedMs, ttlMs, ...restart };
    if (isCurrent(nodeId, since)) {
      return { version: since, ...rest, ...unheard(nodeId, arrivedMs, ttlMs) };
    }
    const version = await versionNow(since);
    const assignments = await assignmentsOf(nodeId, { version, since });
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
    held: waits.count,
    close() {
      closed = true;
      for (const stop of unsubscribe) stop();
      waits.wakeAll();
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
