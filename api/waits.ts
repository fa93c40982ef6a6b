/**
 * Waiting for news or for the time to be up, thousands at once.
 *
 * 1. Who waits costs one small object and a place on a timer that it shares with all whose time is up in
 *    the same {@link GRAIN_MS}: never later than asked for, and by less than that earlier. What thousands
 *    hold for seconds is what the garbage collector has to move about.
 * 2. Leaving, however it comes about, frees both; a timer that nobody is left on is cleared.
 *
 * @module
 */
import type { Clock } from "../kv/schema/time.ts";

/** Small, so that no crowd leaves at once: its answers would hold up the news of others. */
export const GRAIN_MS = 2;

export interface Waits {
  /** Resolves when `name` is woken, `ms` are over or `signal` aborts. Registers before it returns. */
  wait(name: string, ms: number, signal: AbortSignal): Promise<void>;
  /** Ends the waits of that name. */
  wake(name: string): void;
  wakeAll(): void;
  /** How many wait now. */
  count(): number;
}

/** Listens to its signal itself. */
interface Waiter {
  name: string;
  atMs: number;
  signal: AbortSignal;
  resolve(): void;
  handleEvent(): void;
  /** Others that wait for the same; mostly there are none. */
  next: Waiter | undefined;
}

interface Timer {
  waiters: Set<Waiter>;
  cleared: AbortController;
}

export function createWaits(clock: Pick<Clock, "monoMs" | "sleep">): Waits {
  const byName = new Map<string, Waiter>();
  /** By the monotonic ms at which they end. */
  const timers = new Map<number, Timer>();
  let count = 0;

  function timerAt(atMs: number, nowMs: number): Timer {
    const known = timers.get(atMs);
    if (known) return known;
    const timer: Timer = { waiters: new Set(), cleared: new AbortController() };
    timers.set(atMs, timer);
    clock.sleep(Math.max(0, atMs - nowMs), timer.cleared.signal).then(() => {
      if (timers.get(atMs) === timer) timers.delete(atMs);
      for (const waiter of timer.waiters) leave(waiter);
    });
    return timer;
  }

  function leave(waiter: Waiter): void {
    const { name, atMs, signal } = waiter;
    const first = unlink(byName.get(name), waiter);
    if (first) byName.set(name, first);
    else byName.delete(name);
    count--;
    signal.removeEventListener("abort", waiter);
    const timer = timers.get(atMs);
    if (timer?.waiters.delete(waiter) && timer.waiters.size === 0) {
      timers.delete(atMs);
      timer.cleared.abort();
    }
    waiter.resolve();
  }

  function wake(name: string): void {
    for (let waiter = byName.get(name); waiter; waiter = byName.get(name)) leave(waiter);
  }

  return {
    wait: (name, ms, signal) =>
      new Promise((resolve) => {
        if (signal.aborted) return resolve();
        const nowMs = clock.monoMs();
        const atMs = Math.floor((nowMs + ms) / GRAIN_MS) * GRAIN_MS;
        const next = byName.get(name);
        const waiter: Waiter = { name, atMs, signal, resolve, handleEvent, next };
        byName.set(name, waiter);
        timerAt(atMs, nowMs).waiters.add(waiter);
        count++;
        signal.addEventListener("abort", waiter, { once: true });
      }),
    wake,
    wakeAll() {
      for (const name of [...byName.keys()]) wake(name);
    },
    count: () => count,
  };

  function handleEvent(this: Waiter): void {
    leave(this);
  }
}

/** The chain without one of it. */
function unlink(first: Waiter | undefined, gone: Waiter): Waiter | undefined {
  if (!first || first === gone) return first?.next;
  let before = first;
  while (before.next && before.next !== gone) before = before.next;
  before.next = gone.next;
  return first;
}
