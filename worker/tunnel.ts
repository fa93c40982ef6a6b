/**
 * The agent's side of logs, exec and forwarded connections: a WebSocket that it opens because a client waits for it.
 *
 * 1. A session is answered once; at most {@link MAX_SESSIONS} at a time.
 * 2. When the socket goes, the command and the log stream go: nothing is left running.
 * 3. Output waits while the socket has more than {@link HIGH_WATER_BYTES} unsent; input that the
 *    command does not read ends the session at {@link MAX_INPUT_BYTES}.
 *
 * @module
 */
import {
  CHANNEL,
  type ExecOptions,
  type LogsOptions,
  TunnelControl,
  TunnelOpen,
  type TunnelRequest,
} from "../kv/schema/agent.ts";
import type { Clock } from "../kv/schema/time.ts";
import type { Log } from "./log.ts";
import type { ExecSession, OutputChunk, Runtime } from "./runtime.ts";
import { serveForward } from "./tunnel_forward.ts";
import { serveVolume } from "./volume_tunnel.ts";
import { type Frames, openFrames } from "./tunnel_socket.ts";

export const MAX_SESSIONS = 64;
export const HIGH_WATER_BYTES = 1024 * 1024;
export const MAX_INPUT_BYTES = 16 * 1024 * 1024;
const OPEN_WITHIN_MS = 10_000;
/** Sessions that were answered, so that a doubled request is not answered again. */
const MAX_REMEMBERED = 1_000;

export interface TunnelsDeps {
  runtime: Pick<Runtime, "logs" | "exec" | "dial" | "volumes">;
  clock: Clock;
  log: Log;
  connect(sessionId: string, url: string | undefined): WebSocket;
}

export interface Tunnels {
  /** Answers the sessions that are new. Returns at once; they end with `signal`. */
  answer(requests: readonly TunnelRequest[], signal: AbortSignal): void;
  /** Resolves when no session is open. */
  settle(): Promise<void>;
  readonly open: number;
}

export function createTunnels(deps: TunnelsDeps): Tunnels {
  const { log, connect, clock } = deps;
  const sessions = new Map<string, Promise<void>>();
  const answered = new Set<string>();

  async function serve({ sessionId, url }: TunnelRequest, outer: AbortSignal): Promise<void> {
    let frames: Frames;
    try {
      frames = openFrames(connect(sessionId, url), {
        clock,
        outer,
        highWaterBytes: HIGH_WATER_BYTES,
      });
    } catch (error) {
      log("warn", "cannot open a tunnel", { sessionId, reason: String(error) });
      return;
    }
    try {
      const first = await frames.first(OPEN_WITHIN_MS);
      if (first === undefined) return;
      const open = TunnelOpen.safeParse(parseJson(first));
      if (!open.success) {
        return frames.control({ type: "error", message: "the tunnel's first frame is unreadable" });
      }
      const { data } = open;
      const about = data.kind === "volume" ? { volumeId: data.volumeId } : { taskId: data.taskId };
      log("debug", "tunnel", { sessionId, kind: data.kind, ...about });
      if (data.kind === "logs") await serveLogs(deps, frames, data.taskId, data.options);
      else if (data.kind === "exec") await serveExec(deps, frames, data.taskId, data.options);
      else if (data.kind === "forward") {
        await serveForward(deps.runtime, frames, data.taskId, data.options);
      } else await serveVolume({ volumes: deps.runtime.volumes, clock }, frames, data);
    } catch (error) {
      log("error", "a tunnel failed unexpectedly", { sessionId, reason: String(error) });
      frames.control({ type: "error", message: "the agent failed; its log says more" });
    } finally {
      await frames.close();
    }
  }

  return {
    answer(requests, signal) {
      for (const request of requests) {
        const { sessionId } = request;
        if (answered.has(sessionId) || signal.aborted) continue; // invariant 1
        if (sessions.size >= MAX_SESSIONS) {
          log("warn", "too many tunnels are open; this one has to wait", { sessionId });
          continue;
        }
        answered.add(sessionId);
        const oldest = answered.values().next().value;
        if (answered.size > MAX_REMEMBERED && oldest !== undefined) answered.delete(oldest);
        sessions.set(
          sessionId,
          serve(request, signal).finally(() => sessions.delete(sessionId)),
        );
      }
    },
    async settle() {
      while (sessions.size > 0) await Promise.all(sessions.values());
    },
    get open() {
      return sessions.size;
    },
  };
}

async function serveLogs(
  { runtime }: TunnelsDeps,
  frames: Frames,
  taskId: string,
  options: LogsOptions,
): Promise<void> {
  const opened = await runtime.logs(taskId, options, frames.signal);
  if (!opened.ok) return frames.control({ type: "error", message: opened.message });
  await sendAll(frames, opened.value);
  frames.control({ type: "exit", code: 0 });
}

async function serveExec(
  { runtime }: TunnelsDeps,
  frames: Frames,
  taskId: string,
  options: ExecOptions,
): Promise<void> {
  const opened = await runtime.exec(taskId, options, frames.signal);
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
    if (result !== "closed") frames.control({ type: "exit", code: result });
    else ended.catch(() => {}); // Closing the session cuts its output; how it ends, nobody hears.
  } finally {
    await session.close(); // invariant 2
  }
}

/** Hands the client's frames to the command, in order. */
function createInput(session: ExecSession, frames: Frames): (data: string | Uint8Array) => void {
  let queue = Promise.resolve();
  let waitingBytes = 0;
  const enqueue = (bytes: number, act: () => void | Promise<void>) => {
    waitingBytes += bytes;
    if (waitingBytes > MAX_INPUT_BYTES) { // invariant 3
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

async function sendAll(frames: Frames, chunks: AsyncIterable<OutputChunk>): Promise<void> {
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
