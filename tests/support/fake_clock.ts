/**
 * A clock that stands still until it is told otherwise.
 *
 * @module
 */
import { setImmediate } from "node:timers";
import type { Clock } from "../../kv/schema/time.ts";

export interface FakeClock extends Clock {
  /**
   * Moves time on by `ms`, waking sleepers in the order of their times; between two wakings everything
   * that can run does run.
   */
  advance(ms: number): Promise<void>;
  /** Moves time on, as far as needed, until `promise` settles; fails after `maxMs`. */
  until<T>(promise: Promise<T>, maxMs?: number): Promise<T>;
  /** How many sleep. */
  readonly sleepers: number;
}

interface Sleeper {
  atMs: number;
  wake(): void;
}

export interface FakeClockOptions {
  /** The wall's time when the monotonic one is 0. */
  wallMs?: number;
  /** Turns of the event loop between two wakings: 1 is enough where nothing does real I/O. */
  turns?: number;
}

/** A clock at 0 ms. */
export function createFakeClock(options: FakeClockOptions = {}): FakeClock {
  const { wallMs = Date.UTC(2030, 0, 1), turns = 1 } = options;
  let nowMs = 0;
  const sleepers = new Set<Sleeper>();

  /** Lets everything run that waits for no time. */
  async function drain(): Promise<void> {
    for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
  }

  function earliest(): Sleeper | undefined {
    let first: Sleeper | undefined;
    for (const sleeper of sleepers) if (!first || sleeper.atMs < first.atMs) first = sleeper;
    return first;
  }

  async function advance(ms: number): Promise<void> {
    const targetMs = nowMs + ms;
    await drain();
    for (let next = earliest(); next && next.atMs <= targetMs; next = earliest()) {
      nowMs = Math.max(nowMs, next.atMs);
      next.wake();
      await drain();
    }
    nowMs = targetMs;
  }

  return {
    wallMs: () => wallMs + nowMs,
    monoMs: () => nowMs,
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        if (signal?.aborted) return resolve();
        const sleeper: Sleeper = {
          atMs: nowMs + Math.max(0, ms),
          wake() {
            sleepers.delete(sleeper);
            signal?.removeEventListener("abort", sleeper.wake);
            resolve();
          },
        };
        sleepers.add(sleeper);
        signal?.addEventListener("abort", sleeper.wake, { once: true });
      }),
    advance,
    async until(promise, maxMs = 3_600_000) {
      let settled = false;
      const watched = promise.finally(() => settled = true);
      watched.catch(() => {});
      const limitMs = nowMs + maxMs;
      await drain();
      while (!settled) {
        const next = earliest();
        if (next && next.atMs > limitMs) throw new Error(`still waiting after ${maxMs} ms`);
        await advance(next ? Math.max(0, next.atMs - nowMs) : 0);
      }
      return await watched;
    },
    get sleepers() {
      return sleepers.size;
    },
  };
}
