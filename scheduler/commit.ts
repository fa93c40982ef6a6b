/**
 * What the parts of a leader's commit share.
 *
 * @module
 */
import type { Event, LogRecord } from "../kv/schema/event.ts";
import type { NodeStatus } from "../kv/schema/node.ts";
import type { Clock } from "../kv/schema/time.ts";
import type { Kv } from "../kv/store.ts";

export interface ApplyDeps {
  kv: Kv;
  clock: Clock;
  newId: () => string;
}

/** A commit in the making. */
export interface CommitDraft {
  op: Deno.AtomicOperation;
  /** What this batch writes of nodes. */
  statuses: Map<string, NodeStatus>;
  events: Event[];
  /** Changes of the world, run once the commit is through. */
  effects: (() => void)[];
  /** The newest task's id: see apply.ts, invariant 3. */
  lastTaskId: string;
}

export interface Stamp {
  at: string;
  nowMs: number;
}

/** With the records of the log that the commit has written, in order. */
export type Applied = { ok: true; records: readonly LogRecord[] } | { ok: false };
