/**
 * `berth exec`: a command inside a running task.
 *
 * Invariants:
 * 1. The terminal leaves raw mode however the command ends.
 * 2. The exit code is the command's own; 125 is Berth's.
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
import { openTunnel, type Tunnel } from "../tunnel.ts";

export interface ExecFlags {
  interactive: boolean;
  tty: boolean;
  env: [string, string][];
  user: string | undefined;
  workdir: string | undefined;
  project: string | undefined;
}

const FORWARDED = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"] as const;

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
  const { io } = deps;
  const size = flags.tty ? io.size() : undefined;
  const options: ExecOptions = {
    command,
    tty: flags.tty,
    stdin: flags.interactive,
    env: Object.fromEntries(flags.env),
    ...(flags.user === undefined ? {} : { user: flags.user }),
    ...(flags.workdir === undefined ? {} : { workingDir: flags.workdir }),
    ...(size === undefined ? {} : { columns: size.columns, rows: size.rows }),
  };
  const tunnel = openTunnel(deps.client.openExec(task.id, options));
  const raw = flags.tty && flags.interactive;
  const disposers = wireSignals(tunnel, { raw, tty: flags.tty }, deps);
  const input = flags.interactive ? sendInput(tunnel, io.input()) : undefined;
  if (raw) io.setRaw(true);
  let code: ExitCode | undefined;
  let trouble = "the connection broke before the command ended";
  try {
    for await (const frame of tunnel.frames) {
      if (frame.kind === "data") {
        if (frame.stream === "stdout") io.outBytes(frame.data);
        else io.errBytes(frame.data);
      } else if (frame.kind === "exit") {
        code = frame.code;
        tunnel.close();
      } else if (frame.kind === "error") {
        trouble = frame.message;
        tunnel.close();
      } else if (frame.kind === "closed" && frame.reason) trouble = frame.reason;
    }
  } finally {
    if (raw) io.setRaw(false); // Invariant 1
    for (const dispose of disposers) dispose();
    input?.cancel();
    tunnel.close();
  }
  if (code !== undefined) return code; // Invariant 2
  return fail(
    deps,
    `cannot run ${command[0]} in ${task.name}: ${oneLine(trouble)}`,
    `see how its node is: berth nodes\nsee how the task is: berth inspect ${task.name}`,
    EXIT.own,
  );
}

/** In raw mode Ctrl-C is a byte like any other; otherwise it is a signal to pass on. */
function wireSignals(
  tunnel: Tunnel,
  mode: { raw: boolean; tty: boolean },
  { io }: ServerDeps,
): (() => void)[] {
  const disposers = FORWARDED
    .filter((signal) => !mode.raw || signal !== "SIGINT")
    .map((signal) => io.onSignal(signal, () => tunnel.control({ type: "signal", signal })));
  if (mode.tty) {
    disposers.push(io.onSignal("SIGWINCH", () => {
      const size = io.size();
      if (size) tunnel.control({ type: "resize", columns: size.columns, rows: size.rows });
    }));
  }
  return disposers;
}

function sendInput(tunnel: Tunnel, input: ReadableStream<Uint8Array>): { cancel(): void } {
  const reader = input.getReader();
  const pump = async () => {
    while (true) {
      const { done, value } = await reader.read();
      if (done) break;
      await tunnel.input(value);
    }
    tunnel.control({ type: "stdin-end" });
  };
  // A terminal that went away reads as the end of input.
  pump().catch(() => tunnel.control({ type: "stdin-end" }));
  return { cancel: () => void reader.cancel().catch(() => {}) };
}
