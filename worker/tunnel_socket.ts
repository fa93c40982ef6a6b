/**
 * A tunnel's WebSocket as frames: one text frame first, then data and controls both ways.
 *
 * @module
 */
import type { TunnelControl } from "../kv/schema/agent.ts";
import type { Clock } from "../kv/schema/time.ts";

export interface Frames {
  /** Aborts when the socket is closed or broken, and with the agent. */
  readonly signal: AbortSignal;
  /** The first text frame; `undefined` when none came in time or the socket closed. */
  first(withinMs: number): Promise<string | undefined>;
  /** From now on hands over every further frame; those that came before come first. */
  listen(handle: (data: string | Uint8Array) => void): void;
  /** Sends data once the socket has room; false when it is closed. */
  data(channel: number, data: Uint8Array): Promise<boolean>;
  control(frame: TunnelControl): void;
  /** Ends the session from this side. */
  abort(): void;
  /** Closes the socket and waits for that, but not for long. */
  close(): Promise<void>;
}

const CLOSE_WITHIN_MS = 2_000;
const ROOM_CHECK_MS = 10;
/** Frames that come before anyone listens; a client has no reason to send more. */
const MAX_EARLY_FRAMES = 1_000;

export function openFrames(
  socket: WebSocket,
  { clock, outer, highWaterBytes }: { clock: Clock; outer: AbortSignal; highWaterBytes: number },
): Frames {
  socket.binaryType = "arraybuffer";
  const over = new AbortController();
  const closed = new AbortController();
  const firstCame = new AbortController();
  const early: (string | Uint8Array)[] = [];
  let first: string | undefined;
  let handler: ((data: string | Uint8Array) => void) | undefined;

  const abort = () => over.abort();
  outer.addEventListener("abort", abort, { once: true });
  if (outer.aborted) abort();
  socket.addEventListener("close", () => {
    closed.abort();
    abort();
  });
  socket.addEventListener("error", abort);
  over.signal.addEventListener("abort", () => firstCame.abort(), { once: true });
  socket.addEventListener("message", ({ data }: MessageEvent<unknown>) => {
    const frame = typeof data === "string"
      ? data
      : data instanceof ArrayBuffer
      ? new Uint8Array(data)
      : undefined;
    if (frame === undefined) return;
    if (first === undefined && typeof frame === "string") {
      first = frame;
      firstCame.abort();
    } else if (handler) handler(frame);
    else if (early.length < MAX_EARLY_FRAMES) early.push(frame);
    else abort();
  });
  const isOpen = () => socket.readyState === WebSocket.OPEN;

  return {
    signal: over.signal,
    async first(withinMs) {
      if (first === undefined) await clock.sleep(withinMs, firstCame.signal);
      return over.signal.aborted ? undefined : first;
    },
    listen(handle) {
      handler = handle;
      for (const frame of early.splice(0)) handle(frame);
    },
    async data(channel, data) {
      while (isOpen() && !over.signal.aborted && socket.bufferedAmount > highWaterBytes) {
        await clock.sleep(ROOM_CHECK_MS, over.signal);
      }
      if (!isOpen() || over.signal.aborted) return false;
      const frame = new Uint8Array(data.length + 1);
      frame[0] = channel;
      frame.set(data, 1);
      socket.send(frame);
      return true;
    },
    control(frame) {
      if (isOpen()) socket.send(JSON.stringify(frame));
    },
    abort,
    async close() {
      outer.removeEventListener("abort", abort);
      abort();
      if (closed.signal.aborted) return;
      socket.close();
      await clock.sleep(CLOSE_WITHIN_MS, closed.signal);
    },
  };
}
