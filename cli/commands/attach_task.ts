/**
 * `berth attach`: this terminal joined to the main process of a running task.
 *
 * The process goes on when the keys to detach are pressed, and when the connection breaks. The exit code
 * is the process's own once it ends.
 *
 * @module
 */
import type { ServiceView } from "../../kv/schema/service.ts";
import type { TaskView } from "../../kv/schema/task.ts";
import type { ServerDeps } from "../deps.ts";
import { EXIT, type ExitCode } from "../exit.ts";
import { findTaskOrService } from "../find.ts";
import { qualified } from "../format/state.ts";
import { joinMainProcess, leave } from "../main_process.ts";
import { fail, failCall, hint } from "../report.ts";

export interface AttachFlags {
  noStdin: boolean;
  noSigProxy: boolean;
  detachKeys: number[] | undefined;
  project: string | undefined;
}

export async function attachTask(
  flags: AttachFlags,
  ref: string,
  deps: ServerDeps,
): Promise<ExitCode> {
  const found = await findTaskOrService(deps.client, ref, flags.project);
  if (!found.ok) {
    failCall(deps, found.error, `cannot attach to ${ref}`);
    return EXIT.own;
  }
  const tasks = found.value.kind === "task" ? [found.value.task] : found.value.tasks;
  const running = tasks.filter(({ state }) => state === "running");
  const [task] = running;
  if (!task) {
    const next = `see its tasks: berth ps -a\nsee why it waits: berth why ${ref}`;
    return fail(deps, `${ref} has no running task`, next, EXIT.own);
  }
  if (running.length > 1) {
    hint(deps, `Of ${running.length} tasks, this is ${qualified(task.project, task.name)}.`);
  }
  const service = await deps.client.getService(task.serviceId, task.project);
  if (!service.ok) {
    failCall(deps, service.error, `cannot attach to ${ref}`);
    return EXIT.own;
  }
  return await join(task, service.value, flags, deps);
}

async function join(
  task: TaskView,
  { template }: ServiceView,
  flags: AttachFlags,
  deps: ServerDeps,
): Promise<ExitCode> {
  const end = await joinMainProcess(task, {
    stdin: template.container?.stdinOpen === true && !flags.noStdin,
    tty: template.tty,
    replay: false,
    signals: !flags.noSigProxy,
    detachKeys: flags.detachKeys,
  }, deps);
  return end.kind === "exit" ? end.code : leave(task, end, deps);
}
