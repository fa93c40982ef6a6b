/**
 * `berth wait`: until services and tasks are as far as asked, or cannot come so far any more.
 *
 * @module
 */
import type { Result } from "../../api/client.ts";
import type { ServiceView } from "../../kv/schema/service.ts";
import type { TaskView } from "../../kv/schema/task.ts";
import { isTerminal } from "../../kv/schema/task_state.ts";
import type { ServerDeps } from "../deps.ts";
import { EXIT, type ExitCode } from "../exit.ts";
import { findTaskOrService, isNotFound } from "../find.ts";
import { qualified, stateText } from "../format/state.ts";
import { startProgress } from "../progress.ts";
import { fail, failCall } from "../report.ts";
import { waitUntil } from "../wait.ts";

export type Goal = "running" | "ready" | "done" | "gone";

export interface WaitFlags {
  goal: Goal | undefined;
  project: string | undefined;
}

const DEFAULT_TIMEOUT_MS = 10 * 60_000;

/** Where something stands: there, never going to be there, or neither yet. */
export type Standing = { kind: "reached" | "missed" | "waiting"; now: string };

interface Waited {
  name: string;
  goal: Goal;
  /** What to look at when it does not come. */
  look: string;
  ask(): Promise<Result<Standing>>;
}

export async function wait(flags: WaitFlags, refs: string[], deps: ServerDeps): Promise<ExitCode> {
  const all: Waited[] = [];
  for (const ref of refs) {
    const found = await findTaskOrService(deps.client, ref, flags.project);
    if (found.ok) {
      all.push(
        found.value.kind === "task"
          ? taskWait(found.value.task, flags.goal, deps)
          : serviceWait(found.value.service, flags.goal, deps),
      );
    } else if (!(flags.goal === "gone" && isNotFound(found.error))) {
      return failCall(deps, found.error, `cannot wait for ${ref}`);
    }
  }
  const untilMs = deps.clock.monoMs() + (deps.timeoutMs ?? DEFAULT_TIMEOUT_MS);
  let worst: ExitCode = EXIT.ok;
  for (const one of all) {
    const code = await waitFor(one, untilMs, deps);
    if (worst === EXIT.ok) worst = code;
  }
  return worst;
}

async function waitFor(one: Waited, untilMs: number, deps: ServerDeps): Promise<ExitCode> {
  const doing = `waiting for ${one.name} to be ${one.goal}`;
  const progress = startProgress(deps, doing);
  let last = "";
  const waited = await waitUntil(one.ask, (standing) => {
    last = standing.now;
    progress.update(`${doing}: ${standing.now}`);
    return standing.kind === "waiting" ? undefined : standing;
  }, { clock: deps.clock, timeoutMs: Math.max(0, untilMs - deps.clock.monoMs()) });
  progress.stop();
  if (waited.kind === "error") return failCall(deps, waited.error, `cannot wait for ${one.name}`);
  if (waited.kind !== "done") {
    return fail(
      deps,
      `${one.name} is not ${one.goal} after the time that was given: it is ${last}`,
      `see why: ${one.look}\nwait for longer: --timeout 30m`,
      EXIT.timeout,
    );
  }
  const { kind, now } = waited.value;
  if (kind === "missed") {
    const said = `${one.name} will not be ${one.goal}: it is ${now}`;
    return fail(deps, said, `see what happened: ${one.look}`, EXIT.failed);
  }
  deps.io.out(`${one.name} ${now}\n`);
  return EXIT.ok;
}

function serviceWait(service: ServiceView, asked: Goal | undefined, deps: ServerDeps): Waited {
  const goal = asked ?? (service.mode.type === "job" ? "done" : "ready");
  const name = qualified(service.project, service.name);
  return {
    name,
    goal,
    look: `berth describe ${name}`,
    ask: () =>
      standing(
        deps.client.getService(service.id, service.project),
        goal,
        (now) => serviceStanding(now, goal),
      ),
  };
}

function taskWait(task: TaskView, asked: Goal | undefined, deps: ServerDeps): Waited {
  const goal = asked ?? "ready";
  const name = qualified(task.project, task.name);
  return {
    name,
    goal,
    look: `berth describe ${task.id}`,
    ask: () =>
      standing(
        deps.client.getTask(task.id, task.project),
        goal,
        (now) => taskStanding(now, goal),
      ),
  };
}

async function standing<T>(
  asked: Promise<Result<T>>,
  goal: Goal,
  judge: (now: T) => Standing,
): Promise<Result<Standing>> {
  const answer = await asked;
  if (answer.ok) return { ok: true, value: judge(answer.value) };
  if (!isNotFound(answer.error)) return answer;
  return { ok: true, value: { kind: goal === "gone" ? "reached" : "missed", now: "gone" } };
}

/** Pure, like the one for tasks. */
export function serviceStanding(service: ServiceView, goal: Goal): Standing {
  const { phase, counts } = service;
  const { wanted, running, ready } = counts;
  const now = goal === "running" || goal === "ready"
    ? `${phase}, ${goal === "ready" ? ready : running} of ${wanted} ${goal}`
    : phase;
  const over = phase === "finished" || phase === "failed";
  const to = (kind: Standing["kind"]): Standing => ({ kind, now });
  if (goal === "gone") return to("waiting");
  if (phase === "removing") return to("missed");
  if (goal === "done") {
    return to(phase === "finished" ? "reached" : phase === "failed" ? "missed" : "waiting");
  }
  if (over || phase === "stopped") return to("missed");
  if (phase === "running") return to("reached");
  return to(goal === "running" && wanted > 0 && running >= wanted ? "reached" : "waiting");
}

export function taskStanding(task: TaskView, goal: Goal): Standing {
  const { state, ready, observed } = task;
  const code = observed?.exitCode === undefined ? "" : `, exit code ${observed.exitCode}`;
  const ended = isTerminal(state);
  const now = ended ? `${state}${code}` : stateText(task);
  const to = (kind: Standing["kind"]): Standing => ({ kind, now });
  if (goal === "gone") return to(ended ? "reached" : "waiting");
  if (goal === "done") {
    return to(!ended ? "waiting" : state === "succeeded" ? "reached" : "missed");
  }
  if (ended) return to("missed");
  const there = goal === "ready" ? ready : state === "running";
  return to(there && task.desired === "run" ? "reached" : "waiting");
}
