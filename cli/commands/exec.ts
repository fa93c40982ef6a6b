/**
 * `berth exec`: a command inside a running task.
 *
 * The exit code is the command's own; 125 is Berth's.
 *
 * @module
 */
import type { ExecOptions } from "../../kv/schema/agent.ts";
import type { TaskView } from "../../kv/schema/task.ts";
import type { ServerDeps } from "../deps.ts";
import { EXIT, type ExitCode } from "../exit.ts";
import { findTaskOrService } from "../find.ts";
import { oneLine } from "../format/style.ts";
import { fail, failCall } from "../report.ts";
import { runSession } from "../session.ts";
import { openTunnel } from "../tunnel.ts";

export interface ExecFlags {
  interactive: boolean;
  tty: boolean;
  env: [string, string][];
  user: string | undefined;
  workdir: string | undefined;
  project: string | undefined;
}

export async function exec(
  flags: ExecFlags,
  ref: string,
  command: string[],
  deps: ServerDeps,
): Promise<ExitCode> {
  if (flags.tty && flags.interactive && !deps.io.inIsTty) {
    return fail(
      deps,
      "-t needs a terminal on standard input, and there is none",
      "leave out -t: berth exec -i …",
      EXIT.usage,
    );
  }
  const found = await findTaskOrService(deps.client, ref, flags.project);
  if (!found.ok) {
    failCall(deps, found.error, `cannot run a command in ${ref}`);
    return EXIT.own;
  }
  const tasks = found.value.kind === "task" ? [found.value.task] : found.value.tasks;
  const task = tasks.find((candidate) => candidate.state === "running");
  if (!task) {
    const now = tasks.length === 1 ? ` (it is ${tasks[0]?.state})` : "";
    return fail(
      deps,
      `${ref} has no running task${now}`,
      `see its tasks: berth ps -a\nsee why it waits: berth why ${ref}`,
      EXIT.own,
    );
  }
  return await runIn(task, flags, command, deps);
}

async function runIn(
  task: TaskView,
  flags: ExecFlags,
  command: string[],
  deps: ServerDeps,
): Promise<ExitCode> {
  const size = flags.tty ? deps.io.size() : undefined;
  const options: ExecOptions = {
    command,
    tty: flags.tty,
    stdin: flags.interactive,
    env: Object.fromEntries(flags.env),
    ...(flags.user === undefined ? {} : { user: flags.user }),
    ...(flags.workdir === undefined ? {} : { workingDir: flags.workdir }),
    ...(size === undefined ? {} : { columns: size.columns, rows: size.rows }),
  };
  const end = await runSession(
    openTunnel(deps.client.openExec(task.id, options)),
    { input: flags.interactive, tty: flags.tty, signals: true },
    deps,
  );
  if (end.kind === "exit") return end.code;
  const trouble = end.kind === "trouble" ? end.message : end.kind;
  return fail(
    deps,
    `cannot run ${command[0]} in ${task.name}: ${oneLine(trouble)}`,
    `see how its node is: berth nodes\nsee how the task is: berth inspect ${task.name}`,
    EXIT.own,
  );
}
