/**
 * A job in the foreground: shows how it comes up, streams its output, ends as it ends.
 *
 * Invariants:
 * 1. The first Ctrl-C stops the job, the second leaves it to the cluster.
 * 2. The exit code is the container's own; 125 is Berth's, 130 an interrupted job without a code.
 * 3. With `rm` the service is deleted on every way out but one: who detaches leaves it running. Then, and
 *    if the CLI dies, `removeAfterMs` does it.
 * 4. Of an interactive job signals and Ctrl-C go to its process, once that runs.
 *
 * @module
 */
import type { CallError } from "../../api/client.ts";
import type { ServiceView } from "../../kv/schema/service.ts";
import type { TaskView } from "../../kv/schema/task.ts";
import { isTerminal } from "../../kv/schema/task_state.ts";
import type { ServerDeps } from "../deps.ts";
import { EXIT, type ExitCode } from "../exit.ts";
import { isNotFound, listTasksOf } from "../find.ts";
import { urls } from "../format/quantity.ts";
import { oneLine } from "../format/style.ts";
import { streamTask } from "../log_stream.ts";
import { joinMainProcess, leave } from "../main_process.ts";
import { startProgress } from "../progress.ts";
import { fail, failCall, hint } from "../report.ts";
import { type Waited, waitUntil } from "../wait.ts";
import { setStopped } from "./lifecycle.ts";

/** Pulling a large image over a slow line takes minutes. */
const START_TIMEOUT_MS = 10 * 60_000;
const FIRST_TOLD_MS = 3000;
const NEXT_TOLD_MS = 30_000;
/** From the end of the output to the report that says how it ended. */
const END_TIMEOUT_MS = 30_000;

export interface ForegroundOptions {
  rm: boolean;
  interactive?: boolean;
  tty?: boolean;
}

export async function attach(
  service: ServiceView,
  options: ForegroundOptions,
  deps: ServerDeps,
): Promise<ExitCode> {
  const detached = new AbortController();
  let interrupts = 0;
  const interrupt = () => {
    interrupts++;
    if (interrupts > 1) return detached.abort(); // Invariant 1
    hint(deps, `\nStopping ${service.name}. Ctrl-C again leaves that to the cluster.`);
    setStopped(deps.client, service.id, service.project, true).then((stopped) => {
      if (!stopped.ok) failCall(deps, stopped.error, `cannot stop ${service.name}`);
    });
  };
  const disposers = (["SIGINT", "SIGTERM"] as const).map((name) =>
    deps.io.onSignal(name, interrupt)
  );
  const letGo = () => {
    for (const dispose of disposers.splice(0)) dispose();
  };
  let left = false;
  try {
    const code = await watch(service, deps, {
      ...options,
      signal: detached.signal,
      interrupted: () => interrupts > 0,
      letGo, // Invariant 4
      goesOn: () => left = true,
    });
    if (detached.signal.aborted) hint(deps, `\n${service.name} goes on stopping by itself.`);
    return code;
  } finally {
    letGo();
    if (options.rm && !left) { // Invariant 3
      const gone = await deps.client.deleteService(service.id, service.project);
      if (!gone.ok && !isNotFound(gone.error)) {
        failCall(deps, gone.error, `cannot remove ${service.name}`);
      }
    }
  }
}

interface WatchOptions extends ForegroundOptions {
  signal: AbortSignal;
  interrupted(): boolean;
  /** Signals are somebody else's from now on. */
  letGo(): void;
  /** The job goes on without this program. */
  goesOn(): void;
}

async function watch(
  service: ServiceView,
  deps: ServerDeps,
  options: WatchOptions,
): Promise<ExitCode> {
  const { rm, signal, interrupted } = options;
  const up = await waitForTask(service, deps, signal, interrupted);
  if (up.kind !== "done") return notUp(up, service, deps);
  let task = up.value;
  if (task === "none") return EXIT.interrupted;
  if (task.state === "running") { for (const url of urls(task)) hint(deps, `Listening at ${url}`); }
  const joined = task.state === "running" && options.interactive;
  const apart = joined ? await join(task, options, deps) : "not joined";
  if (typeof apart === "number") return apart;
  if (apart === "not joined" && task.observed?.startedAt !== undefined) {
    await showOutput(task, deps, signal);
  }
  const taskId = task.id;
  const ended = await waitUntil(
    () => deps.client.getTask(taskId, service.project, { signal }),
    (now) => isTerminal(now.state) ? now : undefined,
    { clock: deps.clock, timeoutMs: deps.timeoutMs ?? END_TIMEOUT_MS, signal },
  );
  if (ended.kind === "aborted") return EXIT.interrupted;
  if (ended.kind !== "done") return notEnded(ended, service, deps);
  task = ended.value;
  return codeOf(task, deps, { interrupted: interrupted(), rm });
}

