/**
 * A queue between one writer and one reader.
 *
 * @module
 */

export interface Channel<T> extends AsyncIterable<T> {
  /** Hands `value` to the reader. Ignored once ended. */
  push(value: T): void;
  /** Ends the iteration after what was pushed before. */
  end(): void;
}

/**
 * Makes a channel; it also ends when `signal` aborts or the reader stops reading. `onEnd` is called
 * once, unless the channel is born ended.
 */
export function createChannel<T>(signal?: AbortSignal, onEnd?: () => void): Channel<T> {
  const values: T[] = [];
  let ended = false;
  let wake: (() => void) | undefined;
  const end = () => {
    if (ended) return;
    ended = true;
    signal?.removeEventListener("abort", end);
    wake?.();
    onEnd?.();
  };
  if (signal?.aborted) ended = true;
  else signal?.addEventListener("abort", end, { once: true });
  return {
    push(value) {
      if (ended) return;
      values.push(value);
      wake?.();
    },
    end,
    async *[Symbol.asyncIterator]() {
      try {
        while (true) {
          while (values.length > 0) yield values.shift() as T;
          if (ended) return;
          await new Promise<void>((resolve) => wake = resolve);
        }
      } finally {
        end();
      }
    },
  };
}
