/**
 * The lease of the one leader that plans.
 *
 * 1. The epoch row changes on takeover only, and every leader commit checks its versionstamp: a
 *    deposed leader cannot write.
 * 2. The leader shows that it lives by rewriting the beat row. A follower takes over when that row has
 *    not changed for a TTL by the follower's own monotonic clock, so no wall clock is compared.
 * 3. In a database that no other process can open, whoever held the lease is dead: a new process takes
 *    over at once.
 * 4. Taking over is one commit that checks the epoch row that was seen: of several followers one wins.
 *
 * @module
 */
import { key } from "./keys.ts";
import { Epoch, type LeaderBeat } from "./schema/control.ts";
import type { Clock } from "./schema/time.ts";
import { getRow, type Kv } from "./store.ts";

export interface LeaderDeps {
  kv: Kv;
  clock: Clock;
  /** This process. */
  replicaId: string;
  /** See invariant 3. */
  exclusive: boolean;
  /** Silence of the leader after which a follower takes over. */
  ttlMs: number;
  /** Published with each beat; see {@link LeaderBeat}. */
  nodeTtlMs: () => number;
}

/** Proof of leadership: pass `guard` to every leader commit. */
export interface Lease {
  epoch: number;
  guard: Deno.AtomicCheck;
}

export type Campaign =
  | { leads: true; lease: Lease; elected: boolean }
  | { leads: false; retryMs: number };

export interface Elector {
  /** Takes, keeps or waits for the lease. Cheap when nothing is due; call it before planning. */
  campaign(): Promise<Campaign>;
  /** The lease as of the last campaign. */
  current(): Lease | undefined;
  /** A leader commit failed its check: the lease is gone. */
  deposed(): void;
  /** Gives the lease up, so that a follower need not wait for the TTL. */
  resign(): Promise<void>;
}

const BEATS_PER_TTL = 3;
/** Where nobody can take over, the beat only publishes settings. */
const EXCLUSIVE_BEAT_MS = 10_000;

export function createElector(deps: LeaderDeps): Elector {
  const { kv, clock, replicaId, ttlMs } = deps;
  const beatEveryMs = deps.exclusive ? EXCLUSIVE_BEAT_MS : ttlMs / BEATS_PER_TTL;
  let lease: Lease | undefined;
  let beat = 0;
  let beatAtMs = 0;
  let seen: { versionstamp: string | null; atMs: number } | undefined;

  const beatRow = (epoch: number): LeaderBeat => ({
    holder: replicaId,
    epoch,
    beat: ++beat,
    nodeTtlMs: deps.nodeTtlMs(),
  });

  async function keep(held: Lease): Promise<Campaign> {
    const nowMs = clock.monoMs();
    if (nowMs - beatAtMs < beatEveryMs) {
      return { leads: true, lease: held, elected: false };
    }
    const row = beatRow(held.epoch);
    const done = await kv.atomic().check(held.guard).set(key.leaderBeat(), row).commit();
    if (!done.ok) {
      lease = undefined;
      seen = undefined;
      return { leads: false, retryMs: ttlMs / BEATS_PER_TTL };
    }
    beatAtMs = nowMs;
    return { leads: true, lease: held, elected: false };
  }

  async function watchOrTake(): Promise<Campaign> {
    const nowMs = clock.monoMs();
    const [beatEntry, epochRow] = await Promise.all([
      kv.get(key.leaderBeat()),
      getRow(kv, key.epoch(), Epoch),
    ]);
    if (!seen || seen.versionstamp !== beatEntry.versionstamp) {
      seen = { versionstamp: beatEntry.versionstamp, atMs: nowMs };
    }
    const vacant = beatEntry.versionstamp === null || epochRow === undefined;
    const waitedMs = nowMs - seen.atMs;
    if (!vacant && !deps.exclusive && waitedMs < ttlMs) {
      return { leads: false, retryMs: Math.min(ttlMs - waitedMs, ttlMs / BEATS_PER_TTL) };
    }
    const epoch = (epochRow?.row.epoch ?? 0) + 1;
    const done = await kv.atomic()
      .check({ key: key.epoch(), versionstamp: epochRow?.versionstamp ?? null })
      .set(key.epoch(), { epoch, holder: replicaId })
      .set(key.leaderBeat(), beatRow(epoch))
      .commit();
    seen = undefined;
    if (!done.ok) return { leads: false, retryMs: ttlMs / BEATS_PER_TTL };
    beatAtMs = nowMs;
    lease = { epoch, guard: { key: key.epoch(), versionstamp: done.versionstamp } };
    return { leads: true, lease, elected: true };
  }

  return {
    campaign: () => lease ? keep(lease) : watchOrTake(),
    current: () => lease,
    deposed() {
      lease = undefined;
      seen = undefined;
    },
    async resign() {
      const held = lease;
      lease = undefined;
      if (held) await kv.atomic().check(held.guard).delete(key.leaderBeat()).commit();
    },
  };
}
