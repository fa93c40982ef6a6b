/**
 * `berth logs`: the output of a task, or of all tasks of a service.
 *
 * @module
 */
import type { LogsOptions } from "../../kv/schema/agent.ts";
import type { TaskView } from "../../kv/schema/task.ts";
import { isTerminal } from "../../kv/schema/task_state.ts";
import type { ServerDeps } from "../deps.ts";
import { EXIT, type ExitCode } from "../exit.ts";
import { findTaskOrService, listTasksOf } from "../find.ts";
import { concat, lineCutter } from "../format/lines.ts";
import { style } from "../format/style.ts";
import { type Sink, type StreamEnd, streamTask } from "../log_stream.ts";
import { fail, failCall } from "../report.ts";

export interface LogsFlags {
  follow: boolean;
  tail: number | undefined;
  /** Wall time in ms. */
  sinceMs: number | undefined;
  timestamps: boolean;
  project: string | undefined;
}

/** How often a followed service is asked for new tasks. */
const NEW_TASKS_MS = 2000;

export async function logs(flags: LogsFlags, ref: string, deps: ServerDeps): Promise<ExitCode> {
  const found = await findTaskOrService(deps.client, ref, flags.project);
  if (!found.ok) return failCall(deps, found.error, `cannot read the logs of ${ref}`);
  const options: LogsOptions = {
    follow: flags.follow,
    timestamps: flags.timestamps,
    ...(flags.tail === undefined ? {} : { tail: flags.tail }),
    ...(flags.sinceMs === undefined ? {} : { sinceSeconds: Math.max(0, flags.sinceMs / 1000) }),
  };
  const stop = new AbortController();
  const disposers = (["SIGINT", "SIGTERM"] as const)
    .map((signal) => deps.io.onSignal(signal, () => stop.abort()));
  try {
    if (found.value.kind === "task") {
      return await one(found.value.task, options, deps, stop.signal);
    }
    const { service, tasks } = found.value;
    const placed = tasks.filter((task) => task.nodeId !== undefined);
    const alive = placed.filter((task) => !isTerminal(task.state));
    const chosen = alive.length > 0 ? alive : placed.slice(-1);
    const [only] = chosen;
    if (!flags.follow && chosen.length === 1 && only) {
      return await one(only, options, deps, stop.signal);
    }
    if (chosen.length === 0 && !flags.follow) {
      return fail(
        deps,
        `${ref} has no task that has run`,
        `see why it waits: berth why ${ref}`,
        EXIT.notFound,
      );
    }
    return await several(service, chosen, options, deps, stop.signal);
  } finally {
    for (const dispose of disposers) dispose();
  }
}

async function one(
  task: TaskView,
  options: LogsOptions,
  deps: ServerDeps,
  signal: AbortSignal,
): Promise<ExitCode> {
  const { io } = deps;
  const sink: Sink = (stream, data) => stream === "stdout" ? io.outBytes(data) : io.errBytes(data);
  return reportEnd(await streamTask(deps, task, options, sink, signal), task, deps);
}

function reportEnd(end: StreamEnd, task: TaskView, deps: ServerDeps): ExitCode {
  if (end.kind !== "failed") return EXIT.ok;
  return fail(
    deps,
    `the logs of ${task.name} ended early: ${end.message}`,
    `see how its node is: berth nodes\nsee how the task is: berth inspect ${task.name}`,
    EXIT.failed,
  );
}

/** Whole lines of each task behind its name. While following, tasks that appear later join in. */
async function several(
  service: { id: string; project: string },
  first: TaskView[],
  options: LogsOptions,
  deps: ServerDeps,
  signal: AbortSignal,
): Promise<ExitCode> {
  const running = new Map<string, Promise<ExitCode>>();
  let width = Math.max(0, ...first.map((task) => task.name.length));
  const attach = (task: TaskView, own: LogsOptions) => {
    width = Math.max(width, task.name.length);
    const sink = prefixed(task, width, running.size, deps);
    const end = streamTask(deps, task, own, sink.write, signal).then((result) => {
      sink.flush();
      return reportEnd(result, task, deps);
    });
    running.set(task.id, end);
  };
  for (const task of first) attach(task, options);
  if (options.follow) {
    const { tail: _, ...all } = options;
    while (!signal.aborted) {
      await deps.clock.sleep(NEW_TASKS_MS, signal);
      if (signal.aborted) break;
      const tasks = await listTasksOf(deps.client, service);
      if (!tasks.ok) continue;
      for (const task of tasks.value) {
        if (task.nodeId && !running.has(task.id) && !isTerminal(task.state)) attach(task, all);
      }
    }
  }
  const codes = await Promise.all(running.values());
  return codes.find((code) => code !== EXIT.ok) ?? EXIT.ok;
}

function prefixed(task: TaskView, width: number, index: number, deps: ServerDeps) {
  const paint = style(deps.view.color);
  const prefix = new TextEncoder().encode(
    `${paint.nth(index)(task.name.padEnd(width))} ${paint.dim("│")} `,
  );
  const cutters = { stdout: lineCutter(), stderr: lineCutter() };
  const emit = (lines: Uint8Array[]) => {
    for (const line of lines) deps.io.outBytes(concat(prefix, line));
  };
  const write: Sink = (stream, data) => emit(cutters[stream].push(data));
  return {
    write,
    flush() {
      emit(cutters.stdout.flush());
      emit(cutters.stderr.flush());
    },
  };
}
