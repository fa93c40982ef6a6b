/**
 * Tunnels: a client's WebSocket joined to one that the task's agent dials back.
 *
 * 1. A session is answered once: the first dial takes it out of the waiting ones.
 * 2. A request is handed to the agent's poll, again after {@link REDELIVER_MS} while its row exists: an
 *    answer may get lost. It is not handed out in between, so that polls do not spin.
 * 3. Either side's end is the other side's end, and whoever waits waits for at most {@link DIAL_MS}.
 * 4. What a slow reader has not taken is bounded by {@link MAX_BUFFERED_BYTES}; past it the session
 *    ends with an error. A WebSocket cannot be told to pause, and the server's memory is shared.
 *
 * @module
 */
import { key } from "../kv/keys.ts";
import { dropTunnel, type PendingTunnel, pendingTunnels, requestTunnel } from "../kv/tunnels.ts";
import type { TunnelOpen, TunnelRequest } from "../kv/schema/agent.ts";
import type { ApiDeps } from "./deps.ts";
import { askOnce, fail, type Inbox, relay } from "./relay.ts";

/** How long a client waits for the agent, in ms. */
export const DIAL_MS = 10_000;
const REDELIVER_MS = 2_000;
/** Rows that outlive every client were left behind by a replica that died. */
const ORPHAN_MS = 3 * DIAL_MS;
const WATCH_RETRY_MS = 500;

export interface Tunnels {
  /** The requests to hand to a node's agent now. */
  take(nodeId: string): TunnelRequest[];
  /** Calls back with the node for which a request came in. */
  onRequest(listener: (nodeId: string) => void): () => void;
  /** Asks the agent to dial, and joins the client's socket to it; resolves when both are closed. */
  connect(client: Inbox, nodeId: string, open: TunnelOpen): Promise<void>;
  /** Asks the agent for something that it answers in one frame. */
  ask(nodeId: string, open: TunnelOpen, signal: AbortSignal): Promise<Answered>;
  /** Whether a client of this replica waits for this dial. */
  expects(nodeId: string, sessionId: string): boolean;
  /** The agent dialled: gives its socket to the client that waits. */
  answer(nodeId: string, sessionId: string, agent: Inbox): void;
  /** Sessions that are joined or waiting. */
  count(): number;
  close(): Promise<void>;
}

export type Answered = { ok: true } | { ok: false; message: string };

interface Waiting {
  nodeId: string;
  dialled(agent: Inbox): void;
}

interface Known extends PendingTunnel {
  seenMs: number;
  handedMs?: number;
}

