/**
 * A bell for a loop: rung by others, waited for by one. A ring while nobody waits is kept.
 *
 * @module
 */
import type { Clock } from "../kv/schema/time.ts";

export interface Wake {
  ring(): void;
  /** Resolves when rung, after `maxMs`, or when `signal` aborts; without `maxMs` it waits for long. */
  wait(signal: AbortSignal, maxMs?: number): Promise<void>;
}

/** Given, so that no exception with a stack is made for each ring. */
const RUNG = "rung";

export function createWake(clock: Clock): Wake {
  let rung = false;
  let wakeUp = () => {};
  return {
    ring() {
      rung = true;
      wakeUp();
    },
    async wait(signal, maxMs) {
      if (!rung && !signal.aborted) {
        const woken = new AbortController();
        wakeUp = () => woken.abort(RUNG);
        signal.addEventListener("abort", wakeUp, { once: true });
        if (maxMs === undefined) {
          await new Promise((resolve) => woken.signal.addEventListener("abort", resolve));
        } else {
          await clock.sleep(maxMs, woken.signal);
        }
        signal.removeEventListener("abort", wakeUp);
        wakeUp = () => {};
      }
      rung = false;
    },
  };
}

/** A wait that doubles from `firstMs` to `maxMs`, each varied by a quarter either way. */
export function createBackOff(
  { firstMs, maxMs, random }: { firstMs: number; maxMs: number; random: () => number },
): { nextMs(): number; reset(): void } {
  let failures = 0;
  return {
    nextMs: () => Math.min(maxMs, firstMs * 2 ** Math.min(failures++, 30)) * (0.75 + random() / 2),
    reset() {
      failures = 0;
    },
  };
}
