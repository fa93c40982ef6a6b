/**
 * `berth attach`: this terminal joined to the main process of a running task.
 *
 * The process goes on when the keys to detach are pressed, and when the connection breaks. The exit code
 * is the process's own once it ends.
 *
 * @module
 */
import type { AttachOptions } from "../../kv/schema/inside.ts";
import type { ServiceView } from "../../kv/schema/service.ts";
import type { TaskView } from "../../kv/schema/task.ts";
import type { ServerDeps } from "../deps.ts";
import { EXIT, type ExitCode } from "../exit.ts";
import { findTaskOrService } from "../find.ts";
import { detachFilter, keysText } from "../format/detach_keys.ts";
import { qualified } from "../format/state.ts";
import { oneLine } from "../format/style.ts";
import { fail, failCall, hint } from "../report.ts";
import { runSession } from "../session.ts";
import { openTunnel } from "../tunnel.ts";

export interface AttachFlags {
  noStdin: boolean;
  noSigProxy: boolean;
  detachKeys: number[] | undefined;
  project: string | undefined;
}

/** Ctrl-P, Ctrl-Q: as Docker has it. */
const DETACH_KEYS = [16, 17];

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
  const stdin = template.container?.stdinOpen === true && !flags.noStdin;
  const name = qualified(task.project, task.name);
  const size = template.tty ? deps.io.size() : undefined;
  const options: AttachOptions = { stdin, ...(size ?? {}) };
  const keys = flags.detachKeys ?? DETACH_KEYS;
  if (stdin && deps.io.inIsTty) hint(deps, `To leave it running: ${keysText(keys)}.`);
  const end = await runSession(
    openTunnel(deps.client.openAttach(task.id, options)),
    {
      input: stdin,
      tty: template.tty,
      signals: !flags.noSigProxy,
      filter: detachFilter(keys),
    },
    deps,
  );
  if (end.kind === "exit") return end.code;
  if (end.kind === "detached") {
    hint(deps, `\n${name} goes on. Attach again: berth attach ${name}`);
    return EXIT.ok;
  }
  return fail(
    deps,
    `no longer attached to ${name}, which goes on: ${oneLine(end.message)}`,
    `see how the task is: berth describe ${name}\nattach again: berth attach ${name}`,
    EXIT.own,
  );
}