export function createTunnels(
  deps: Pick<ApiDeps, "kv" | "clock" | "newId" | "publicUrl" | "log">,
): Tunnels {
  const { kv, clock } = deps;
  const waiting = new Map<string, Waiting>();
  const requests = new Map<string, Known>();
  const listeners = new Set<(nodeId: string) => void>();
  const closing = new AbortController();
  const sockets = new Set<WebSocket>();
  let sessions = 0;

  function learn(tunnel: PendingTunnel): void {
    if (requests.has(tunnel.sessionId)) return;
    requests.set(tunnel.sessionId, { ...tunnel, seenMs: clock.monoMs() });
    for (const listener of listeners) listener(tunnel.nodeId);
  }

  /** Makes `requests` what the database has. */
  async function refresh(): Promise<void> {
    const pending = await pendingTunnels(kv);
    const ids = new Set(pending.map((tunnel) => tunnel.sessionId));
    for (const id of requests.keys()) {
      if (!ids.has(id) && !waiting.has(id)) requests.delete(id);
    }
    for (const tunnel of pending) learn(tunnel);
  }

  async function watchOnce(): Promise<void> {
    const reader = kv.watch([key.tunnelHead()]).getReader();
    const stop = () => void reader.cancel().catch(() => {});
    closing.signal.addEventListener("abort", stop, { once: true });
    try {
      while (!closing.signal.aborted && !(await reader.read()).done) await refresh();
    } finally {
      closing.signal.removeEventListener("abort", stop);
      await reader.cancel().catch(() => {});
    }
  }

  const watching = (async () => {
    while (!closing.signal.aborted) {
      // A watch that broke (a remote database went away) is taken up again.
      await watchOnce().catch(() => {});
      await clock.sleep(WATCH_RETRY_MS, closing.signal);
    }
  })();

  async function forget(tunnel: PendingTunnel): Promise<void> {
    waiting.delete(tunnel.sessionId);
    requests.delete(tunnel.sessionId);
    await dropTunnel(kv, tunnel).catch((error) =>
      deps.log.error("a tunnel's row could not be deleted", { error: String(error) })
    );
  }

  /** The agent's socket; undefined when it did not dial in time, or nobody waits for it any more. */
  async function dial(nodeId: string, gone: AbortSignal): Promise<Inbox | undefined> {
    const tunnel: PendingTunnel = {
      nodeId,
      sessionId: deps.newId(),
      ...(deps.publicUrl === undefined ? {} : { url: deps.publicUrl }),
    };
    const { promise, resolve } = Promise.withResolvers<Inbox | undefined>();
    const over = new AbortController();
    const giveUp = () => over.abort();
    gone.addEventListener("abort", giveUp, { once: true });
    if (gone.aborted) giveUp();
    closing.signal.addEventListener("abort", giveUp, { once: true });
    waiting.set(tunnel.sessionId, {
      nodeId,
      dialled: (agent) => {
        resolve(agent);
        giveUp();
      },
    });
    try {
      await requestTunnel(kv, tunnel);
      learn(tunnel);
      await clock.sleep(DIAL_MS, over.signal); // (3)
      waiting.delete(tunnel.sessionId);
      resolve(undefined);
      return await promise;
    } finally {
      gone.removeEventListener("abort", giveUp);
      closing.signal.removeEventListener("abort", giveUp);
      await forget(tunnel);
    }
  }

  function noAnswer(): string {
    if (closing.signal.aborted) return "the server is shutting down";
    const seconds = DIAL_MS / 1000;
    return `the node's agent did not answer within ${seconds} s. Is it up? See berth nodes.`;
  }

  return {
    take(nodeId) {
      const nowMs = clock.monoMs();
      const due: TunnelRequest[] = [];
      // There are only as many as are being opened at this moment.
      for (const known of requests.values()) {
        if (known.nodeId !== nodeId) continue;
        if (nowMs - known.seenMs > ORPHAN_MS && !waiting.has(known.sessionId)) {
          void forget(known);
        } else if (known.handedMs === undefined || nowMs - known.handedMs >= REDELIVER_MS) { // (2)
          known.handedMs = nowMs;
          const { sessionId, url } = known;
          due.push({ sessionId, ...(url === undefined ? {} : { url }) });
        }
      }
      return due;
    },

    onRequest(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },

    async connect(client, nodeId, open) {
      sessions++;
      sockets.add(client.socket);
      try {
        const gone = new AbortController();
        client.socket.addEventListener("close", () => gone.abort(), { once: true });
        const agent = await dial(nodeId, gone.signal);
        if (agent) await relay(client, agent, open);
        else fail(client.socket, noAnswer());
      } finally {
        sockets.delete(client.socket);
        sessions--;
      }
    },

    async ask(nodeId, open, signal) {
      sessions++;
      try {
        const agent = await dial(nodeId, signal);
        return agent ? await askOnce(agent, open, signal) : { ok: false, message: noAnswer() };
      } finally {
        sessions--;
      }
    },

    expects: (nodeId, sessionId) => waiting.get(sessionId)?.nodeId === nodeId,

    answer(nodeId, sessionId, agent) {
      const session = waiting.get(sessionId);
      if (session?.nodeId !== nodeId) {
        return fail(agent.socket, "nobody waits for this session any more");
      }
      waiting.delete(sessionId); // (1)
      session.dialled(agent);
    },

    count: () => sessions,

    async close() {
      closing.abort();
      for (const socket of sockets) fail(socket, "the server is shutting down");
      await watching;
    },
  };
}
