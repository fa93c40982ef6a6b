/**
 * Joins two WebSockets, frame by frame, in both directions.
 *
 * @module
 */
import { TunnelControl, type TunnelOpen } from "../kv/schema/agent.ts";

/** Bytes that may wait for a slow reader, in each direction. */
export const MAX_BUFFERED_BYTES = 4 * 1024 * 1024;

const NORMAL = 1000;
const POLICY = 1008;

/** Tells the peer what went wrong, in words, and closes. */
export function fail(socket: WebSocket, message: string): void {
  if (socket.readyState === WebSocket.OPEN) {
    const frame: TunnelControl = { type: "error", message };
    socket.send(JSON.stringify(frame));
  }
  closeQuietly(socket, POLICY);
}

function closeQuietly(socket: WebSocket, code: number): void {
  if (socket.readyState === WebSocket.OPEN || socket.readyState === WebSocket.CONNECTING) {
    socket.close(code);
  }
}

/** Resolves when the socket is open, or is not going to be. */
export function opened(socket: WebSocket): Promise<boolean> {
  if (socket.readyState !== WebSocket.CONNECTING) {
    return Promise.resolve(socket.readyState === WebSocket.OPEN);
  }
  return new Promise((resolve) => {
    socket.addEventListener("open", () => resolve(true), { once: true });
    socket.addEventListener("close", () => resolve(false), { once: true });
  });
}

function closed(socket: WebSocket): Promise<void> {
  if (socket.readyState === WebSocket.CLOSED) return Promise.resolve();
  return new Promise((resolve) =>
    socket.addEventListener("close", () => resolve(), { once: true })
  );
}

/** A client's frames from its first moment on, kept until somebody takes them. */
export interface Inbox {
  socket: WebSocket;
  /** The first frame, if it is text and comes before the signal aborts or the socket closes. */
  first(signal: AbortSignal): Promise<string | undefined>;
  /** Hands over the frames that came meanwhile, and from then on each as it comes. */
  drainTo(take: (data: unknown) => void): void;
}

/** Must be called before the socket opens. */
export function openInbox(socket: WebSocket): Inbox {
  const kept: unknown[] = [];
  let keptBytes = 0;
  let arrived = () => {};
  let take = (data: unknown): void => {
    kept.push(data);
    keptBytes += sizeOf(data);
    if (keptBytes > MAX_BUFFERED_BYTES) fail(socket, "too much input before the agent answered");
    arrived();
  };
  socket.binaryType = "arraybuffer";
  socket.addEventListener("message", (event) => take(event.data));
  return {
    socket,
    async first(signal) {
      if (kept.length === 0) {
        await new Promise<void>((resolve) => {
          arrived = resolve;
          socket.addEventListener("close", () => resolve(), { once: true });
          signal.addEventListener("abort", () => resolve(), { once: true });
          if (signal.aborted) resolve();
        });
      }
      const frame = kept.shift();
      return typeof frame === "string" ? frame : undefined;
    },
    drainTo(next) {
      take = next;
      for (const data of kept.splice(0)) next(data);
    },
  };
}

function sizeOf(data: unknown): number {
  if (typeof data === "string") return data.length;
  return data instanceof ArrayBuffer ? data.byteLength : 0;
}

/**
 * Sends the agent what the client asks for, then passes frames on until either side closes; resolves
 * when both are closed.
 */
export async function relay(client: Inbox, agent: Inbox, open: TunnelOpen): Promise<void> {
  if (!await opened(agent.socket)) return fail(client.socket, "the node's agent hung up");
  agent.socket.send(JSON.stringify(open));
  const cut = () => {
    fail(
      client.socket,
      "the reader is too slow for this much data; ask for less (--tail, --since)",
    );
    closeQuietly(agent.socket, POLICY);
  };
  pass(client, agent.socket, cut);
  pass(agent, client.socket, cut);
  await Promise.all([closed(client.socket), closed(agent.socket)]);
}

/** Sends the agent what is asked for, and waits for the frame that says what came of it. */
export async function askOnce(
  agent: Inbox,
  open: TunnelOpen,
  signal: AbortSignal,
): Promise<{ ok: true } | { ok: false; message: string }> {
  const hungUp = "the node's agent hung up";
  if (!await opened(agent.socket)) return { ok: false, message: hungUp };
  agent.socket.send(JSON.stringify(open));
  const answer = await agent.first(signal);
  closeQuietly(agent.socket, NORMAL);
  if (answer === undefined) {
    return { ok: false, message: signal.aborted ? "it took too long" : hungUp };
  }
  const control = TunnelControl.safeParse(JSON.parse(answer));
  if (!control.success) return { ok: false, message: "the node's agent answered something else" };
  const { data } = control;
  return data.type === "error" ? { ok: false, message: data.message } : { ok: true };
}

function pass(from: Inbox, to: WebSocket, cut: () => void): void {
  const end = () => closeQuietly(to, NORMAL);
  from.socket.addEventListener("close", end);
  from.drainTo((data) => {
    if (to.readyState !== WebSocket.OPEN) return;
    if (to.bufferedAmount > MAX_BUFFERED_BYTES) return cut();
    if (typeof data === "string" || data instanceof ArrayBuffer) to.send(data);
  });
  if (from.socket.readyState !== WebSocket.OPEN) end();
}
