/**
 * Many short deadlines on one timer: most of what is waited for comes long before.
 *
 * @module
 */
import type { Clock } from "../../kv/schema/time.ts";

export interface Deadline {
  /** What was waited for came. */
  met(): void;
}

export interface Deadlines {
  add(afterMs: number, onLate: () => void): Deadline;
  close(): void;
}

interface Entry extends Deadline {
  atMs: number;
  onLate: (() => void) | undefined;
}

export function createDeadlines(clock: Clock): Deadlines {
  /** By length: within one, what is added later is due later. */
  const queues = new Map<number, Entry[]>();
  const closing = new AbortController();

  async function watch(afterMs: number, queue: Entry[]): Promise<void> {
    while (queue.length > 0 && !closing.signal.aborted) {
      const nowMs = clock.monoMs();
      const due = queue.findIndex(({ onLate, atMs }) => onLate !== undefined && atMs > nowMs);
      for (const entry of queue.splice(0, due === -1 ? queue.length : due)) entry.onLate?.();
      const [next] = queue;
      if (next) await clock.sleep(Math.max(1, next.atMs - nowMs), closing.signal);
    }
    queues.delete(afterMs);
  }

  return {
    add(afterMs, onLate) {
      const entry: Entry = {
        atMs: clock.monoMs() + afterMs,
        onLate,
        met: () => entry.onLate = undefined,
      };
      const queue = queues.get(afterMs);
      if (queue) queue.push(entry);
      else {
        const started = [entry];
        queues.set(afterMs, started);
        void watch(afterMs, started);
      }
      return entry;
    },
    close: () => closing.abort(),
  };
}
