/**
 * Waiting for the cluster, with a bound.
 *
 * @module
 */
import type { CallError, Result } from "../api/client.ts";
import type { Clock } from "../kv/schema/time.ts";

export type Waited<T> =
  | { kind: "done"; value: T }
  | { kind: "timeout" }
  | { kind: "aborted" }
  | { kind: "error"; error: CallError };

export interface WaitOptions {
  clock: Clock;
  timeoutMs: number;
  signal?: AbortSignal;
  /** Pauses for so long, or until there is news. */
  rest?: (ms: number) => Promise<void>;
}

const FIRST_DELAY_MS = 60;
const MAX_DELAY_MS = 500;
const MAX_UNREACHABLE = 10;

/**
 * Asks again and again until `done` returns a value. A server that does not answer for a moment (it is
 * being restarted) is asked again too; any other failure ends the wait.
 */
export async function waitUntil<T, D>(
  ask: () => Promise<Result<T>>,
  done: (value: T) => D | undefined,
  options: WaitOptions,
): Promise<Waited<D>> {
  const { clock, timeoutMs, signal, rest } = options;
  const startMs = clock.monoMs();
  let delayMs = FIRST_DELAY_MS;
  let unreachable = 0;
  while (!signal?.aborted) {
    const answer = await ask();
    if (signal?.aborted) break;
    if (answer.ok) {
      unreachable = 0;
      const value = done(answer.value);
      if (value !== undefined) return { kind: "done", value };
    } else if (answer.error.kind !== "unreachable" || ++unreachable >= MAX_UNREACHABLE) {
      return { kind: "error", error: answer.error };
    }
    if (clock.monoMs() - startMs >= timeoutMs) return { kind: "timeout" };
    await (rest ? rest(delayMs) : clock.sleep(delayMs, signal));
    delayMs = Math.min(MAX_DELAY_MS, delayMs * 1.4);
  }
  return { kind: "aborted" };
}
