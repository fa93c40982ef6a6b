/**
 * `berth up`: makes a project what its Compose files say.
 *
 * @module
 */
import type { ServiceView } from "../../../kv/schema/service.ts";
import { applyAll, type Outcome, removeAndWait } from "../../compose/apply.ts";
import { type Board, startBoard } from "../../compose/board.ts";
import { type Change, changesOf } from "../../compose/changes.ts";
import { type Condition, standingOf } from "../../compose/conditions.ts";
import { notesOf } from "../../compose/uses.ts";
import type { Project } from "../../compose/resolve.ts";
import { uploadValue } from "../../compose/upload.ts";
import { type Watch, watchProject } from "../../compose/watch.ts";
import type { ServerDeps } from "../../deps.ts";
import { EXIT, type ExitCode } from "../../exit.ts";
import { listAll } from "../../find.ts";
import { fail, failCall } from "../../report.ts";
import { type BuildFlags, buildImages, sayBuilds, withBuilt } from "./build.ts";
import { missingExternal } from "./external.ts";
import { type Ending, failed, finish, interrupted } from "./ending.ts";
import { printChanges } from "./print.ts";
import { type ProjectFlags, readProject, warn } from "./project.ts";
import { type Held, whileLocked } from "./locked.ts";

export interface UpFlags extends ProjectFlags, BuildFlags {
  wait: boolean;
  noWait: boolean;
  dryRun: boolean;
  removeOrphans: boolean;
}

const DEFAULT_TIMEOUT_MS = 300_000;

export async function up(flags: UpFlags, names: string[], deps: ServerDeps): Promise<ExitCode> {
  const read = await readProject(flags, names, deps, { withValues: true });
  if (!read.ok) return read.code;
  const { project, values, builds } = read;
  let { specs } = read;
  const look = async () => {
    const { client } = deps;
    const listed = await listAll((query) =>
      client.listServices({ ...query, project: project.name })
    );
    return listed.ok
      ? { ok: true as const, value: changesOf(specs, listed.value, project.resting) }
      : listed;
  };
  const first = await look();
  if (!first.ok) return failCall(deps, first.error, `cannot look at project ${project.name}`);
  const partial = names.length > 0;
  if (flags.dryRun) {
    warn(deps, [...project.warnings, ...notesOf(project)]);
    await sayBuilds(builds, { flags, deps });
    await printChanges(deps, relevant(first.value, flags, partial));
    return EXIT.ok;
  }
  const missing = await missingExternal(project, deps);
  if (missing !== undefined) return missing;
  const built = await buildImages(builds, { flags, deps });
  if (!built.ok) return built.code;
  specs = withBuilt(specs, built.images);
  if (built.images.size === 0 && values.length === 0 && !isWork(first.value, flags, partial)) {
    return await settled(project, first.value, flags, deps);
  }
  warn(deps, [...project.warnings, ...notesOf(project)]);
  return await whileLocked(project.name, "berth up", deps, async (held) => {
    for (const value of values) {
      const { client } = deps;
      const done = await uploadValue(value, { client, project: project.name, id: held.id });
      if (!done.ok) return failCall(deps, done.error, `cannot apply ${value.kind} ${value.name}`);
    }
    // Somebody else may have changed it before the lock was ours, and new values did.
    const again = await look();
    if (!again.ok) return failCall(deps, again.error, `cannot look at project ${project.name}`);
    return await change({ project, changes: again.value, flags, partial, deps, held });
  });
}

/** Orphans are told of, and go when asked for; when only some services are meant, they are not looked at. */
function relevant(changes: readonly Change[], flags: UpFlags, partial: boolean): Change[] {
  return changes.filter(({ kind }) => kind !== "orphan" || (flags.removeOrphans && !partial));
}

function isWork(changes: readonly Change[], flags: UpFlags, partial: boolean): boolean {
  return relevant(changes, flags, partial).some(({ kind }) => kind !== "unchanged");
}

/** Everything is as the files say: at most it is not as far yet as the user waits for. */
async function settled(
  project: Project,
  changes: readonly Change[],
  flags: UpFlags,
  deps: ServerDeps,
): Promise<ExitCode> {
  const views = changes.flatMap(({ current, kind }) =>
    current && kind !== "orphan" ? [current] : []
  );
  const outcomes = new Map(
    views.map((view) => [view.name, { kind: "unchanged", view } as Outcome]),
  );
  const met = views.every((view) => standingOf(view, goalOf(view, flags)).kind === "met");
  if (!flags.wait || met) return await finish({ project, outcomes, changes, deps, flags }, EXIT.ok);
  return await whileWatching(project, deps, async (watch, board) => {
    for (const { name } of views) board.say(name, "waiting", "busy");
    const waits: Waits = new Map(
      views.map(({ name }) => [name, comeUp(name, { flags, watch, board })]),
    );
    return await waitForAll({ project, outcomes, changes, deps, flags, waits, board });
  });
}

interface Work {
  project: Project;
  changes: Change[];
  flags: UpFlags;
  partial: boolean;
  deps: ServerDeps;
  held: Held;
}

