/**
 * Holding the lock of a project while it is being changed.
 *
 * 1. The lock is renewed at a third of its TTL, so that one lost renewal does not lose it.
 * 2. A lock that is lost (somebody took it over) aborts `lost`: nothing more is changed.
 * 3. Somebody else's lock is taken over only when it did not change for its TTL by our own clock.
 *
 * @module
 */
import type { CallError, Client } from "../../api/client.ts";
import type { Clock } from "../../kv/schema/time.ts";
import type { ProjectLockView } from "../../kv/schema/project.ts";
import { EXIT, exitOf } from "../exit.ts";
import { isNotFound } from "../find.ts";

export interface Lock {
  /** Aborts when the lock is no longer ours. */
  lost: AbortSignal;
  release(): Promise<void>;
}

export type Locked =
  | { kind: "held"; lock: Lock }
  | { kind: "busy"; holder: string; since: string }
  | { kind: "aborted" }
  | { kind: "error"; error: CallError };

export interface LockOptions {
  client: Client;
  clock: Clock;
  project: string;
  id: string;
  holder: string;
  /** How long to wait for somebody else. */
  timeoutMs: number;
  signal: AbortSignal;
  /** Called when somebody else is found to hold it. */
  onWait(lock: ProjectLockView): void;
}

const TTL_MS = 15_000;
const LOOK_MS = 300;

export async function lockProject(options: LockOptions): Promise<Locked> {
  const { client, clock, project, id, holder, timeoutMs, signal } = options;
  const beganMs = clock.monoMs();
  let seen: { lock: ProjectLockView; sinceMs: number } | undefined;
  while (!signal.aborted) {
    const stale = seen && clock.monoMs() - seen.sinceMs >= seen.lock.ttlMs; // invariant 3
    const taken = await client.lockProject(project, {
      ...{ id, holder, ttlMs: TTL_MS },
      ...(stale && seen ? { replaces: seen.lock.version } : {}),
    });
    if (taken.ok) return { kind: "held", lock: keep(options) };
    if (exitOf(taken.error) !== EXIT.conflict) return { kind: "error", error: taken.error };
    const found = await client.readLock(project);
    if (!found.ok) {
      if (isNotFound(found.error)) continue;
      return { kind: "error", error: found.error };
    }
    if (seen?.lock.version !== found.value.version) {
      if (seen?.lock.holder !== found.value.holder) options.onWait(found.value);
      seen = { lock: found.value, sinceMs: clock.monoMs() };
    }
    if (clock.monoMs() - beganMs >= timeoutMs) {
      return { kind: "busy", holder: found.value.holder, since: found.value.since };
    }
    await clock.sleep(LOOK_MS, signal);
  }
  return { kind: "aborted" };
}

function keep({ client, clock, project, id, holder }: LockOptions): Lock {
  const released = new AbortController();
  const lost = new AbortController();
  const renewing = (async () => {
    while (!released.signal.aborted) {
      await clock.sleep(TTL_MS / 3, released.signal); // invariant 1
      if (released.signal.aborted) return;
      const renewed = await client.lockProject(project, { id, holder, ttlMs: TTL_MS });
      if (!renewed.ok && exitOf(renewed.error) === EXIT.conflict) lost.abort(); // invariant 2
    }
  })();
  return {
    lost: lost.signal,
    async release() {
      released.abort();
      await renewing;
      await client.unlockProject(project, id);
    },
  };
}
