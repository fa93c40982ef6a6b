/**
 * Waiting for news or for the time to be up, thousands at once.
 *
 * 1. Who waits costs one entry of a map, and a place on a timer that it shares with all whose time is up in
 *    the same {@link GRAIN_MS}: never later than asked for, and by less than that earlier.
 * 2. Leaving, however it comes about, frees both; a timer that nobody is left on is cleared.
 *
 * @module
 */
import type { Clock } from "../kv/schema/time.ts";

export const GRAIN_MS = 10;

export interface Waits {
  /** Resolves when `name` is woken, `ms` are over or `signal` aborts. Registers before it returns. */
  wait(name: string, ms: number, signal: AbortSignal): Promise<void>;
  /** Ends the waits of that name. */
  wake(name: string): void;
  wakeAll(): void;
  /** How many wait now. */
  count(): number;
}

interface Timer {
  leaving: Set<() => void>;
  cleared: AbortController;
}

export function createWaits(clock: Pick<Clock, "monoMs" | "sleep">): Waits {
  const byName = new Map<string, Set<() => void>>();
  /** By the monotonic ms at which they end. */
  const timers = new Map<number, Timer>();
  let count = 0;

  function timerOf(ms: number): [number, Timer] {
    const nowMs = clock.monoMs();
    const atMs = Math.floor((nowMs + ms) / GRAIN_MS) * GRAIN_MS;
    const known = timers.get(atMs);
    if (known) return [atMs, known];
    const timer: Timer = { leaving: new Set(), cleared: new AbortController() };
    timers.set(atMs, timer);
    clock.sleep(Math.max(0, atMs - nowMs), timer.cleared.signal).then(() => {
      if (timers.get(atMs) === timer) timers.delete(atMs);
      for (const leave of timer.leaving) leave();
    });
    return [atMs, timer];
  }

  function forget(name: string, atMs: number, leave: () => void): void {
    const own = byName.get(name);
    if (!own?.delete(leave)) return;
    count--;
    if (own.size === 0) byName.delete(name);
    const timer = timers.get(atMs);
    if (!timer?.leaving.delete(leave) || timer.leaving.size > 0) return;
    timers.delete(atMs);
    timer.cleared.abort();
  }

  return {
    wait: (name, ms, signal) =>
      new Promise((resolve) => {
        if (signal.aborted) return resolve();
        const [atMs, timer] = timerOf(ms);
        const leave = () => {
          forget(name, atMs, leave);
          signal.removeEventListener("abort", leave);
          resolve();
        };
        timer.leaving.add(leave);
        const own = byName.get(name);
        if (own) own.add(leave);
        else byName.set(name, new Set([leave]));
        count++;
        signal.addEventListener("abort", leave, { once: true });
      }),
    wake(name) {
      for (const leave of byName.get(name) ?? []) leave();
    },
    wakeAll() {
      for (const own of [...byName.values()]) for (const leave of own) leave();
    },
    count: () => count,
  };
}