/** Everything that it has said and says until it ends. */
async function showOutput(task: TaskView, deps: ServerDeps, signal: AbortSignal): Promise<void> {
  const { io } = deps;
  const end = await streamTask(
    deps,
    task,
    { follow: true, timestamps: false },
    (stream, data) => stream === "stdout" ? io.outBytes(data) : io.errBytes(data),
    signal,
  );
  if (end.kind === "failed") {
    hint(deps, `The output is incomplete (${oneLine(end.message)}): berth logs ${task.service}`);
  }
}

/**
 * This terminal joined to the job until it ends. A number: what to end with, since it goes on. `not joined`:
 * it had ended before, and its output is still to be shown.
 */
async function join(
  task: TaskView,
  { tty = false, letGo, goesOn }: WatchOptions,
  deps: ServerDeps,
): Promise<ExitCode | "ended" | "not joined"> {
  letGo();
  const end = await joinMainProcess(
    task,
    { stdin: true, tty, replay: true, signals: true },
    deps,
  );
  if (end.kind === "exit") return "ended";
  if (end.kind === "trouble" && !end.heard) return "not joined";
  goesOn();
  return leave(task, end, deps);
}

/** The job's task, once it runs or has ended; `none` when it was stopped before it had one. */
async function waitForTask(
  service: ServiceView,
  deps: ServerDeps,
  signal: AbortSignal,
  interrupted: () => boolean,
): Promise<Waited<TaskView | "none">> {
  const progress = startProgress(deps, `creating ${service.name}`);
  const tell = quietTeller(service, deps);
  try {
    return await waitUntil(
      () => listTasksOf(deps.client, service),
      (tasks): TaskView | "none" | undefined => {
        const task = tasks.at(-1);
        if (!task) return interrupted() ? "none" : undefined;
        progress.update(`${service.name}: ${progressText(task)}`);
        tell(progressText(task));
        return task.state === "running" || isTerminal(task.state) ? task : undefined;
      },
      { clock: deps.clock, timeoutMs: deps.timeoutMs ?? START_TIMEOUT_MS, signal },
    );
  } finally {
    progress.stop();
  }
}

/** Without a terminal there is no spinner: now and then a line says what is being waited for. */
function quietTeller(service: ServiceView, deps: ServerDeps): (text: string) => void {
  const { io, clock, view } = deps;
  let nextMs = clock.monoMs() + FIRST_TOLD_MS;
  let told = "";
  return (text) => {
    if (io.errIsTty || view.quiet || text === told || clock.monoMs() < nextMs) return;
    told = text;
    nextMs = clock.monoMs() + NEXT_TOLD_MS;
    io.err(`berth: ${service.name}: ${oneLine(text)}\n`);
  };
}

function progressText(task: TaskView): string {
  const where = task.node ? ` on ${task.node}` : "";
  const note = task.observed?.message ?? task.why;
  return `${task.state}${where}${note ? `: ${note}` : ""}`;
}

function notUp(
  waited: Exclude<Waited<unknown>, { kind: "done" }>,
  service: ServiceView,
  deps: ServerDeps,
): ExitCode {
  if (waited.kind === "aborted") return EXIT.interrupted;
  if (waited.kind === "error") return own(deps, waited.error, `cannot follow ${service.name}`);
  return fail(
    deps,
    `${service.name} did not start in time; it keeps trying`,
    `see why: berth why ${service.name}\ngive it up: berth rm -f ${service.name}`,
    EXIT.own,
  );
}

function notEnded(
  waited: { kind: "timeout" } | { kind: "error"; error: CallError },
  service: ServiceView,
  deps: ServerDeps,
): ExitCode {
  if (waited.kind === "error") {
    return own(deps, waited.error, `cannot see how ${service.name} ended`);
  }
  return fail(
    deps,
    `the output of ${service.name} ended, but its end was not reported in time`,
    `see how it is: berth ps -a ${service.name}`,
    EXIT.own,
  );
}

function own(deps: ServerDeps, error: CallError, doing: string): ExitCode {
  failCall(deps, error, doing);
  return EXIT.own;
}

/** Invariant 2. */
function codeOf(
  task: TaskView,
  deps: ServerDeps,
  { interrupted, rm }: { interrupted: boolean; rm: boolean },
): ExitCode {
  const code = task.observed?.exitCode;
  const ran = task.state === "succeeded" || task.state === "failed" || task.state === "stopped";
  if (ran && code !== undefined) {
    if (task.observed?.oomKilled) deps.io.err(`berth: ${task.name} ran out of memory\n`);
    return code;
  }
  if (task.state === "succeeded") return EXIT.ok;
  if (interrupted) return EXIT.interrupted;
  const why = oneLine(task.observed?.message ?? task.why ?? "no reason was given");
  return fail(
    deps,
    `${task.name} was ${task.state}: ${why}`,
    rm
      ? "correct the image or the command, and run it again"
      : `see more: berth inspect ${task.name}`,
    EXIT.own,
  );
}
