/**
 * Several streams of what has a time, made one in the order of time. Pure but for its own memory.
 *
 * 1. Within a stream the order is kept, whatever its times say.
 * 2. What is earliest is given out once every open stream has something that is not earlier, or once it
 *    has waited for as long as the caller lets it: a stream that is silent holds nobody up for good.
 * 3. No more than {@link MAX_WAITING} wait; beyond that the earliest goes, ready or not.
 *
 * @module
 */

export interface Lane<T> {
  push(item: T, nowMs: number): void;
  end(): void;
}

export interface Interleaver<T> {
  open(): Lane<T>;
  /** Gives out what is due; what came before `sinceMs` is, in any case. */
  release(sinceMs: number): void;
}

const MAX_WAITING = 200_000;

interface Waiting<T> {
  item: T;
  cameMs: number;
}

interface Queue<T> {
  items: Waiting<T>[];
  at: number;
  open: boolean;
}

export function interleaver<T extends { timeUs: number }>(
  emit: (item: T) => void,
): Interleaver<T> {
  const queues = new Set<Queue<T>>();
  let count = 0;

  function release(sinceMs: number): void {
    while (count > 0) {
      let first: Queue<T> | undefined;
      let complete = true;
      for (const queue of queues) {
        const head = queue.items[queue.at];
        if (!head) complete &&= !queue.open;
        else if (!first || head.item.timeUs < timeOf(first)) first = queue;
      }
      const head = first?.items[first.at];
      if (!first || !head) return;
      if (!complete && head.cameMs > sinceMs && count <= MAX_WAITING) return; // (2), (3)
      count--;
      first.at++;
      if (first.at === first.items.length) [first.items, first.at] = [[], 0];
      if (!first.open && first.items.length === 0) queues.delete(first);
      emit(head.item);
    }
  }

  return {
    open() {
      const queue: Queue<T> = { items: [], at: 0, open: true };
      queues.add(queue);
      return {
        push(item, nowMs) {
          queue.items.push({ item, cameMs: nowMs });
          count++;
        },
        end() {
          queue.open = false;
          if (queue.items.length === 0) queues.delete(queue);
        },
      };
    },
    release,
  };
}

function timeOf<T extends { timeUs: number }>(queue: Queue<T>): number {
  return queue.items[queue.at]?.item.timeUs ?? Infinity;
}
