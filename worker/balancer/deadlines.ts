/**
 * Many short deadlines on one timer: most of what is waited for comes long before. What came is forgotten
 * at once, so that nothing piles up until its time.
 *
 * @module
 */
import type { Clock } from "../../kv/schema/time.ts";

export interface Deadlines {
  add(afterMs: number, late: Late): Waiting;
  close(): void;
}

export interface Late {
  onLate(): void;
}

export interface Waiting {
  /** What was waited for came. */
  met(): void;
}

export function createDeadlines(clock: Clock): Deadlines {
  /** By length: within one, what is added later is due later. */
  const queues = new Map<number, Set<Entry>>();
  const closing = new AbortController();

  async function watch(afterMs: number, queue: Set<Entry>): Promise<void> {
    while (!closing.signal.aborted) {
      const nowMs = clock.monoMs();
      for (const entry of queue) {
        if (entry.atMs > nowMs) break;
        queue.delete(entry);
        entry.late.onLate();
      }
      const [first] = queue;
      if (!first) break;
      await clock.sleep(Math.max(1, first.atMs - nowMs), closing.signal);
    }
    queues.delete(afterMs);
  }

  return {
    add(afterMs, late) {
      const known = queues.get(afterMs);
      const queue = known ?? new Set();
      const entry = new Entry(clock.monoMs() + afterMs, late, queue);
      queue.add(entry);
      if (!known) {
        queues.set(afterMs, queue);
        void watch(afterMs, queue);
      }
      return entry;
    },
    close: () => closing.abort(),
  };
}

class Entry implements Waiting {
  constructor(
    readonly atMs: number,
    readonly late: Late,
    readonly queue: Set<Entry>,
  ) {}

  met(): void {
    this.queue.delete(this);
  }
}
