/**
 * Heartbeats. The poll is the beat; an API replica writes the beats that it collected as one row a
 * second, with the age of each, so that thousands of nodes cost a handful of commits.
 *
 * @module
 */
import { key, prefix } from "./keys.ts";
import { BeatRow } from "./schema/control.ts";
import type { Clock } from "./schema/time.ts";
import { type Kv, listRows } from "./store.ts";

/** Nodes a row: 1,000 ids and ages stay well below KV's 64 KiB. */
const NODES_PER_ROW = 1000;
const FLUSH_MS = 1000;
/**
 * A beat stays in its row for this long. The next row replaces it after a second, and the leader reads
 * less often than that: without what came before, it would miss most beats of nodes that live.
 */
const KEPT_MS = 10_000;
/** The leader reads at least this often: well within what rows keep. */
export const MAX_READ_GAP_MS = 2_000;

export interface BeatCollector {
  /** The node gave a sign of life, now. */
  beat(nodeId: string): void;
  /** When the newest sign of life of the node came that the leader can know of; undefined: none. */
  recordedMs(nodeId: string): number | undefined;
  /** Writes the newest beats; without any since the last flush, writes nothing. */
  flush(): Promise<void>;
  /** Flushes once a second until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
}

export function createBeatCollector(
  deps: {
    kv: Kv;
    clock: Clock;
    replicaId: string;
    onError?: (error: unknown) => void;
  },
): BeatCollector {
  const { kv, clock, replicaId } = deps;
  const beats = new Map<string, number>();
  /** Of those, what is written. */
  const recorded = new Map<string, number>();
  let fresh = false;

  async function flush(): Promise<void> {
    if (!fresh) return;
    fresh = false;
    const nowMs = clock.monoMs();
    for (const [id, atMs] of beats) {
      if (nowMs - atMs <= KEPT_MS) continue;
      beats.delete(id);
      recorded.delete(id);
    }
    const written = [...beats];
    let op = kv.atomic();
    for (let shard = 0; shard * NODES_PER_ROW < written.length; shard++) {
      const part = written.slice(shard * NODES_PER_ROW, (shard + 1) * NODES_PER_ROW);
      const nodes = part.map(([id]) => id);
      const agesMs = part.map(([, atMs]) => Math.max(0, Math.round(nowMs - atMs)));
      op = op.set(key.beat(replicaId, shard), { nodes, agesMs, atMs: nowMs });
    }
    try {
      await op.commit();
    } catch (error) {
      fresh = true;
      throw error;
    }
    for (const [id, atMs] of written) {
      if (beats.has(id)) recorded.set(id, Math.max(atMs, recorded.get(id) ?? atMs));
    }
  }

  return {
    beat(nodeId) {
      beats.set(nodeId, clock.monoMs());
      fresh = true;
    },
    recordedMs: (nodeId) => recorded.get(nodeId),
    flush,
    async run(signal) {
      while (!signal.aborted) {
        await clock.sleep(FLUSH_MS, signal);
        // Lost beats are made up for by the next ones.
        await flush().catch((error) => deps.onError?.(error));
      }
    },
  };
}

export interface BeatReader {
  /** The nodes that beat since the last read, with the monotonic ms of each beat. */
  read(): Promise<Map<string, number>>;
  /** Keys of rows that no replica rewrote for `ms`: left behind by processes that are gone. */
  stale(ms: number): Deno.KvKey[];
}

/** Rows over which the offset of a replica's clock is estimated. */
const OFFSETS = 16;

/**
 * Reads what the replicas wrote. A row counts when it changed since this reader's last look; its first
 * look only primes it, because the age of what it finds is unknown.
 *
 * How long ago a row was written is estimated by the difference of the two monotonic clocks: the
 * smallest of the last few readings is that of the row that was read the soonest. The estimate is never
 * too early, so no node counts as silent for longer than it was.
 */
export function createBeatReader(deps: { kv: Kv; clock: Clock }): BeatReader {
  const seen = new Map<string, { key: Deno.KvKey; versionstamp: string; atMs: number }>();
  const offsets = new Map<string, number[]>();
  let primed = false;

  /** When a row that is read now was written, by this reader's clock. */
  function writtenAtMs(name: string, atMs: number | undefined, nowMs: number): number {
    if (atMs === undefined) return nowMs;
    const last = offsets.get(name) ?? [];
    last.push(nowMs - atMs);
    if (last.length > OFFSETS) last.shift();
    offsets.set(name, last);
    return atMs + Math.min(...last);
  }

  return {
    async read() {
      const fresh = new Map<string, number>();
      for await (const entry of listRows(deps.kv, prefix.beats(), BeatRow)) {
        const name = entry.key.join("/");
        if (seen.get(name)?.versionstamp === entry.versionstamp) continue;
        const known = seen.has(name);
        // Not when the look began: what was written since would seem older than it is, and all that follows.
        const nowMs = deps.clock.monoMs();
        seen.set(name, { key: entry.key, versionstamp: entry.versionstamp, atMs: nowMs });
        if (!primed) continue;
        // What a row says first may have been written long before.
        const writtenMs = known ? writtenAtMs(name, entry.row.atMs, nowMs) : nowMs;
        entry.row.nodes.forEach((nodeId, i) => {
          const atMs = writtenMs - (entry.row.agesMs[i] ?? 0);
          if (atMs > (fresh.get(nodeId) ?? -Infinity)) fresh.set(nodeId, atMs);
        });
      }
      primed = true;
      return fresh;
    },
    stale(ms) {
      const before = deps.clock.monoMs() - ms;
      const keys: Deno.KvKey[] = [];
      for (const [name, row] of seen) {
        if (row.atMs >= before) continue;
        keys.push(row.key);
        seen.delete(name);
        offsets.delete(name);
      }
      return keys;
    },
  };
}

/**
 * Beats within one process: where no other process can have the database open, the leader hears what the
 * API heard, and nothing is written.
 */
export function createLocalBeats(
  clock: Clock,
): Pick<BeatCollector, "beat" | "recordedMs"> & BeatReader {
  let heard = new Map<string, number>();
  return {
    beat: (nodeId) => void heard.set(nodeId, clock.monoMs()),
    recordedMs: () => clock.monoMs(),
    read() {
      const fresh = heard;
      heard = new Map();
      return Promise.resolve(fresh);
    },
    stale: () => [],
  };
}

/** Polls a second that the control plane is willing to answer just to know that nodes live. */
const MAX_BEATS_PER_SECOND = 2000;
/** Polls within one TTL, so that two lost ones in a row do not bring a node down. */
export const BEATS_PER_TTL = 3;

/** The TTL to use with this many nodes: the configured one, stretched so that beats stay bounded. */
export function stretchTtl(ttlMs: number, nodes: number): number {
  return Math.max(ttlMs, Math.ceil(nodes / MAX_BEATS_PER_SECOND * 1000 * BEATS_PER_TTL));
}
