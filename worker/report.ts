/**
 * What is still to be told to the server: the newest row of every task, in batches.
 *
 * 1. A row stays due until an answer acknowledged exactly it; a newer row of its task replaces it.
 * 2. After a failure everything is told once more, because the server may have lost it meanwhile.
 * 3. What the server does not know is not told again until everything is.
 * 4. A state on the way to another waits for company, since a report costs the server the same with one
 *    row as with several; whoever owns the reporter sees to it that it does not wait for longer than
 *    `holdMs`. So does what only describes a run that is known, and, while many others are about to run,
 *    the news that a task does: what telling each costs, on a machine that has a server as well, is the
 *    engine's then, and whoever waits for them all has them sooner.
 *
 * @module
 */
import type { Observed } from "../kv/schema/task.ts";

/** Rows in one report. */
export const MAX_BATCH = 100;
/** So many tasks on the way are many. */
const CROWD = 4;
/** Short enough to watch, long enough that most tasks are past it; many tasks take longer. */
const HOLD_MS = { few: 200, many: 500 } as const;

export interface Reporter {
  /** Notes the newest row of a task; nothing is due if it says what was acknowledged. */
  put(row: Observed): void;
  /** The task is gone from this node: drop it once its last row was told. */
  release(taskId: string): void;
  /** The next rows to send, at most {@link MAX_BATCH}; empty when all is told that cannot wait. */
  batch(): Observed[];
  /** What is due now waits no longer. */
  press(): void;
  /** How long what may wait may do so now. */
  holdMs(): number;
  acknowledge(rows: readonly Observed[], unknown: readonly string[]): void;
  /** Everything is due again: the rows of all tasks that the agent has now. */
  resync(rows: Iterable<Observed>): void;
  /** The server refused the request as such; returns a row that is refused on its own. */
  refuse(rows: readonly Observed[]): Observed | undefined;
}

interface Entry {
  row: Observed;
  /** What the row says; two rows with one text are the same. */
  text: string;
  acknowledged?: string;
  /** What runs, as the server knows it. */
  knownRun?: string;
  released: boolean;
}

export interface ReporterBells {
  /** There is something to send. */
  now(): void;
  /** There is something that may wait (invariant 4). */
  later(): void;
}

export function createReporter(bells: ReporterBells): Reporter {
  const entries = new Map<string, Entry>();
  const due = new Set<string>();
  const unknownToServer = new Set<string>();
  const underWay = new Set<string>();
  let width = MAX_BATCH;
  let pressed = false;

  function drop(taskId: string): void {
    entries.delete(taskId);
    due.delete(taskId);
    underWay.delete(taskId);
  }

  /** Invariant 4: somebody watching may want to know, but nothing waits for it. */
  function mayWait({ row, knownRun }: Entry): boolean {
    if (isUnderWay(row)) return true;
    if (row.state !== "running") return false;
    return knownRun === undefined ? underWay.size >= CROWD : knownRun === runOf(row);
  }

  function put(row: Observed): void {
    if (unknownToServer.has(row.taskId)) return; // invariant 3
    const text = JSON.stringify(row);
    const known = entries.get(row.taskId) ?? { row, text, released: false };
    const entry = { ...known, row, text };
    entries.set(row.taskId, entry);
    if (isUnderWay(row)) underWay.add(row.taskId);
    else underWay.delete(row.taskId);
    if (entry.acknowledged === text) due.delete(row.taskId);
    else {
      due.add(row.taskId);
      if (mayWait(entry)) bells.later();
      else bells.now();
    }
  }

  function isPressing(): boolean {
    if (pressed) return true;
    for (const taskId of due) {
      const entry = entries.get(taskId);
      if (entry && !mayWait(entry)) return true;
    }
    return false;
  }

  return {
    put,
    release(taskId) {
      const entry = entries.get(taskId);
      unknownToServer.delete(taskId);
      if (!entry) return;
      entry.released = true;
      if (!due.has(taskId)) drop(taskId);
    },
    batch() {
      const rows: Observed[] = [];
      if (!isPressing()) return rows;
      for (const taskId of due) {
        const entry = entries.get(taskId);
        if (entry) rows.push(entry.row);
        if (rows.length === width) break;
      }
      return rows;
    },
    press() {
      pressed = true;
    },
    holdMs: () => underWay.size >= CROWD ? HOLD_MS.many : HOLD_MS.few,
    acknowledge(rows, unknown) {
      if (rows.length < width) pressed = false;
      width = MAX_BATCH;
      for (const row of rows) {
        const entry = entries.get(row.taskId);
        if (!entry) continue;
        entry.acknowledged = JSON.stringify(row);
        if (row.state === "running") entry.knownRun = runOf(row);
        else delete entry.knownRun;
        if (entry.row !== row && entry.acknowledged !== entry.text) continue; // invariant 1
        due.delete(row.taskId);
        if (entry.released) drop(row.taskId);
      }
      for (const taskId of unknown) {
        drop(taskId);
        unknownToServer.add(taskId);
      }
    },
    resync(rows) {
      unknownToServer.clear();
      for (const [taskId, entry] of entries) {
        delete entry.acknowledged;
        due.add(taskId);
      }
      for (const row of rows) put(row);
      if (due.size === 0) return;
      pressed = true;
      bells.now();
    },
    refuse(rows) {
      const [only, ...others] = rows;
      if (only === undefined) return undefined;
      if (others.length > 0) {
        width = 1;
        return undefined;
      }
      drop(only.taskId);
      return only;
    },
  };
}

function isUnderWay({ state }: Observed): boolean {
  return state === "preparing" || state === "starting";
}

/** A run without what only describes it: the engine's name for its container, the exact time of its start. */
function runOf({ containerId: _id, startedAt: _at, ...run }: Observed): string {
  return JSON.stringify(run);
}
