/**
 * Time is always a parameter. Everything that waits or stamps takes a {@link Clock}, so that a
 * simulation can own it.
 *
 * @module
 */

/** The only source of time. Tests and the simulator pass their own. */
export interface Clock {
  /** Wall clock in ms since the Unix epoch. For stamps shown to people; never for deciding. */
  wallMs(): number;
  /** Monotonic ms from an arbitrary origin. For every timeout and liveness decision. */
  monoMs(): number;
  /** Resolves after `ms`, or at once when `signal` aborts. Never rejects. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** The machine's own clock. */
export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monoMs: () => performance.now(),
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const done = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      signal?.addEventListener("abort", done, { once: true });
    }),
};
