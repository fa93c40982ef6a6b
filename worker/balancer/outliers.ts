/**
 * Passive outlier ejection: a task that fails connections in a row gets none for a while, each time for
 * longer. Pure. Ejected tasks are still better than none at all: see pick.ts.
 *
 * @module
 */

export interface Outlier {
  /** Failures in a row. */
  failures: number;
  /** Times it was ejected without a success in between. */
  ejections: number;
  /** In ms of the monotonic clock; 0 while it is not ejected. */
  untilMs: number;
}

/** No failure is known. */
export const SOUND: Outlier = { failures: 0, ejections: 0, untilMs: 0 };

export const FAILURES_TO_EJECT = 3;
const FIRST_EJECTION_MS = 1_000;
const MAX_EJECTION_MS = 30_000;

/** `certain`: what failed took so long, or says so much, that no second opinion is asked for. */
export function failed(outlier: Outlier, nowMs: number, { certain = false } = {}): Outlier {
  const failures = outlier.failures + 1;
  // After an ejection one more failure is enough: the next client is the probe.
  const eject = certain || outlier.ejections > 0 || failures >= FAILURES_TO_EJECT;
  if (!eject || outlier.untilMs > nowMs) return { ...outlier, failures };
  const lengthMs = Math.min(MAX_EJECTION_MS, FIRST_EJECTION_MS * 2 ** outlier.ejections);
  return { failures, ejections: outlier.ejections + 1, untilMs: nowMs + lengthMs };
}

export function isEjected({ untilMs }: Outlier, nowMs: number): boolean {
  return untilMs > nowMs;
}
