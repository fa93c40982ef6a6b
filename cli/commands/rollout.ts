/**
 * `berth rollout`: status, history, undo, pause, resume, promote.
 *
 * @module
 */
import type { RevisionView, RolloutCommand, RolloutView } from "../../kv/schema/rollout.ts";
import type { ServiceView } from "../../kv/schema/service.ts";
import type { ServerDeps } from "../deps.ts";
import { EXIT, type ExitCode } from "../exit.ts";
import { listAll, refOf } from "../find.ts";
import { age } from "../format/duration.ts";
import { qualified } from "../format/state.ts";
import { oneLine, type Paint, style } from "../format/style.ts";
import { startProgress } from "../progress.ts";
import { fail, failCall, hint, printList, printValue } from "../report.ts";
import { waitUntil } from "../wait.ts";

interface InProject {
  project: string | undefined;
}

/** Longer than the default progress deadline of a service. */
const DEFAULT_TIMEOUT_MS = 15 * 60_000;

export async function status(
  options: InProject & { follow: boolean },
  ref: string,
  deps: ServerDeps,
): Promise<ExitCode> {
  const { name, project } = refOf(ref, options.project);
  const found = await deps.client.getService(name, project);
  if (!found.ok) return failCall(deps, found.error, `cannot show the rollout of ${ref}`);
  if (!found.value.rollout) return noRollout(found.value, deps);
  if (options.follow) return await watchRollout(found.value, deps);
  return await show(found.value, found.value.rollout, deps);
}

export async function history(options: InProject, ref: string, deps: ServerDeps) {
  const { name, project } = refOf(ref, options.project);
  const listed = await listAll((query) =>
    deps.client.listRevisions(name, { ...query, ...(project === undefined ? {} : { project }) })
  );
  if (!listed.ok) return failCall(deps, listed.error, `cannot list the revisions of ${ref}`);
  const paint = style(deps.view.color);
  const now = deps.clock.wallMs();
  return await printList<RevisionView>(deps, {
    rows: listed.value,
    columns: [
      {
        header: "REVISION",
        cell: (row) => `${row.revision}${row.current ? " *" : ""}`,
        paint: (row) => row.current ? paint.good : paint.dim,
      },
      { header: "AGE", cell: (row) => age(now - Date.parse(row.createdAt)) },
      { header: "TASKS", cell: (row) => String(row.tasks) },
      { header: "IMAGE", cell: (row) => row.image, minWidth: 8 },
      { header: "CHANGES", cell: (row) => row.changes.join(", ") || "-", minWidth: 8, drop: 1 },
    ],
    name: (row) => String(row.revision),
    empty: "No revisions.",
  });
}

export async function steer(
  options: InProject & { noWait: boolean; command: RolloutCommand },
  ref: string,
  deps: ServerDeps,
): Promise<ExitCode> {
  const { name, project } = refOf(ref, options.project);
  const { command } = options;
  const changed = await deps.client.steerRollout(name, command, project);
  if (!changed.ok) return failCall(deps, changed.error, `cannot ${command.action} ${ref}`);
  if (!options.noWait) return await watchRollout(changed.value, deps, { asked: command.action });
  deps.io.out(qualified(changed.value.project, changed.value.name) + "\n");
  hint(deps, `Follow it: berth rollout status -f ${ref}`);
  return EXIT.ok;
}

/**
 * Follows a rollout until it is over or needs somebody; prints how it stands then. What was asked of one
 * that waits must have been heeded first.
 */
