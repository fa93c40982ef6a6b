/**
 * `berth logs`: the output of tasks, and of all tasks of services, in the order of time.
 *
 * @module
 */
import type { LogsOptions } from "../../kv/schema/agent.ts";
import type { TaskView } from "../../kv/schema/task.ts";
import { isTerminal } from "../../kv/schema/task_state.ts";
import type { ServerDeps } from "../deps.ts";
import { EXIT, type ExitCode } from "../exit.ts";
import { findTaskOrService, isNotFound, listTasksOf } from "../find.ts";
import { type LogPrinter, logPrinter } from "../format/log_line.ts";
import { stampedReader } from "../format/stamped.ts";
import { type Interleaver, interleaver } from "../interleave.ts";
import { type Sink, type StreamEnd, streamTask } from "../log_stream.ts";
import type { Line } from "../format/log_line.ts";
import { fail, failCall } from "../report.ts";

export interface LogsFlags {
  follow: boolean;
  all: boolean;
  tail: number | undefined;
  /** Wall time in ms. */
  sinceMs: number | undefined;
  timestamps: boolean;
  /** Only lines that match. */
  grep: RegExp | undefined;
  project: string | undefined;
}

interface Service {
  id: string;
  project: string;
}

/** How often followed services are asked for new tasks. */
const NEW_TASKS_MS = 1000;
/** How long a followed line waits for an earlier one of another task. */
const HOLD_MS = 300;
const RELEASE_MS = 100;
/** Tasks that are read at the same time when nothing is followed. */
const READ_AT_ONCE = 32;

export async function logs(
  flags: LogsFlags,
  refs: readonly string[],
  deps: ServerDeps,
): Promise<ExitCode> {
  const services: Service[] = [];
  const chosen = new Map<string, TaskView>();
  const known = new Set<string>();
  for (const ref of refs) {
    const found = await findTaskOrService(deps.client, ref, flags.project);
    if (!found.ok) return failCall(deps, found.error, `cannot read the logs of ${ref}`);
    if (found.value.kind === "service") services.push(found.value.service);
    const tasks = found.value.kind === "task"
      ? [found.value.task]
      : toRead(found.value.tasks, flags.all);
    if (tasks.length === 0 && !flags.follow) {
      const next = `see why it waits: berth why ${ref}`;
      return fail(deps, `${ref} has no task that has run`, next, EXIT.notFound);
    }
    for (const task of tasks) chosen.set(task.id, task);
    for (const { id } of found.value.kind === "task" ? [] : found.value.tasks) known.add(id);
  }
  const stop = new AbortController();
  const disposers = (["SIGINT", "SIGTERM"] as const)
    .map((signal) => deps.io.onSignal(signal, () => stop.abort()));
  try {
    const tasks = [...chosen.values()];
    const [only] = tasks;
    const alone = tasks.length === 1 && (services.length === 0 || !flags.follow);
    const plain = !flags.grep && deps.view.output !== "json";
    if (alone && only && plain) return await asItIs(only, optionsOf(flags), deps, stop.signal);
    const named = !alone || refs.length > 1;
    return await merged({ services, tasks, known, named }, flags, deps, stop.signal);
  } finally {
    for (const dispose of disposers) dispose();
  }
}

/** Those that live, else the one that ended last; with `all`, all whose output may still be there. */
function toRead(tasks: readonly TaskView[], all: boolean): TaskView[] {
  const placed = tasks.filter((task) => task.nodeId !== undefined);
  if (all) return placed.filter((task) => task.state !== "lost");
  const alive = placed.filter((task) => !isTerminal(task.state));
  return alive.length > 0 ? alive : placed.slice(-1);
}

function optionsOf(flags: LogsFlags): LogsOptions {
  return {
    follow: flags.follow,
    timestamps: flags.timestamps,
    ...(flags.tail === undefined ? {} : { tail: flags.tail }),
    ...(flags.sinceMs === undefined ? {} : { sinceSeconds: Math.max(0, flags.sinceMs / 1000) }),
  };
}

async function asItIs(
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
    `see how its node is: berth nodes\nsee how the task is: berth inspect ${task.id}`,
    EXIT.failed,
  );
}

