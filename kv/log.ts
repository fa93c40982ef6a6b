/**
 * The change log: one record per leader commit that did something. It feeds events and history, and
 * wakes the API replicas, which watch one head key.
 *
 * @module
 */
import { key, prefix } from "./keys.ts";
import { LogRecord } from "./schema/event.ts";
import type { Clock } from "./schema/time.ts";
import { type Kv, listRows } from "./store.ts";

export interface LogEntry {
  seq: number;
  record: LogRecord;
}

/** Adds the record to a leader commit. The leader alone counts `seq`, so it has no gaps. */
export function appendLog(
  op: Deno.AtomicOperation,
  seq: number,
  record: LogRecord,
): Deno.AtomicOperation {
  return op.set(key.log(seq), record).set(key.logHead(), seq);
}

/** The newest seq, 0 before the first record. */
export async function logHead(kv: Kv): Promise<number> {
  return (await kv.get<number>(key.logHead())).value ?? 0;
}

/** Records after `afterSeq`, oldest first. */
export async function readLog(
  kv: Kv,
  options: { afterSeq: number; limit: number },
): Promise<LogEntry[]> {
  const entries: LogEntry[] = [];
  const start = key.log(options.afterSeq + 1);
  for await (
    const entry of listRows(kv, prefix.log(), LogRecord, { start, limit: options.limit })
  ) {
    entries.push({ seq: Number(entry.key[1]), record: entry.row });
  }
  return entries;
}

/** The oldest record that is kept: whatever was before it is gone. */
export async function oldestLog(kv: Kv): Promise<LogEntry | undefined> {
  return (await readLog(kv, { afterSeq: 0, limit: 1 }))[0];
}

/** The newest records, oldest first. */
export async function lastLog(kv: Kv, limit: number): Promise<LogEntry[]> {
  const entries: LogEntry[] = [];
  for await (const entry of listRows(kv, prefix.log(), LogRecord, { limit, reverse: true })) {
    entries.push({ seq: Number(entry.key[1]), record: entry.row });
  }
  return entries.reverse();
}

const SWEEP_BATCH = 500;

/** Deletes the records up to `throughSeq`, a bounded number a call; answers how many went. */
export async function sweepLog(
  kv: Kv,
  options: { throughSeq: number; guard: Deno.AtomicCheck },
): Promise<number> {
  const op = kv.atomic().check(options.guard);
  let count = 0;
  for await (const entry of kv.list({ prefix: prefix.log() }, { limit: SWEEP_BATCH })) {
    if (Number(entry.key[1]) > options.throughSeq) break;
    op.delete(entry.key);
    count++;
  }
  if (count === 0) return 0;
  const done = await op.commit();
  return done.ok ? count : 0;
}

export type LogListener = (entries: LogEntry[]) => void;

/** One follower of the log per process; everything that waits for changes subscribes here. */
export interface LogFeed {
  /** The newest seq that was delivered. */
  head(): number;
  subscribe(listener: LogListener): () => void;
  /** Delivers what is new. `run` calls it; so may whoever knows that something was committed. */
  pump(): Promise<void>;
  /** Delivers a record that this process has committed, if it is the next one: it need not be read. */
  offer(entry: LogEntry): void;
  /** Watches the head until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
}

const PUMP_BATCH = 200;
const RETRY_MS = 500;

/** Follows the log from where it is now. */
export async function createLogFeed(deps: { kv: Kv; clock: Clock }): Promise<LogFeed> {
  const { kv, clock } = deps;
  const listeners = new Set<LogListener>();
  let head = await logHead(kv);
  let pumping: Promise<void> | undefined;
  let again = false;

  function deliver(entries: LogEntry[]): void {
    // What was offered while they were read is delivered already.
    const fresh = entries.filter(({ seq }) => seq > head);
    const last = fresh.at(-1);
    if (!last) return;
    head = last.seq;
    for (const listener of [...listeners]) listener(fresh);
  }

  async function drain(): Promise<void> {
    do {
      again = false;
      let full = true;
      while (full) {
        const entries = await readLog(kv, { afterSeq: head, limit: PUMP_BATCH });
        full = entries.length === PUMP_BATCH;
        deliver(entries);
      }
    } while (again);
  }

  /** One drain at a time: records are delivered once and in order. */
  function pump(): Promise<void> {
    again = true;
    pumping ??= drain().finally(() => pumping = undefined);
    return pumping;
  }

  return {
    head: () => head,
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    pump,
    offer(entry) {
      if (entry.seq === head + 1) deliver([entry]);
    },
    async run(signal) {
      while (!signal.aborted) {
        try {
          await followHead(kv, signal, (seq) => seq > head ? pump() : undefined);
        } catch (error) {
          if (signal.aborted) return;
          // A broken watch (a remote database went away) is taken up again; pump catches up.
          void error;
        }
        await clock.sleep(RETRY_MS, signal);
      }
    },
  };
}

async function followHead(
  kv: Kv,
  signal: AbortSignal,
  onHead: (seq: number) => Promise<void> | undefined,
): Promise<void> {
  const reader = kv.watch([key.logHead()]).getReader();
  const stop = () => void reader.cancel().catch(() => {});
  signal.addEventListener("abort", stop, { once: true });
  try {
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      const [head] = read.value;
      await onHead((head?.value ?? 0) as number);
    }
  } finally {
    signal.removeEventListener("abort", stop);
    await reader.cancel().catch(() => {});
  }
}
