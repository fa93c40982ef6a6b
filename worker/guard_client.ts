/**
 * The agent's side of its guard (guard.ts): starts it while there are strict tasks, marks each poll
 * before it is sent, and tells it which polls were answered.
 *
 * 1. A poll waits for its mark for {@link MARK_MS} at the most; without one it confirms nothing.
 * 2. A strict task starts only after the guard covers it and has heard of a contact.
 * 3. The agent's end leaves the guard running to its deadline; `close` is for when nothing is strict.
 *
 * @module
 */
import type { Clock } from "../kv/schema/time.ts";
import type { GuardMessage, GuardSetup, GuardTarget } from "./guard.ts";
import type { Log } from "./log.ts";
import type { EngineFailure, Outcome } from "./runtime.ts";
import { writeFileAtomically } from "./state_file.ts";

export interface Guard {
  /** A guard of an earlier agent is alive: it looks after the strict tasks of that life. */
  earlier(): Promise<boolean>;
  /** Sets a mark, covering these containers; undefined when the guard does not answer in time. */
  mark(names: readonly string[]): Promise<number | undefined>;
  /** The poll sent after the mark was answered; kill at `killMs` after the mark. False: no guard. */
  confirm(mark: number, killMs: number): Promise<boolean>;
  /** Covers these containers; `unavailable` while the guard has not heard of a contact. */
  cover(names: readonly string[]): Promise<Outcome>;
  /** Nothing is strict any more: the guard ends. */
  close(): void;
  /** The agent ends, the guard goes on. */
  leave(): void;
}

export interface GuardDeps {
  stateDir: string;
  target: GuardTarget;
  clock: Clock;
  newId: () => string;
  log: Log;
}

const MARK_MS = 1_000;
const COVER_MS = 5_000;

interface Running {
  id: string;
  send(message: GuardMessage | GuardSetup): Promise<void>;
  /** Resolves, by what was said, when the guard says it. */
  said(line: string): Promise<void>;
  gone: boolean;
  confirmed: boolean;
  leave(): void;
}

/** Why a strict task cannot run here; undefined when it can. */
export async function guardProblem(): Promise<string | undefined> {
  const { state } = await Deno.permissions.query({ name: "run", command: Deno.execPath() });
  return state === "granted" ? undefined : "strict singletons need a guard process: start the " +
    `worker with --allow-run=${Deno.execPath()} (deno task worker does)`;
}

export function createGuard(deps: GuardDeps): Guard {
  const { stateDir, clock, log } = deps;
  const lockPath = `${stateDir}/guard.lock`;
  const ownerPath = `${stateDir}/guard-owner`;
  let running: Running | undefined;
  let starting: Promise<Running> | undefined;
  let last = 0;
  let seq = 0;
  let covered: readonly string[] = [];

  async function start(): Promise<Running> {
    if (running && !running.gone) return running;
    if (running) log("warn", "the guard of the strict tasks is gone; starting another");
    const guard = spawnGuard(deps, { lockPath, ownerPath });
    const { id } = guard;
    await guard.send({ target: deps.target, id, ownerPath, lockPath });
    await guard.send({ cover: [...covered], seq: ++seq });
    return running = guard;
  }

  function ensure(): Promise<Running> {
    return starting ??= start().finally(() => starting = undefined);
  }

  async function within<T>(ms: number, what: Promise<T>): Promise<T | undefined> {
    const answered = new AbortController();
    const late = clock.sleep(ms, answered.signal).then(() => undefined);
    const first = await Promise.race([what, late]);
    answered.abort();
    await late;
    return first;
  }

  return {
    async earlier() {
      using lock = await Deno.open(lockPath, { create: true, write: true, mode: 0o600 });
      return !await lock.tryLock(true);
    },
    async mark(names) {
      if (await guardProblem() !== undefined) return undefined;
      const same = names.length === covered.length && names.every((name, i) => name === covered[i]);
      covered = [...names];
      const mark = ++last;
      const marked = ensure().then(async (guard) => {
        if (!same) await guard.send({ cover: [...covered], seq: ++seq });
        const said = guard.said(String(mark));
        await guard.send({ mark });
        await said;
        return mark;
      });
      marked.catch(() => {});
      return await within(MARK_MS, marked.catch(() => undefined)); // Invariant 1
    },
    async confirm(mark, killMs) {
      const guard = running;
      if (!guard || guard.gone) return false;
      await guard.send({ confirm: mark, killMs });
      if (!guard.confirmed) {
        guard.confirmed = true;
        await writeFileAtomically(ownerPath, guard.id);
      }
      return true;
    },
    async cover(names) {
      const problem = await guardProblem();
      if (problem !== undefined) return { ok: false, kind: "refused", message: problem };
      covered = [...names];
      const guard = await ensure();
      if (!guard.confirmed) return unavailable("the guard has not heard of a poll yet");
      const mine = ++seq;
      const said = guard.said(`c${mine}`).then(() => true);
      await guard.send({ cover: [...covered], seq: mine });
      return await within(COVER_MS, said)
        ? { ok: true, value: undefined }
        : unavailable("the guard does not answer");
    },
    close() {
      covered = [];
      const guard = running;
      running = undefined;
      void guard?.send({ bye: true }).then(() => guard.leave());
    },
    leave() {
      running?.leave();
      running = undefined;
    },
  };
}

function unavailable(message: string): EngineFailure {
  return { ok: false, kind: "unavailable", message };
}

/** Starts the process, in a group of its own: Ctrl-C in a terminal is not meant for it. */
function spawnGuard(
  { target, stateDir, newId, log }: GuardDeps,
  { lockPath, ownerPath }: { lockPath: string; ownerPath: string },
): Running {
  const files = [lockPath, ownerPath, ...(target.kind === "socket" ? [target.path] : [])].join(",");
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-q", "--no-config", "--no-lock", "--no-prompt"],
      "--v8-flags=--max-semi-space-size=1,--max-old-space-size=32",
      ...[`--allow-read=${files}`, `--allow-write=${files}`],
      `--allow-net=${
        target.kind === "tcp" ? `${target.host}:${target.port}` : `unix:${target.path}`
      }`,
      new URL("./guard.ts", import.meta.url).pathname,
    ],
    cwd: stateDir,
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
    detached: true,
  }).spawn();
  child.unref();
  const writer = child.stdin.getWriter();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const waiting = new Map<string, () => void>();
  const guard: Running = {
    id: newId(),
    gone: false,
    confirmed: false,
    async send(message) {
      try {
        await writer.write(new TextEncoder().encode(`${JSON.stringify(message)}\n`));
      } catch {
        guard.gone = true;
      }
    },
    said: (line) => new Promise((resolve) => waiting.set(line, resolve)),
    leave() {
      void writer.close().catch(() => {});
      void reader.cancel().catch(() => {});
    },
  };
  const listen = async () => {
    let rest = "";
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      const lines = (rest + read.value).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        waiting.get(line)?.();
        waiting.delete(line);
      }
    }
  };
  void listen().catch(() => {}).finally(() => guard.gone = true);
  void child.status.then(() => guard.gone = true);
  log("info", "guard of strict tasks started", { pid: child.pid });
  return guard;
}

/** For runtimes whose containers end with the agent's process: nothing outlives it. */
export function createNoGuard(): Guard {
  return {
    earlier: () => Promise.resolve(false),
    mark: () => Promise.resolve(0),
    confirm: () => Promise.resolve(true),
    cover: () => Promise.resolve({ ok: true, value: undefined }),
    close: () => {},
    leave: () => {},
  };
}
