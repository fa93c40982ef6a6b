/**
 * The agent's side of logs, exec and forwarded connections: a WebSocket that it opens because a client waits for it.
 *
 * 1. A session is answered once; at most {@link MAX_SESSIONS} at a time.
 * 2. When the socket goes, the command and the log stream go: nothing is left running.
 * 3. Output waits while the socket has more than {@link HIGH_WATER_BYTES} unsent; input that the
 *    command does not read ends the session (tunnel_session.ts).
 *
 * @module
 */
import { type LogsOptions, TunnelOpen, type TunnelRequest } from "../kv/schema/agent.ts";
import type { Clock } from "../kv/schema/time.ts";
import type { Log } from "./log.ts";
import type { Runtime } from "./runtime.ts";
import { serveFiles } from "./tunnel_files.ts";
import { serveForward } from "./tunnel_forward.ts";
import { sendAll, serveSession } from "./tunnel_session.ts";
import { serveStats } from "./tunnel_stats.ts";
import { serveVolume } from "./volume_tunnel.ts";
import { type Frames, openFrames } from "./tunnel_socket.ts";

export const MAX_SESSIONS = 64;
export const HIGH_WATER_BYTES = 1024 * 1024;
const OPEN_WITHIN_MS = 10_000;
/** Sessions that were answered, so that a doubled request is not answered again. */
const MAX_REMEMBERED = 1_000;

export interface TunnelsDeps {
  runtime: Pick<Runtime, "list" | "logs" | "exec" | "dial" | "volumes" | "inside">;
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
      const { kind, ...about } = open.data;
      const { taskId, volumeId } = { taskId: undefined, volumeId: undefined, ...about };
      log("debug", "tunnel", { sessionId, kind, taskId, volumeId });
      await serveOpened(deps, frames, open.data);
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

async function serveOpened(deps: TunnelsDeps, frames: Frames, open: TunnelOpen): Promise<void> {
  const { runtime, clock } = deps;
  const { signal } = frames;
  switch (open.kind) {
    case "logs":
      return await serveLogs(deps, frames, open.taskId, open.options);
    case "exec":
      return await serveSession(frames, await runtime.exec(open.taskId, open.options, signal));
    case "attach":
      return await serveSession(
        frames,
        await runtime.inside.attach(open.taskId, open.options, signal),
      );
    case "forward":
      return await serveForward(runtime, frames, open.taskId, open.options);
    case "files":
      return await serveFiles({ inside: runtime.inside, clock }, frames, open);
    case "stats":
      return await serveStats({ runtime, clock }, frames, open.options);
    case "volume":
      return await serveVolume({ volumes: runtime.volumes, clock }, frames, open);
  }
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

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