export async function watchRollout(
  service: ServiceView,
  deps: ServerDeps,
  { asked }: { asked?: RolloutCommand["action"] } = {},
): Promise<ExitCode> {
  const name = qualified(service.project, service.name);
  const before = asked === "promote" || asked === "resume" ? service.rollout : undefined;
  const progress = startProgress(deps, `rolling out ${name}`);
  const waited = await waitUntil(
    () => deps.client.getService(service.id, service.project),
    (seen) => {
      const { rollout } = seen;
      if (!rollout) return seen;
      progress.update(`${name}: ${line(rollout)}`);
      const under = rollout.state === "progressing" || rollout.state === "rolling-back";
      return under || (before && waitsStill(before, rollout)) ? undefined : seen;
    },
    { clock: deps.clock, timeoutMs: deps.timeoutMs ?? DEFAULT_TIMEOUT_MS },
  );
  progress.stop();
  if (waited.kind === "error") return failCall(deps, waited.error, `cannot follow ${name}`);
  if (waited.kind !== "done") {
    return fail(
      deps,
      `rolling out ${name} takes longer than it was given; it goes on by itself`,
      `follow it: berth rollout status -f ${name}\nsee its tasks: berth ps ${name}`,
      EXIT.timeout,
    );
  }
  const { value } = waited;
  return value.rollout ? await show(value, value.rollout, deps) : noRollout(value, deps);
}

/** Nobody has taken up yet what was asked. */
function waitsStill(before: RolloutView, { revision, state, since }: RolloutView): boolean {
  return ["waiting-promote", "paused"].includes(state) &&
    before.revision === revision && before.state === state && before.since === since;
}

/** Prints it; the code is 1 when it stands where nobody wanted it. */
async function show(
  service: ServiceView,
  rollout: RolloutView,
  deps: ServerDeps,
): Promise<ExitCode> {
  const name = qualified(service.project, service.name);
  const { output } = deps.view;
  if (output === "json" || output === "yaml") await printValue(deps, rollout, output);
  else {
    const painted = paintOf(rollout, deps)(line(rollout));
    deps.io.out(`${name}: ${painted}${rollout.why ? `\n  ${oneLine(rollout.why)}` : ""}\n`);
    const next = nextStep(rollout, name);
    if (next) hint(deps, next);
  }
  return hasFailed(rollout) ? EXIT.failed : EXIT.ok;
}

/**
 * `revision 3 progressing: 2 of 10 slots updated, 8 old tasks left`; once it is over,
 * `revision 3 done: 10 of 10 slots serve`. Without a revision that failed it is users who went back.
 */
export function line(rollout: RolloutView): string {
  const { state, updated, total, retiring } = rollout;
  const over = state === "done" || state === "rolled-back";
  const tasks = `${retiring} old task${retiring === 1 ? "" : "s"}`;
  const left = retiring === 0 ? "" : `, ${tasks} ${over ? "stopping" : "left"}`;
  return `${courseOf(rollout)}: ${updated} of ${total} slots ${over ? "serve" : "updated"}${left}`;
}

function courseOf({ revision, goal, state }: RolloutView): string {
  if (goal !== revision) return `revision ${revision} ${state} to ${goal}`;
  if (state === "rolling-back") return `going back to revision ${goal}`;
  if (state === "rolled-back") return `went back to revision ${goal}`;
  return `revision ${revision} ${state}`;
}

function paintOf(rollout: RolloutView, deps: ServerDeps): Paint {
  const paint = style(deps.view.color);
  if (hasFailed(rollout)) return paint.bad;
  return rollout.state === "done" || rollout.state === "rolled-back" ? paint.good : paint.busy;
}

/** It stands where nobody wanted it; users who went back are where they wanted to be. */
function hasFailed({ state, revision, goal }: RolloutView): boolean {
  return state === "failed" || (state === "rolled-back" && goal !== revision);
}

/** What to do about it; undefined: nothing. */
export function nextStep(rollout: RolloutView, name: string): string | undefined {
  const { state } = rollout;
  if (state === "paused") {
    return `Go on: berth rollout resume ${name}. Go back: berth rollout undo ${name}`;
  }
  if (state === "waiting-promote") {
    return `Go on: berth rollout promote ${name}. Go back: berth rollout undo ${name}`;
  }
  return hasFailed(rollout) ? `See why: berth describe ${name}` : undefined;
}

function noRollout(service: ServiceView, deps: ServerDeps): ExitCode {
  const name = qualified(service.project, service.name);
  return fail(
    deps,
    `${name} is a job: it has no rollouts`,
    `see it: berth ps -a ${name}`,
    EXIT.usage,
  );
}
