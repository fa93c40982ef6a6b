/**
 * What follows the end of a run: another start in place, or the end of the task. Pure.
 *
 * The budget is `maxAttempts` restarts within `windowMs`; restarts older than the window no longer
 * count, and a run longer than the window wipes the slate. A window of 0 never forgets. The back-off
 * doubles with every restart that counts: `delayMs`, 2×, 4×…, at most `maxDelayMs`. With a `delayMs`
 * of 0 the first restart is immediate and the next ones wait 1 s, 2 s, 4 s…
 *
 * @module
 */
import type { RestartPolicy } from "../kv/schema/service.ts";

const FIRST_BACKOFF_MS = 1_000;
/** Waits vary by this share either way, so that tasks that failed together do not return together. */
const JITTER = 0.1;

export interface RunEnd {
  /** Absent when nobody can know: the container is gone, or could not start. */
  exitCode?: number | undefined;
  /** How long the run lasted, if it is known. */
  ranMs?: number | undefined;
  /** The engine itself went away and took the run with it: nobody's failure. */
  interrupted: boolean;
  /** The agent stopped it for its health: a failure, whatever the exit code. */
  unhealthy?: boolean;
}

export interface RestartHistory {
  /** When earlier restarts were decided, oldest first, in ms of the agent's monotonic clock. */
  restartsMs: readonly number[];
  nowMs: number;
  /** Uniform in [0, 1). */
  jitter: number;
}

export type AfterRun =
  | { kind: "restart"; delayMs: number; restartsMs: number[] }
  | { kind: "end"; state: "succeeded" | "failed"; why?: string };

/** Decides what follows a run that ended by itself. */
export function afterRun(policy: RestartPolicy, run: RunEnd, history: RestartHistory): AfterRun {
  const success = run.exitCode === 0 && !run.unhealthy;
  if (policy.condition === "none") return { kind: "end", state: success ? "succeeded" : "failed" };
  if (policy.condition === "on-failure" && success) return { kind: "end", state: "succeeded" };

  const counted = countedRestarts(policy, run, history);
  if (run.interrupted) return { kind: "restart", delayMs: 0, restartsMs: counted };
  if (counted.length >= policy.maxAttempts) {
    const why = policy.maxAttempts === 0
      ? "no restarts in place are allowed"
      : `restarted ${counted.length} times within ${seconds(policy.windowMs)}, the most allowed`;
    return { kind: "end", state: "failed", why };
  }
  return {
    kind: "restart",
    delayMs: backOffMs(policy, counted.length, history.jitter),
    restartsMs: [...counted, history.nowMs],
  };
}

function countedRestarts(
  { windowMs }: RestartPolicy,
  { ranMs }: RunEnd,
  { restartsMs, nowMs }: RestartHistory,
): number[] {
  if (windowMs === 0) return [...restartsMs];
  if (ranMs !== undefined && ranMs > windowMs) return [];
  return restartsMs.filter((atMs) => nowMs - atMs < windowMs);
}

function backOffMs(
  { delayMs, maxDelayMs }: RestartPolicy,
  earlier: number,
  jitter: number,
): number {
  const baseMs = delayMs > 0
    ? delayMs * 2 ** earlier
    : earlier === 0
    ? 0
    : FIRST_BACKOFF_MS * 2 ** (earlier - 1);
  const variedMs = Math.min(baseMs, maxDelayMs) * (1 - JITTER + 2 * JITTER * jitter);
  return Math.round(Math.min(variedMs, maxDelayMs));
}

/** A duration for people: `0.5 s`, `2 s`, `300 s`. */
export function seconds(ms: number): string {
  return ms < 1_000 ? `${Math.round(ms / 100) / 10} s` : `${Math.round(ms / 1_000)} s`;
}
