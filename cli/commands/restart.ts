/**
 * `berth restart`: all tasks of a service anew, by its update policy, or one task at once.
 *
 * @module
 */
import type { ServiceView } from "../../kv/schema/service.ts";
import type { TaskView } from "../../kv/schema/task.ts";
import { isTerminal } from "../../kv/schema/task_state.ts";
import type { ServerDeps } from "../deps.ts";
import { EXIT, type ExitCode } from "../exit.ts";
import { findTaskOrService } from "../find.ts";
import { qualified } from "../format/state.ts";
import { startProgress } from "../progress.ts";
import { fail, failCall, hint } from "../report.ts";
import { waitUntil } from "../wait.ts";
import { each, type LifecycleOptions, settle } from "./lifecycle.ts";
import { watchRollout } from "./rollout.ts";

const TASK_TIMEOUT_MS = 5 * 60_000;

export function restart(
  options: LifecycleOptions,
  refs: string[],
  deps: ServerDeps,
): Promise<ExitCode> {
  return each(refs, async (ref) => {
    const found = await findTaskOrService(deps.client, ref, options.project);
    if (!found.ok) return failCall(deps, found.error, `cannot restart ${ref}`);
    return found.value.kind === "task"
      ? await restartTask(found.value.task, options, deps)
      : await restartService(found.value.service, options, deps);
  });
}

async function restartService(
  { id, project, name }: ServiceView,
  options: LifecycleOptions,
  deps: ServerDeps,
): Promise<ExitCode> {
  const asked = await deps.client.steerRollout(id, { action: "restart" }, project);
  if (!asked.ok) return failCall(deps, asked.error, `cannot restart ${qualified(project, name)}`);
  const service = asked.value;
  if (options.noWait) {
    hint(deps, `Follow it: berth rollout status -f ${qualified(project, name)}`);
  } else if (service.mode.type === "replicated") return await watchRollout(service, deps);
  return await settle(deps, options, service, {
    doing: "restarting",
    done: ({ phase }) => phase === "running",
  });
}

async function restartTask(
  task: TaskView,
  options: LifecycleOptions,
  deps: ServerDeps,
): Promise<ExitCode> {
  const { client } = deps;
  const name = qualified(task.project, task.name);
  const asked = await client.restartTask(task.id, task.project);
  if (!asked.ok) return failCall(deps, asked.error, `cannot restart ${name}`);
  if (!options.noWait) {
    const progress = startProgress(deps, `restarting ${name}`);
    const waited = await waitUntil(
      () => client.getTask(task.name, task.project),
      (now) => {
        progress.update(`restarting ${name}: ${now.id === task.id ? "stopping" : now.state}`);
        return now.id !== task.id && hasStarted(now) || undefined;
      },
      { clock: deps.clock, timeoutMs: deps.timeoutMs ?? TASK_TIMEOUT_MS },
    );
    progress.stop();
    if (waited.kind === "error") return failCall(deps, waited.error, `cannot follow ${name}`);
    if (waited.kind !== "done") {
      return fail(
        deps,
        `restarting ${name} takes longer than it was given; it goes on by itself`,
        `see where it stands: berth why ${name}\nwait for longer: --timeout 10m`,
        EXIT.timeout,
      );
    }
  }
  deps.io.out(name + "\n");
  return EXIT.ok;
}

function hasStarted({ state }: TaskView): boolean {
  return state === "running" || isTerminal(state);
}
