/**
 * Commands inside a container.
 *
 * The engine can start a command and tell when it ended, and cannot signal it: closing the connection
 * leaves it running. Its process id is the host's, of no use to an agent that talks to the engine over
 * a network. So a command carries a marker in its environment, and to signal it a second command looks
 * through the container's /proc for that marker and for the sessions that marked processes lead (the
 * engine gives every command a session of its own): this reaches its children too, on any engine.
 * An image without `sh`, `cat` and `kill` gets what a closed terminal gets: ^C, ^\ and ^D.
 *
 * @module
 */
import type { Duplex } from "node:stream";
import type { Clock } from "../../kv/schema/time.ts";
import type { ExecSession, Outcome, OutputChunk, RunOptions } from "../runtime.ts";
import { ask, type Engine } from "./client.ts";
import { bytesOf, demux } from "./streams.ts";

const MARKER = "BERTH_EXEC";
/** Bound of each engine call of a session, and of its end, in ms. */
export const CALL_MS = 5_000;
/** Rounds of looking for what still runs: the first may come before the command has begun. */
const KILL_ROUNDS = 20;
export const POLL_MS = 25;
const TERMINAL_END = new Uint8Array([3, 28, 4]);
const END_OF_INPUT = new Uint8Array([4]);

/**
 * Signals every process of the command; prints how many there were. Arguments: marker, signal. KILL
 * is repeated until nobody is left, since a process may fork while the list is read.
 */
const SIGNAL_SCRIPT = `
exec 2>/dev/null
marker=$1 signal=$2 all=0
for round in 1 2 3 4 5; do
  sessions=" " count=0
  for dir in /proc/[0-9]*; do
    case "$(cat $dir/environ)" in *"$marker"*) ;; *) continue ;; esac
    stat=$(cat $dir/stat); set -- \${stat##*) }
    case "$4" in ""|0|1) ;; *) sessions="$sessions$4 " ;; esac
  done
  for dir in /proc/[0-9]*; do
    stat=$(cat $dir/stat); set -- \${stat##*) }
    [ "$1" = Z ] && continue
    case "$sessions" in *" $4 "*) ;; *) continue ;; esac
    kill -$signal \${dir#/proc/} && count=$((count + 1))
  done
  all=$((all + count))
  [ "$signal" = KILL ] && [ $count -gt 0 ] || break
done
echo $all
`;

export interface ExecDeps {
  docker: Engine;
  clock: Clock;
  containerId: string;
  /** Unique among the commands of this container. */
  marker: string;
}

/** Starts a command. `signal` bounds the start only; the session lives until it is closed. */
export async function openExec(
  deps: ExecDeps,
  options: RunOptions,
  signal: AbortSignal,
): Promise<Outcome<ExecSession>> {
  const started = await start(deps, options, [`${MARKER}=${deps.marker}`], signal);
  if (!started.ok) return started;
  const session = createSession(deps, options, started.value);
  if (options.tty && options.columns && options.rows) {
    await session.resize(options.columns, options.rows);
  }
  return { ok: true, value: session };
}

interface Started {
  id: string;
  stream: Duplex;
}

async function start(
  { docker, containerId }: ExecDeps,
  options: Omit<RunOptions, "columns" | "rows">,
  extraEnv: string[],
  signal: AbortSignal,
): Promise<Outcome<Started>> {
  const { command, tty, stdin, env, user, workingDir, privileged } = options;
  const made = await ask("exec", signal, (abortSignal) =>
    docker.getContainer(containerId).exec({
      Cmd: command,
      AttachStdin: stdin,
      AttachStdout: true,
      AttachStderr: true,
      Tty: tty,
      Env: [...Object.entries(env).map(([name, value]) => `${name}=${value}`), ...extraEnv],
      ...(user ? { User: user } : {}),
      ...(workingDir ? { WorkingDir: workingDir } : {}),
      ...(privileged ? { Privileged: true } : {}),
      abortSignal,
    }));
  if (!made.ok) return made;
  const exec = made.value;
  const opened = await ask(
    "exec start",
    signal,
    (abortSignal) => exec.start({ hijack: true, stdin, Tty: tty, abortSignal }),
  );
  if (!opened.ok) return opened;
  opened.value.on("error", () => {});
  return { ok: true, value: { id: exec.id, stream: opened.value } };
}

