/**
 * A child process of `berth dev` and `berth demo`, kept running.
 *
 * Invariants:
 * 1. Children are in process groups of their own: Ctrl-C reaches only this process, which then stops
 *    them in order.
 * 2. `stop` ends in bounded time: SIGTERM, then SIGKILL, and waits for the end either way.
 * 3. A child that ends by itself is started again, unless it does so again and again.
 * 4. The log file is closed when the last process that writes to it has ended.
 *
 * @module
 */
import type { Clock } from "../../kv/schema/time.ts";

export interface ChildOptions {
  name: string;
  /** Arguments of `deno`. */
  args: string[];
  /** Added to this process's environment. */
  env?: Record<string, string>;
  cwd: string;
  /** Standard output and error, appended. */
  logPath: string;
  clock: Clock;
  /** Told when it ended by itself, and whether it will be started again. */
  onExit?: (exit: { code: number; again: boolean }) => void;
}

export interface Child {
  name: string;
  logPath: string;
  /** The process that runs now; `undefined` between two. */
  pid(): number | undefined;
  /** Resolves when it ended for good: by `stop`, or because it kept failing. */
  ended: Promise<void>;
  /** Ends the current process at once; invariant 3 starts the next. */
  kill(): void;
  stop(): Promise<void>;
}

const RESTART_DELAY_MS = 500;
/** A process that lives for less than this has failed to start. */
const SETTLED_MS = 5000;
const MAX_FAILED_STARTS = 3;
const TERM_MS = 15_000;

/** Starts it, and from then on keeps it running until `stop`. The owner must call `stop`. */
export function startChild(options: ChildOptions): Child {
  const { clock } = options;
  const stopping = new AbortController();
  let current: Deno.ChildProcess | undefined;

  async function keep(): Promise<void> {
    let failedStarts = 0;
    while (!stopping.signal.aborted) {
      const startMs = clock.monoMs();
      const code = await once();
      if (stopping.signal.aborted) return;
      failedStarts = clock.monoMs() - startMs < SETTLED_MS ? failedStarts + 1 : 0;
      const again = failedStarts < MAX_FAILED_STARTS;
      options.onExit?.({ code, again });
      if (!again) return;
      await clock.sleep(RESTART_DELAY_MS, stopping.signal);
    }
  }

  async function once(): Promise<number> {
    const log = await Deno.open(options.logPath, { create: true, append: true, mode: 0o600 });
    const child = new Deno.Command(Deno.execPath(), {
      args: options.args,
      cwd: options.cwd,
      env: options.env ?? {},
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
      detached: true, // Invariant 1
    }).spawn();
    current = child;
    if (stopping.signal.aborted) signalTo(child, "SIGTERM");
    await Promise.all([child.stdout, child.stderr].map((stream) => append(stream, log)));
    log.close(); // Invariant 4
    const { code } = await child.status;
    current = undefined;
    return code;
  }

  const ended = keep();
  return {
    name: options.name,
    logPath: options.logPath,
    pid: () => current?.pid,
    ended,
    kill: () => current && signalTo(current, "SIGKILL"),
    async stop() {
      stopping.abort();
      if (current) signalTo(current, "SIGTERM");
      const inTime = new AbortController();
      const late = clock.sleep(TERM_MS, inTime.signal).then(() => {
        if (!inTime.signal.aborted && current) signalTo(current, "SIGKILL"); // Invariant 2
      });
      await ended;
      inTime.abort();
      await late;
    },
  };
}

/** Adds what comes to the file, whole pieces at a time. */
async function append(stream: ReadableStream<Uint8Array>, file: Deno.FsFile): Promise<void> {
  for await (const piece of stream) {
    for (let at = 0; at < piece.length;) at += await file.write(piece.subarray(at));
  }
}

function signalTo(child: Deno.ChildProcess, signal: Deno.Signal): void {
  try {
    child.kill(signal);
  } catch {
    // It has ended already.
  }
}

/** The last lines of a log, for an error message. */
export async function tailOf(path: string, lines: number): Promise<string> {
  const text = await Deno.readTextFile(path).catch(() => "");
  return text.trimEnd().split("\n").slice(-lines).join("\n");
}
