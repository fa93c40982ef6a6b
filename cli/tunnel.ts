/**
 * The client's end of a tunnel (frames: kv/schema/agent.ts) as a stream of values.
 *
 * Invariants:
 * 1. The last frame is always `closed`, whatever happened, and it comes once.
 * 2. Nothing is sent before the socket is open: what is said earlier waits.
 *
 * @module
 */
import { CHANNEL, TunnelControl } from "../kv/schema/agent.ts";

export type Frame =
  | { kind: "data"; stream: "stdout" | "stderr"; data: Uint8Array }
  | { kind: "exit"; code: number }
  | { kind: "output-end" }
  | { kind: "taken"; bytes: number }
  /** The agent's or the server's own words. */
  | { kind: "error"; message: string }
  | { kind: "closed"; clean: boolean; reason: string };

export interface Tunnel {
  /** Ends after `closed`. Read by one reader. */
  frames: AsyncGenerator<Frame>;
  control(message: TunnelControl): void;
  /** Standard input. Resolves when more may be sent. */
  input(data: Uint8Array): Promise<void>;
  /** Asks for the end; `closed` follows. The owner must call it. */
  close(): void;
}

/** Input that may wait in memory before `input` makes its caller wait. */
const MAX_BUFFERED_BYTES = 1 << 20;
const BUFFER_POLL_MS = 5;

export interface TunnelOptions {
  /** The agent has taken so many more bytes of the input. */
  onAck?: (bytes: number) => void;
}

export function openTunnel(socket: WebSocket, { onAck }: TunnelOptions = {}): Tunnel {
  const queue: Frame[] = [];
  const unsent: (string | Uint8Array<ArrayBuffer>)[] = [];
  let wake = () => {};
  let ended = false;
  let failure = "";

  const push = (frame: Frame) => {
    if (ended) return;
    ended = frame.kind === "closed";
    queue.push(frame);
    wake();
  };
  const send = (message: string | Uint8Array<ArrayBuffer>) => {
    if (socket.readyState === WebSocket.CONNECTING) unsent.push(message);
    else if (socket.readyState === WebSocket.OPEN) socket.send(message);
  };
  socket.binaryType = "arraybuffer";
  socket.addEventListener("open", () => {
    for (const message of unsent.splice(0)) socket.send(message);
  });
  socket.addEventListener("message", ({ data }) => {
    const frame = frameOf(data);
    if (frame.kind === "ack") onAck?.(frame.bytes);
    else push(frame);
  });
  socket.addEventListener("error", (event) => {
    failure = event instanceof ErrorEvent ? event.message : "the connection broke";
  });
  socket.addEventListener("close", (event) => {
    // Invariant 1: a socket that fails before it opens closes too.
    push({ kind: "closed", clean: event.code === 1000, reason: event.reason || failure });
  });

  async function* frames(): AsyncGenerator<Frame> {
    while (true) {
      const frame = queue.shift();
      if (frame) {
        yield frame;
        if (frame.kind === "closed") return;
      } else await new Promise<void>((resolve) => wake = resolve);
    }
  }

  return {
    frames: frames(),
    control: (message) => send(JSON.stringify(message)),
    async input(data) {
      const message = new Uint8Array(data.length + 1);
      message[0] = CHANNEL.stdin;
      message.set(data, 1);
      send(message);
      while (socket.readyState === WebSocket.OPEN && socket.bufferedAmount > MAX_BUFFERED_BYTES) {
        await new Promise((resolve) => setTimeout(resolve, BUFFER_POLL_MS));
      }
    },
    close() {
      if (socket.readyState <= WebSocket.OPEN) socket.close(1000);
    },
  };
}

function frameOf(data: unknown): Frame | { kind: "ack"; bytes: number } {
  if (data instanceof ArrayBuffer) {
    const bytes = new Uint8Array(data);
    const stream = bytes[0] === CHANNEL.stderr ? "stderr" : "stdout";
    return { kind: "data", stream, data: bytes.subarray(1) };
  }
  let json: unknown;
  try {
    json = JSON.parse(String(data));
  } catch {
    return { kind: "error", message: "the agent sent a frame that is no JSON" };
  }
  const control = TunnelControl.safeParse(json);
  if (control.success && control.data.type === "ack") {
    return { kind: "ack", bytes: control.data.bytes };
  }
  if (control.success && control.data.type === "exit") {
    return { kind: "exit", code: control.data.code };
  }
  if (control.success && control.data.type === "output-end") return { kind: "output-end" };
  if (control.success && control.data.type === "taken") {
    return { kind: "taken", bytes: control.data.bytes };
  }
  if (control.success && control.data.type === "error") {
    return { kind: "error", message: control.data.message };
  }
  return { kind: "error", message: "the agent sent a frame that this version does not know" };
}