interface Merged {
  services: readonly Service[];
  tasks: readonly TaskView[];
  /** Tasks of the services that were there at the beginning, read or not. */
  known: Set<string>;
  /** Each line behind its task's name. */
  named: boolean;
}

/** Lines of several tasks by their times. While following, tasks that appear later join in. */
async function merged(
  { services, tasks, known, named }: Merged,
  flags: LogsFlags,
  deps: ServerDeps,
  signal: AbortSignal,
): Promise<ExitCode> {
  const { clock } = deps;
  const printer = logPrinter(deps, { named, timestamps: flags.timestamps, tasks });
  const lines = interleaver<Line>((line) => printer.print(line));
  const reading = { deps, lines, printer, grep: flags.grep, signal };
  const over = new AbortController();
  const released = flags.follow ? releasing(lines, deps, over.signal) : undefined;
  const options = { ...optionsOf(flags), timestamps: true };
  const codes: Promise<ExitCode>[] = [];
  const gate = flags.follow ? undefined : READ_AT_ONCE;
  for (const [index, task] of tasks.entries()) {
    const before = gate === undefined ? undefined : codes[index - gate];
    codes.push(readTask(task, options, reading, before));
  }
  if (flags.follow && services.length > 0) {
    const { tail: _, ...whole } = options;
    const seen = new Set([...known, ...tasks.map(({ id }) => id)]);
    let left = [...services];
    while (!signal.aborted && left.length > 0) {
      await clock.sleep(NEW_TASKS_MS, signal);
      if (signal.aborted) break;
      const alive: Service[] = [];
      for (const service of left) {
        const now = await joiners(service, seen, deps);
        for (const task of now.tasks) codes.push(readTask(task, whole, reading));
        if (!now.gone) alive.push(service);
      }
      left = alive;
    }
  }
  const ends = await Promise.all(codes);
  over.abort();
  await released;
  lines.release(Infinity);
  return ends.find((code) => code !== EXIT.ok) ?? EXIT.ok;
}

/** Tasks of a service that have come since, and whether the service itself is gone. */
async function joiners(
  service: Service,
  seen: Set<string>,
  { client }: ServerDeps,
): Promise<{ tasks: TaskView[]; gone: boolean }> {
  const listed = await listTasksOf(client, service);
  if (!listed.ok) return { tasks: [], gone: isNotFound(listed.error) };
  const fresh = listed.value.filter((task) =>
    !seen.has(task.id) && (task.observed?.startedAt !== undefined || task.state === "running")
  );
  for (const { id } of fresh) seen.add(id);
  if (listed.value.length > 0) return { tasks: fresh, gone: false };
  const still = await client.getService(service.id, service.project);
  return { tasks: fresh, gone: !still.ok && isNotFound(still.error) };
}

interface Reading {
  deps: ServerDeps;
  lines: Interleaver<Line>;
  printer: LogPrinter;
  grep: RegExp | undefined;
  signal: AbortSignal;
}

async function readTask(
  task: TaskView,
  options: LogsOptions,
  { deps, lines, printer, grep, signal }: Reading,
  before?: Promise<unknown>,
): Promise<ExitCode> {
  const lane = lines.open();
  const number = printer.join(task);
  const readers = { stdout: stampedReader(), stderr: stampedReader() };
  const take = (stream: "stdout" | "stderr", found: ReturnType<typeof readers.stdout.push>) => {
    const nowMs = deps.clock.monoMs();
    for (const line of found) {
      const text = new TextDecoder().decode(line.text).replace(/\r?\n$/, "");
      if (grep && !grep.test(text)) continue;
      lane.push({ ...line, stream, task, number }, nowMs);
    }
    lines.release(options.follow ? nowMs - HOLD_MS : -Infinity);
  };
  await before;
  const sink: Sink = (stream, data) => take(stream, readers[stream].push(data));
  const end = await streamTask(deps, task, options, sink, signal);
  for (const stream of ["stdout", "stderr"] as const) take(stream, readers[stream].flush());
  lane.end();
  lines.release(-Infinity);
  return reportEnd(end, task, deps);
}

/** Gives out what has waited long enough, until the signal aborts. */
async function releasing(
  lines: Interleaver<Line>,
  { clock }: ServerDeps,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await clock.sleep(RELEASE_MS, signal);
    lines.release(clock.monoMs() - HOLD_MS);
  }
}
