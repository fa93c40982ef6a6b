/**
 * The agent's side of a forwarded connection: a TCP connection to a port of a task's container.
 *
 * 1. The end of one direction is passed on; the session is over when both have ended, or one failed.
 * 2. No more is under way than the window, in either direction (kv/schema/window.ts).
 *
 * @module
 */
import { CHANNEL, type ForwardOptions, TunnelControl } from "../kv/schema/agent.ts";
import { createWindow, type SendWindow } from "../kv/schema/window.ts";
import type { Runtime } from "./runtime.ts";
import type { Frames } from "./tunnel_socket.ts";

const CHUNK_BYTES = 32 * 1024;

export async function serveForward(
  runtime: Pick<Runtime, "dial">,
  frames: Frames,
  taskId: string,
  { port }: ForwardOptions,
): Promise<void> {
  const dialled = await runtime.dial(taskId, port, frames.signal);
  if (!dialled.ok) return frames.control({ type: "error", message: dialled.message });
  const conn = dialled.value;
  const window = createWindow();
  const leave = () => {
    window.close();
    close(conn);
  };
  frames.signal.addEventListener("abort", leave, { once: true });
  if (frames.signal.aborted) leave();
  try {
    const input = receiveInto(conn, frames, window);
    await Promise.all([sendFrom(conn, frames, window), input]);
    frames.control({ type: "exit", code: 0 });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    frames.control({ type: "error", message: `port ${port} of the task: ${message}` });
  } finally {
    frames.signal.removeEventListener("abort", leave);
    leave();
  }
}

async function sendFrom(conn: Deno.Conn, frames: Frames, window: SendWindow): Promise<void> {
  const buffer = new Uint8Array(CHUNK_BYTES);
  while (true) {
    const count = await conn.read(buffer);
    if (count === null) break;
    if (!await window.room(count)) return;
    if (!await frames.data(CHANNEL.stdout, buffer.subarray(0, count))) return;
  }
  frames.control({ type: "output-end" });
}

/** Writes what the client sends, in order; resolves when it has ended its direction. */
function receiveInto(conn: Deno.Conn, frames: Frames, window: SendWindow): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let queue = Promise.resolve();
  frames.signal.addEventListener("abort", () => resolve(), { once: true });
  frames.listen((data) => {
    if (typeof data !== "string") {
      if (data[0] !== CHANNEL.stdin) return;
      queue = queue.then(async () => {
        for (let at = 1; at < data.length;) at += await conn.write(data.subarray(at));
        frames.control({ type: "taken", bytes: data.length - 1 });
      });
      queue.catch(reject);
      return;
    }
    const frame = parseControl(data);
    if (frame?.type === "taken") window.taken(frame.bytes);
    else if (frame?.type === "stdin-end") {
      queue = queue.then(() => conn.closeWrite()).then(resolve);
      queue.catch(reject);
    }
  });
  return promise;
}

function parseControl(text: string): TunnelControl | undefined {
  try {
    return TunnelControl.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

function close(conn: Deno.Conn): void {
  try {
    conn.close();
  } catch {
    // It is closed already.
  }
}