function createSession(deps: ExecDeps, options: RunOptions, started: Started): ExecSession {
  const { docker, clock } = deps;
  const { stream } = started;
  const exec = docker.getExec(started.id);
  let outputEnded = false;
  let closing: Promise<void> | undefined;
  let onEnd = () => {};
  const ended = new Promise<void>((resolve) => onEnd = resolve);

  async function* readOutput(): AsyncGenerator<OutputChunk> {
    try {
      yield* demux(bytesOf(stream), options.tty);
      outputEnded = true;
    } finally {
      onEnd();
    }
  }

  /** The exit code, or undefined while it runs or when the engine does not say. */
  async function finished(): Promise<number | undefined> {
    const answer = await within(
      clock,
      (s) => ask("exec inspect", s, (abortSignal) => exec.inspect({ abortSignal })),
    );
    if (!answer.ok) return answer.status === 404 ? 137 : undefined;
    return answer.value.Running ? undefined : answer.value.ExitCode ?? undefined;
  }

  async function close(): Promise<void> {
    if (!(outputEnded && await finished() !== undefined)) await kill();
    stream.destroy();
    onEnd();
  }

  async function kill(): Promise<void> {
    const until = clock.monoMs() + CALL_MS;
    for (let round = 0; round < KILL_ROUNDS && clock.monoMs() < until; round++) {
      const reached = await sendSignal(deps, options, "KILL");
      if (reached === "gone") return;
      if (reached === "no-shell") {
        if (options.tty && !stream.destroyed) stream.write(TERMINAL_END);
        else stream.end();
        return;
      }
      if (await finished() !== undefined) return;
      await clock.sleep(POLL_MS);
    }
  }

  return {
    output: readOutput(),
    write: (data) => write(stream, data),
    endInput() {
      if (options.tty) void write(stream, END_OF_INPUT);
      else stream.end();
    },
    async resize(columns, rows) {
      // The terminal appears a moment after the command was accepted.
      for (let round = 0; round < KILL_ROUNDS; round++) {
        const answer = await within(
          clock,
          (s) =>
            ask(
              "exec resize",
              s,
              (abortSignal) => exec.resize({ w: columns, h: rows, abortSignal }),
            ),
        );
        if (answer.ok || outputEnded || answer.kind === "refused") return;
        await clock.sleep(POLL_MS);
      }
    },
    async signal(name) {
      await sendSignal(deps, options, name.replace(/^SIG/, ""));
    },
    async exitCode() {
      await ended;
      // The engine notes the code a moment after the output has ended.
      for (let round = 0; round < CALL_MS / POLL_MS; round++) {
        const code = await finished();
        if (code !== undefined) return code;
        if (closing) return 137;
        await clock.sleep(POLL_MS);
      }
      return 137;
    },
    close: () => closing ??= close(),
  };
}

/** How many processes a signal reached; `gone` when the container does not run any more. */
async function sendSignal(
  deps: ExecDeps,
  { user }: Pick<RunOptions, "user">,
  name: string,
): Promise<number | "gone" | "no-shell"> {
  return await within(deps.clock, async (signal) => {
    const command = ["sh", "-c", SIGNAL_SCRIPT, "sh", `${MARKER}=${deps.marker}`, name];
    const options = { command, tty: false, stdin: false, env: {}, ...(user ? { user } : {}) };
    const script = await start(deps, options, [], signal);
    if (!script.ok) return script.kind === "refused" ? "gone" : 0;
    let text = "";
    for await (const { data } of demux(bytesOf(script.value.stream, signal), false)) {
      text += new TextDecoder().decode(data);
    }
    if (/^\d+\s*$/.test(text)) return Number(text);
    return signal.aborted || text === "" ? 0 : "no-shell";
  });
}

/** Runs `body` with a signal that aborts after {@link CALL_MS} by `clock`. */
export async function within<T>(
  clock: Clock,
  body: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const deadline = new AbortController();
  const done = new AbortController();
  void clock.sleep(CALL_MS, done.signal).then(() => deadline.abort());
  try {
    return await body(deadline.signal);
  } finally {
    done.abort();
  }
}

/** Resolves once the bytes are handed on, so that a fast writer waits; a broken stream takes them. */
export function write(stream: Duplex, data: Uint8Array): Promise<void> {
  if (stream.destroyed || stream.writableEnded) return Promise.resolve();
  return new Promise((resolve) => {
    stream.once("close", resolve);
    stream.write(data, () => {
      stream.off("close", resolve);
      resolve();
    });
  });
}