async function change(work: Work): Promise<ExitCode> {
  const { project, changes, flags, deps, held, partial } = work;
  return await whileWatching(project, deps, async (watch, board) => {
    const byName = new Map(changes.map((one) => [one.name, one]));
    for (const { name, kind } of changes) {
      if (kind !== "unchanged" && kind !== "orphan") board.say(name, "waiting", "busy");
    }
    const waits: Waits = new Map();
    const outcomes = await applyAll({
      client: deps.client,
      watch,
      services: project.services,
      changes: byName,
      id: held.id,
      signal: held.signal,
      onOutcome(name, outcome) {
        sayOutcome(board, name, outcome, flags);
        if (isAwaited(outcome, flags)) waits.set(name, comeUp(name, { flags, watch, board }));
      },
    });
    if (flags.removeOrphans && !partial && !held.signal.aborted) {
      const orphans = changes.filter(({ kind }) => kind === "orphan");
      for (const { name, current } of orphans) {
        if (!current) continue;
        board.say(name, "removing", "busy");
        const gone = await removeAndWait(current, deps.client, watch);
        board.say(name, gone.ok ? "removed" : "not removed", gone.ok ? "good" : "bad");
        if (!gone.ok) outcomes.set(name, { kind: "failed", error: gone.error });
      }
    }
    return await waitForAll({ project, outcomes, changes, deps, flags, waits, board, held });
  }, held.signal);
}

function sayOutcome(board: Board, name: string, outcome: Outcome, flags: UpFlags): void {
  if (outcome.kind === "unchanged") return;
  if (outcome.kind === "failed") return board.say(name, "refused", "bad");
  if (outcome.kind === "skipped") return board.say(name, `not tried: ${outcome.why}`, "dim");
  board.say(name, outcome.kind, flags.noWait ? "good" : "busy");
}

/** What is waited for, by the name in the cluster. */
type Waits = Map<string, Promise<ExitCode>>;

function isAwaited({ kind }: Outcome, { wait, noWait }: UpFlags): boolean {
  return !noWait && kind !== "failed" && kind !== "skipped" && (wait || kind !== "unchanged");
}

/** Waits until a service is as far as the flags ask, and says so. */
async function comeUp(
  name: string,
  { flags, watch, board }: { flags: UpFlags; watch: Watch; board: Board },
): Promise<ExitCode> {
  const waited = await watch.until(({ services }) => {
    const view = services.get(name);
    const standing = view ? standingOf(view, goalOf(view, flags)) : undefined;
    if (standing?.kind === "met") return "";
    return standing?.kind === "never" ? standing.why : undefined;
  });
  if (waited.kind === "aborted") return EXIT.failed;
  const done = waited.kind === "done" && waited.value === "";
  const why = waited.kind === "done" ? waited.value : waited.kind;
  board.say(name, done ? "up" : why === "timeout" ? "not up yet" : why, done ? "good" : "bad");
  return done ? EXIT.ok : waited.kind === "timeout" ? EXIT.timeout : EXIT.failed;
}

/** Waits until what was applied has come about; when something was not applied, no longer. */
async function waitForAll(
  ending: Ending & { flags: UpFlags; waits: Waits; board: Board; held?: Held },
): Promise<ExitCode> {
  const { outcomes, waits, board, held, deps } = ending;
  const problem = [...outcomes].find(([, { kind }]) => kind === "failed" || kind === "skipped");
  let code: ExitCode = EXIT.ok;
  if (!problem && !held?.signal.aborted) {
    const codes = await Promise.all(waits.values());
    code = codes.find((one) => one !== EXIT.ok) ?? EXIT.ok;
  }
  board.stop();
  if (held?.signal.aborted) return await interrupted(ending, held);
  if (problem) return await failed(ending);
  if (code === EXIT.ok) return await finish(ending, code);
  await finish(ending, code);
  return fail(
    deps,
    code === EXIT.timeout
      ? "not everything is up yet; it goes on by itself"
      : "not everything came up",
    `see why: berth ps -a --project ${ending.project.name}\nwait for longer: --timeout 10m`,
    code,
  );
}

/** A job that is waited for has to end; everything else has to start, or with --wait to be ready. */
function goalOf({ mode }: ServiceView, { wait }: UpFlags): Condition {
  if (!wait) return "service_started";
  return mode.type === "job" ? "service_completed_successfully" : "service_healthy";
}

/** Runs with a watch of the project whose sights go to a board; both end with it. */
async function whileWatching(
  project: Project,
  deps: ServerDeps,
  run: (watch: Watch, board: Board) => Promise<ExitCode>,
  signal: AbortSignal = new AbortController().signal,
): Promise<ExitCode> {
  const names = [...project.services.values()].map(({ berthName }) => berthName);
  const board = startBoard(deps, names);
  const watch = watchProject({
    client: deps.client,
    clock: deps.clock,
    project: project.name,
    timeoutMs: deps.timeoutMs ?? DEFAULT_TIMEOUT_MS,
    signal,
    onSeen: board.see,
  });
  try {
    return await run(watch, board);
  } finally {
    board.stop();
    await watch.close();
  }
}
