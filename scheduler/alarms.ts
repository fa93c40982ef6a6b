/**
 * When things want to be looked at again, with the earliest of these times at hand: thousands wait while a
 * leader asks many times a second whether anything is due.
 *
 * @module
 */
export interface Alarms {
  /** Replaces what was set before; monotonic ms. */
  set(what: string, atMs: number): void;
  delete(what: string): void;
  /** Infinity when nothing waits. */
  earliestMs(): number;
  /** Takes out what is due by now, in the order in which it was first set. */
  takeDue(nowMs: number): string[];
}

export function createAlarms(): Alarms {
  const times = new Map<string, number>();
  /** Not later than any of the times; exact while `exact`. */
  let leastMs = Infinity;
  let exact = true;

  function put(what: string, atMs: number | undefined): void {
    // The earliest may be another one now.
    if (times.get(what) === leastMs) exact = false;
    if (atMs === undefined) {
      times.delete(what);
      return;
    }
    times.set(what, atMs);
    if (atMs > leastMs) return;
    leastMs = atMs;
    exact = true;
  }

  function earliestMs(): number {
    if (exact) return leastMs;
    leastMs = Infinity;
    for (const atMs of times.values()) leastMs = Math.min(leastMs, atMs);
    exact = true;
    return leastMs;
  }

  return {
    set: put,
    delete: (what) => put(what, undefined),
    earliestMs,
    takeDue(nowMs) {
      if (earliestMs() > nowMs) return [];
      const due = [...times].flatMap(([what, atMs]) => atMs <= nowMs ? [what] : []);
      for (const what of due) put(what, undefined);
      return due;
    },
  };
}
