/**
 * Retention: the leader deletes what nobody needs any more, a bounded amount at a time.
 *
 * @module
 */
import { key, prefix } from "../kv/keys.ts";
import { sweepLog } from "../kv/log.ts";
import { Idempotency } from "../kv/schema/control.ts";
import type { Clock } from "../kv/schema/time.ts";
import { oldValues } from "../kv/sealed_sweep.ts";
import type { Kv } from "../kv/store.ts";
import type { World } from "./world.ts";

export interface SweepOptions {
  guard: Deno.AtomicCheck;
  /** Log records up to this seq go. */
  logThroughSeq: number;
  /** Rows that are known to be of no use any more. */
  staleRows: readonly Deno.KvKey[];
  /** Also scan for rows that nothing refers to: costs a pass over all observed rows and revisions. */
  deep: boolean;
}

/** Repeats of a request are recognised for this long. */
const IDEMPOTENCY_MS = 24 * 3600_000;
const BATCH = 200;
/** Older revisions of a service that are kept for rolling back. */
const REVISIONS_KEPT = 20;

/** One round of retention; true when there is more to do soon. */
export async function sweep(
  deps: { kv: Kv; clock: Clock },
  world: World,
  options: SweepOptions,
): Promise<boolean> {
  const swept = await sweepLog(deps.kv, {
    throughSeq: options.logThroughSeq,
    guard: options.guard,
  });
  const old = [
    ...options.staleRows,
    ...await oldIdempotency(deps.kv, deps.clock.wallMs() - IDEMPOTENCY_MS),
    ...await oldRevisions(deps.kv, world),
    ...(options.deep ? await orphans(deps.kv, world) : []),
    ...(options.deep ? await oldValues(deps.kv) : []),
  ];
  for (let at = 0; at < old.length; at += BATCH) {
    const op = deps.kv.atomic().check(options.guard);
    for (const row of old.slice(at, at + BATCH)) op.delete(row);
    if (!(await op.commit()).ok) return false;
  }
  return swept > 0;
}

async function oldIdempotency(kv: Kv, beforeMs: number): Promise<Deno.KvKey[]> {
  const old: Deno.KvKey[] = [];
  for await (const entry of kv.list({ prefix: prefix.idempotency() })) {
    const row = Idempotency.safeParse(entry.value);
    // By the wall clock: it only bounds the table's size, nothing is decided by it.
    if (!row.success || Date.parse(row.data.at) < beforeMs) old.push(entry.key);
  }
  return old;
}

/** Revisions that no task runs and that are too old to roll back to. */
async function oldRevisions(kv: Kv, world: World): Promise<Deno.KvKey[]> {
  const old: Deno.KvKey[] = [];
  for (const [serviceId, record] of world.services) {
    const last = record.service.revision - REVISIONS_KEPT;
    if (last < 1) continue;
    const used = new Set<number>();
    for (const tasks of [...record.live.values(), ...record.ended.values()]) {
      for (const { task } of tasks) used.add(task.revision);
    }
    const range = { start: key.revision(serviceId, 1), end: key.revision(serviceId, last + 1) };
    for await (const entry of kv.list(range)) {
      const revision = Number(entry.key[2]);
      if (used.has(revision)) continue;
      old.push(entry.key, key.digest(serviceId, revision));
      record.templates.delete(revision);
    }
  }
  return old;
}

/** Observed rows whose task was purged while a late report was on its way. */
async function orphans(kv: Kv, world: World): Promise<Deno.KvKey[]> {
  const old: Deno.KvKey[] = [];
  for await (const entry of kv.list({ prefix: prefix.observed() })) {
    if (!world.tasks.has(String(entry.key[1]))) old.push(entry.key);
  }
  return old;
}
