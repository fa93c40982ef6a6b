/**
 * Hooks: commands that the agent runs in a container, one after the other, until one fails.
 *
 * 1. A hook ends by the deadline or when the signal aborts, and leaves no command behind.
 * 2. An engine that does not answer is no failure of the task (`unavailable`).
 *
 * @module
 */
import type { Hook } from "../kv/schema/container.ts";
import { oneLine } from "./probes/result.ts";
import type { EngineFailure, Outcome, Runtime } from "./runtime.ts";

const KEPT_BYTES = 512;

/** Runs the hooks; `refused` says which one failed, and how. `kind` is `post_start` or `pre_stop`. */
export async function runHooks(
  exec: Runtime["exec"],
  { taskId, hooks, kind }: { taskId: string; hooks: readonly Hook[]; kind: string },
  signal: AbortSignal,
): Promise<Outcome> {
  for (const [i, hook] of hooks.entries()) {
    const name = hooks.length === 1 ? kind : `${kind} ${i + 1} of ${hooks.length}`;
    const done = await runHook(exec, taskId, hook, signal);
    if (done.ok) continue;
    return { ...done, message: `${name}: ${done.message}` };
  }
  return { ok: true, value: undefined };
}

async function runHook(
  exec: Runtime["exec"],
  taskId: string,
  { command, user, privileged, workingDir, env }: Hook,
  signal: AbortSignal,
): Promise<Outcome> {
  const opened = await exec(taskId, {
    ...{ command, env, privileged, tty: false, stdin: false },
    ...(user === undefined ? {} : { user }),
    ...(workingDir === undefined ? {} : { workingDir }),
  }, signal);
  if (!opened.ok) return opened;
  const session = opened.value;
  const close = () => void session.close();
  signal.addEventListener("abort", close, { once: true });
  try {
    const output = await lastOutput(session.output);
    if (signal.aborted) return failure("unavailable", "given up");
    const code = await session.exitCode();
    if (code === 0) return { ok: true, value: undefined };
    return failure("refused", `exit code ${code}${output === "" ? "" : `: ${output}`}`);
  } finally {
    signal.removeEventListener("abort", close);
    await session.close(); // invariant 1
  }
}

/** The end of an output: there it says what went wrong. */
async function lastOutput(output: AsyncIterable<{ data: Uint8Array }>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const { data } of output) {
    text = (text + decoder.decode(data, { stream: true })).slice(-KEPT_BYTES);
  }
  return oneLine(text);
}

function failure(kind: EngineFailure["kind"], message: string): EngineFailure {
  return { ok: false, kind, message };
}
