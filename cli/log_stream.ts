/**
 * The output of one task, as it comes, over as many connections as it takes.
 *
 * @module
 */
import type { LogsOptions } from "../kv/schema/agent.ts";
import type { TaskView } from "../kv/schema/task.ts";
import { isTerminal } from "../kv/schema/task_state.ts";
import type { ServerDeps } from "./deps.ts";
import { isNotFound } from "./find.ts";
import { type Frame, openTunnel } from "./tunnel.ts";

export type Sink = (stream: "stdout" | "stderr", data: Uint8Array) => void;

/** `failed` comes with the words of the agent, the server or the connection. */
export type StreamEnd = { kind: "ended" } | { kind: "aborted" } | {
  kind: "failed";
  message: string;
};

const FIRST_RETRY_MS = 200;
const MAX_RETRY_MS = 2000;
/** Connections in a row that brought nothing. */
const MAX_EMPTY_TRIES = 8;

/** One connection's worth of output. */
async function streamOnce(
  deps: Pick<ServerDeps, "client">,
  taskId: string,
  options: LogsOptions,
  sink: Sink,
  signal: AbortSignal,
): Promise<StreamEnd> {
  if (signal.aborted) return { kind: "aborted" };
  const tunnel = openTunnel(deps.client.openLogs(taskId, options));
  const abort = () => tunnel.close();
  signal.addEventListener("abort", abort, { once: true });
  let end: StreamEnd | undefined;
  try {
    for await (const frame of tunnel.frames) {
      if (frame.kind === "data") sink(frame.stream, frame.data);
      else {
        end ??= endOf(frame);
        tunnel.close();
      }
    }
  } finally {
    signal.removeEventListener("abort", abort);
    tunnel.close();
  }
  return signal.aborted ? { kind: "aborted" } : end ?? { kind: "ended" };
}

function endOf(frame: Exclude<Frame, { kind: "data" }>): StreamEnd {
  if (frame.kind === "exit" || (frame.kind === "closed" && frame.clean)) return { kind: "ended" };
  const said = frame.kind === "error"
    ? frame.message
    : frame.kind === "closed"
    ? frame.reason
    : "the agent sent a frame that is not for logs";
  const message = said || "the connection broke";
  return { kind: "failed", message };
}

/**
 * The task's output. With `follow` it goes on through broken connections and restarts in place, until
 * the task has ended; a reconnection asks for what came after the last output that was seen.
 */
export async function streamTask(
  deps: Pick<ServerDeps, "client" | "clock">,
  task: Pick<TaskView, "id" | "project">,
  options: LogsOptions,
  sink: Sink,
  signal: AbortSignal,
): Promise<StreamEnd> {
  let next = options;
  let emptyTries = 0;
  let retryMs = FIRST_RETRY_MS;
  while (true) {
    let seen = false;
    const end = await streamOnce(deps, task.id, next, (stream, data) => {
      seen = true;
      // By this machine's clock: close enough for a reconnection, which may repeat a line.
      const { tail: _, ...rest } = options;
      next = { ...rest, sinceSeconds: deps.clock.wallMs() / 1000 };
      sink(stream, data);
    }, signal);
    if (!options.follow || end.kind === "aborted") return end;
    const now = await deps.client.getTask(task.id, task.project, { signal });
    if (signal.aborted) return { kind: "aborted" };
    if (now.ok && isTerminal(now.value.state)) return end;
    if (!now.ok && isNotFound(now.error)) return { kind: "ended" };
    emptyTries = seen ? 0 : emptyTries + 1;
    if (emptyTries >= MAX_EMPTY_TRIES && end.kind === "failed") return end;
    retryMs = seen ? FIRST_RETRY_MS : Math.min(MAX_RETRY_MS, retryMs * 2);
    await deps.clock.sleep(retryMs, signal);
  }
}
