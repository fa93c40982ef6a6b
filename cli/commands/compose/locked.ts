/**
 * Doing something to a project while holding its lock, and ending well when interrupted.
 *
 * @module
 */
import { lockProject } from "../../compose/lock.ts";
import type { ServerDeps } from "../../deps.ts";
import { EXIT, type ExitCode } from "../../exit.ts";
import { failCall } from "../../report.ts";
import { fail } from "../../report.ts";
import { warn } from "./project.ts";

export interface Held {
  /** Unique to this command. */
  id: string;
  /** Aborts when the user interrupts, or the lock is lost. */
  signal: AbortSignal;
  readonly lost: boolean;
}

const WAIT_MS = 60_000;

/** The lock is released whatever happens; a second Ctrl-C is the terminal's own. */
export async function whileLocked(
  project: string,
  what: string,
  deps: ServerDeps,
  run: (held: Held) => Promise<ExitCode>,
): Promise<ExitCode> {
  const { client, clock, io, here } = deps;
  const interrupt = new AbortController();
  const off = [
    io.onSignal("SIGINT", () => interrupt.abort()),
    io.onSignal("SIGTERM", () => interrupt.abort()),
  ];
  const id = `cli-${[1, 2].map(() => Math.floor(deps.random() * 2 ** 48).toString(36)).join("-")}`;
  try {
    const locked = await lockProject({
      ...{ client, clock, project, id, signal: interrupt.signal },
      holder: `${here.user()} (${what})`,
      timeoutMs: deps.timeoutMs ?? WAIT_MS,
      onWait: ({ holder, since }) =>
        warn(deps, [`project ${project} is being changed by ${holder} since ${since}: waiting`]),
    });
    if (locked.kind === "error") {
      return failCall(deps, locked.error, `cannot lock project ${project}`);
    }
    if (locked.kind === "aborted") {
      return fail(deps, "interrupted: nothing was changed", "", EXIT.interrupted);
    }
    if (locked.kind === "busy") {
      return fail(
        deps,
        `project ${project} is being changed by ${locked.holder} since ${locked.since}`,
        "nothing was changed: try again when they are done, or wait for longer with --timeout 10m",
        EXIT.conflict,
      );
    }
    const { lock } = locked;
    try {
      const signal = AbortSignal.any([interrupt.signal, lock.lost]);
      return await run({
        id,
        signal,
        get lost() {
          return lock.lost.aborted;
        },
      });
    } finally {
      await lock.release();
    }
  } finally {
    for (const remove of off) remove();
  }
}
