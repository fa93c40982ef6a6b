/**
 * The main process of a running task, joined to this terminal or pipe, and left to itself again.
 *
 * @module
 */
import type { AttachOptions } from "../kv/schema/inside.ts";
import type { TaskView } from "../kv/schema/task.ts";
import type { ServerDeps } from "./deps.ts";
import { detachFilter, keysText } from "./format/detach_keys.ts";
import { EXIT, type ExitCode } from "./exit.ts";
import { qualified } from "./format/state.ts";
import { oneLine } from "./format/style.ts";
import { fail, hint } from "./report.ts";
import { runSession, type SessionEnd } from "./session.ts";
import { openTunnel } from "./tunnel.ts";

export interface JoinOptions {
  stdin: boolean;
  /** The process has a terminal. */
  tty: boolean;
  /** What it has said so far comes first. */
  replay: boolean;
  /** Signals are passed on; else they detach. */
  signals: boolean;
  /** Those that leave it running. */
  detachKeys?: readonly number[] | undefined;
}

/** Ctrl-P, Ctrl-Q: as Docker has it. */
const DETACH_KEYS = [16, 17];

export async function joinMainProcess(
  task: Pick<TaskView, "id">,
  { stdin, tty, replay, signals, detachKeys: keys = DETACH_KEYS }: JoinOptions,
  deps: Pick<ServerDeps, "client" | "io" | "view">,
): Promise<SessionEnd> {
  const size = tty ? deps.io.size() : undefined;
  const options: AttachOptions = { stdin, ...(replay ? { replay } : {}), ...(size ?? {}) };
  if (stdin && deps.io.inIsTty) hint(deps, `To leave it running: ${keysText(keys)}.`);
  return await runSession(
    openTunnel(deps.client.openAttach(task.id, options)),
    { input: stdin, tty, signals, filter: detachFilter(keys) },
    deps,
  );
}

/** Says that it goes on without this terminal, and returns what to end with. */
export function leave(
  task: Pick<TaskView, "name" | "project">,
  end: Exclude<SessionEnd, { kind: "exit" }>,
  deps: Pick<ServerDeps, "io" | "view">,
): ExitCode {
  const name = qualified(task.project, task.name);
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
