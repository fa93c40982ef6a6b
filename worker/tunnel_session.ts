/**
 * The agent's side of a command, and of a main process that a client is attached to.
 *
 * 1. When the socket goes, the session is closed: a command ends with it, a main process does not.
 * 2. Input that is not read ends the session at {@link MAX_INPUT_BYTES}.
 *
 * @module
 */
import { CHANNEL, TunnelControl } from "../kv/schema/agent.ts";
import type { AttachSession, Outcome, OutputChunk } from "./runtime.ts";
import type { Frames } from "./tunnel_socket.ts";

export const MAX_INPUT_BYTES = 16 * 1024 * 1024;

/** A command, or the main process of a container: its output to the client, the client's frames to it. */
export async function serveSession(
  frames: Frames,
  opened: Outcome<AttachSession>,
): Promise<void> {
  if (!opened.ok) return frames.control({ type: "error", message: opened.message });
  const session = opened.value;
  try {
    frames.listen(createInput(session, frames));
    const closed = new Promise<"closed">((resolve) => {
      if (frames.signal.aborted) resolve("closed");
      frames.signal.addEventListener("abort", () => resolve("closed"), { once: true });
    });
    // A command may write nothing for hours, so its end and the socket's are waited for together.
    const ended = sendAll(frames, session.output).then(() => session.exitCode());
    const result = await Promise.race([ended, closed]);
    if (result === undefined) {
      frames.control({ type: "error", message: "the engine ended the output, not the process" });
    } else if (result !== "closed") frames.control({ type: "exit", code: result });
    else ended.catch(() => {}); // Closing the session cuts its output; how it ends, nobody hears.
  } finally {
    await session.close(); // invariant 1
  }
}

/** Hands the client's frames to the command, in order. */
function createInput(session: AttachSession, frames: Frames): (data: string | Uint8Array) => void {
  let queue = Promise.resolve();
  let waitingBytes = 0;
  const enqueue = (bytes: number, act: () => void | Promise<void>) => {
    waitingBytes += bytes;
    if (waitingBytes > MAX_INPUT_BYTES) { // invariant 2
      frames.control({ type: "error", message: "the command does not read its input" });
      frames.abort();
      return;
    }
    queue = queue.then(act).catch(() => {
      // The command is gone, or does not take it: its exit code tells.
    }).finally(() => waitingBytes -= bytes);
  };
  return (data) => {
    if (typeof data !== "string") {
      if (data[0] !== CHANNEL.stdin) return;
      return enqueue(data.length, () => session.write(data.subarray(1)));
    }
    const control = TunnelControl.safeParse(parseJson(data));
    if (!control.success) return;
    const frame = control.data;
    switch (frame.type) {
      case "resize":
        return enqueue(0, () => session.resize(frame.columns, frame.rows));
      case "signal":
        // Not behind input that the command may never read.
        void session.signal(frame.signal).catch(() => {});
        return;
      case "stdin-end":
        return enqueue(0, () => session.endInput());
      case "ack":
      case "exit":
      case "error":
      case "output-end":
      case "taken":
        return;
    }
  };
}

export async function sendAll(frames: Frames, chunks: AsyncIterable<OutputChunk>): Promise<void> {
  for await (const { stream, data } of chunks) {
    if (!await frames.data(CHANNEL[stream], data)) return;
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
