/**
 * `berth job run` and `berth job ls`: runs of job and cron services.
 *
 * @module
 */
import type { Result } from "../../api/client.ts";
import type { RunRequestInput, RunView } from "../../kv/schema/run.ts";
import { isTerminal } from "../../kv/schema/task_state.ts";
import type { ServerDeps } from "../deps.ts";
import { EXIT, type ExitCode, exitOf } from "../exit.ts";
import { listAll, refOf } from "../find.ts";
import { age } from "../format/duration.ts";
import { oneLine } from "../format/style.ts";
import { streamTask } from "../log_stream.ts";
import { startProgress } from "../progress.ts";
import { fail, failCall, hint, printList, printValue } from "../report.ts";
import { waitUntil } from "../wait.ts";

export interface JobRunOptions {
  env: [string, string][];
  project: string | undefined;
  noWait: boolean;
}

/** Pulling a large image over a slow line takes minutes. */
const START_TIMEOUT_MS = 10 * 60_000;
const MAX_SENDS = 3;

/** Asks for a run, shows the output of its tries, and ends as it ends. */
export async function jobRun(
  options: JobRunOptions,
  ref: string,
  command: string[],
  deps: ServerDeps,
): Promise<ExitCode> {
  const { name, project } = refOf(ref, options.project);
  const request = {
    ...(command.length > 0 ? { command } : {}),
    env: Object.fromEntries(options.env),
  };
  const asked = await send(name, request, project, deps);
  if (!asked.ok) {
    const code = failCall(deps, asked.error, `cannot run ${ref}`);
    return options.noWait || code === EXIT.usage ? exitOf(asked.error) : EXIT.own;
  }
  const run = asked.value;
  if (!options.noWait) return await follow(name, run, deps);
  const { output } = deps.view;
  if (output === "json" || output === "yaml") await printValue(deps, run, output);
  else deps.io.out(run.id + "\n");
  hint(deps, `See how it goes: berth job ls ${ref}`);
  return EXIT.ok;
}

/** One key for all sends: a repeated request after a lost answer is the same run. */
async function send(
  name: string,
  request: RunRequestInput,
  project: string | undefined,
  deps: ServerDeps,
): Promise<Result<RunView>> {
  const idempotencyKey = `cli-run-${Math.floor(deps.random() * 2 ** 52).toString(36)}`;
  for (let sends = 1;; sends++) {
    const result = await deps.client.createRun(name, request, project, { idempotencyKey });
    const lost = !result.ok && result.error.kind === "unreachable" &&
      !result.error.message.includes("refused");
    if (!lost || sends >= MAX_SENDS) return result;
  }
}

async function follow(name: string, run: RunView, deps: ServerDeps): Promise<ExitCode> {
  const detached = new AbortController();
  const dispose = deps.io.onSignal("SIGINT", () => detached.abort());
  try {
    const { signal } = detached;
    const shown = new Set<string>();
    while (true) {
      const next = await nextStep(run, shown, deps, { name, signal });
      if (next.kind === "aborted") {
        hint(deps, `\nThe run of ${name} goes on: berth job ls ${name}`);
        return EXIT.interrupted;
      }
      if (next.kind === "error") {
        failCall(deps, next.error, `cannot follow the run of ${name}`);
        return EXIT.own;
      }
      if (next.kind === "timeout") {
        const see = `see why: berth job ls ${name}`;
        return fail(deps, `the run of ${name} did not start in time`, see, EXIT.own);
      }
      const { taskId } = next.value;
      if (taskId !== undefined && !shown.has(taskId)) {
        shown.add(taskId);
        await show(taskId, next.value, deps, signal);
      } else if (next.value.ended) return endOf(name, next.value, deps);
    }
  } finally {
    dispose();
  }
}

/** Waits for a try that has not been shown, or for the end. */
async function nextStep(
  { id, serviceId }: RunView,
  shown: ReadonlySet<string>,
  deps: ServerDeps,
  { name, signal }: { name: string; signal: AbortSignal },
) {
  const progress = startProgress(deps, `running ${name}`);
  try {
    return await waitUntil(
      () => listAll((query) => deps.client.listRuns(serviceId, query, { signal })),
      (runs): RunView | undefined => {
        const run = runs.find((other) => other.id === id);
        if (!run) return undefined;
        progress.update(`${name}: ${run.state}${run.why ? `: ${run.why}` : ""}`);
        const fresh = run.taskId !== undefined && !shown.has(run.taskId);
        return run.ended || (fresh && (run.state === "running" || isTerminal(run.state)))
          ? run
          : undefined;
      },
      { clock: deps.clock, timeoutMs: deps.timeoutMs ?? START_TIMEOUT_MS, signal },
    );
  } finally {
    progress.stop();
  }
}

async function show(
  taskId: string,
  { serviceId }: RunView,
  deps: ServerDeps,
  signal: AbortSignal,
): Promise<void> {
  const task = await deps.client.getTask(taskId);
  if (!task.ok || task.value.observed?.startedAt === undefined) return;
  const end = await streamTask(
    deps,
    task.value,
    { follow: true, timestamps: false },
    (stream, data) => stream === "stdout" ? deps.io.outBytes(data) : deps.io.errBytes(data),
    signal,
  );
  if (end.kind === "failed") {
    const why = oneLine(end.message);
    hint(deps, `The output is incomplete (${why}): berth logs ${task.value.name || serviceId}`);
  }
}

function endOf(name: string, run: RunView, deps: ServerDeps): ExitCode {
  if (run.state === "succeeded") return EXIT.ok;
  const why = run.why ? `: ${oneLine(run.why)}` : "";
  const next = `see more: berth job ls ${name}`;
  return fail(deps, `the run of ${name} ${run.state}${why}`, next, run.exitCode || EXIT.own);
}

/** The runs of a service, newest first. */
export async function jobLs(
  options: { project: string | undefined },
  ref: string,
  deps: ServerDeps,
): Promise<ExitCode> {
  const { name, project } = refOf(ref, options.project);
  const runs = await listAll((query) =>
    deps.client.listRuns(name, { ...query, ...(project === undefined ? {} : { project }) })
  );
  if (!runs.ok) return failCall(deps, runs.error, `cannot list the runs of ${ref}`);
  const now = deps.clock.wallMs();
  return await printList(deps, {
    rows: runs.value,
    columns: [
      { header: "TASK", cell: (r) => r.slot === undefined ? "-" : `${name}.${r.slot}` },
      { header: "STATE", cell: (r) => r.state },
      { header: "BY", cell: (r) => r.trigger },
      { header: "FOR", cell: (r) => r.scheduledAt ?? "-", drop: 1 },
      {
        header: "ASKED",
        cell: (r) => r.requestedAt ? age(now - Date.parse(r.requestedAt)) : "-",
        drop: 2,
      },
      { header: "TRIES", cell: (r) => String(r.tries) },
      { header: "EXIT", cell: (r) => r.exitCode === undefined ? "-" : String(r.exitCode) },
      { header: "COMMAND", cell: (r) => oneLine(r.command?.join(" ") ?? ""), minWidth: 8, drop: 3 },
      { header: "ID", wide: true, cell: (r) => r.id },
      { header: "NOTE", wide: true, minWidth: 16, cell: (r) => oneLine(r.why ?? "") },
    ],
    name: (r) => r.id,
    empty: `No runs of ${name} yet. Start one: berth job run ${name}`,
  });
}
