/**
 * From the results of probes to a verdict. Pure. One machine serves both checks:
 *
 * | verdict    | health      | readiness                       |
 * | ---------- | ----------- | ------------------------------- |
 * | `starting` | `starting`  | not ready, and never was        |
 * | `passing`  | `healthy`   | ready                           |
 * | `failing`  | `unhealthy` | not ready any more              |
 *
 * 1. `successes` in a row make it pass, from any verdict; `retries` failures in a row make it fail.
 * 2. Until the first verdict, failures within the start period of the run count for nothing (they still
 *    break a row of successes). A success that made it pass ends the start period.
 * 3. A readiness check has a start period without an end: only what was ready can cease to be.
 *
 * @module
 */
import type { AgentProbe, HealthCheck, ReadinessCheck } from "../../kv/schema/health.ts";

/** What both checks come down to. */
export interface Check {
  probe: AgentProbe;
  intervalMs: number;
  startIntervalMs: number;
  startPeriodMs: number;
  timeoutMs: number;
  retries: number;
  successes: number;
  /** The first probe of a run comes at once, not after a wait like any other. */
  atOnce: boolean;
}

export interface Tally {
  verdict: "starting" | "passing" | "failing";
  /** In a row; at most one of the two is not 0. */
  passes: number;
  failures: number;
}

export const START: Readonly<Tally> = { verdict: "starting", passes: 0, failures: 0 };
/** Waits between probes vary by this share either way, so that tasks do not probe in step. */
const JITTER = 0.1;

/** The health check that the agent carries out; undefined when there is none, or the engine does. */
export function healthCheckOf(health: HealthCheck | undefined): Check | undefined {
  const probe = health?.probe;
  if (!probe || probe.type === "engine" || probe.type === "none") return undefined;
  return { ...health, probe, atOnce: false }; // as Docker does
}

export function readinessCheckOf(readiness: ReadinessCheck | undefined): Check | undefined {
  return readiness && { ...readiness, startPeriodMs: Infinity, atOnce: true };
}

/** The tally after a probe that began `sinceStartMs` after the start of the run. */
export function afterProbe(
  { verdict, passes, failures }: Tally,
  passed: boolean,
  { check, sinceStartMs }: { check: Check; sinceStartMs: number },
): Tally {
  if (passed) {
    const inRow = passes + 1;
    return inRow >= check.successes
      ? { verdict: "passing", passes: inRow, failures: 0 }
      : { verdict, passes: inRow, failures: 0 };
  }
  if (verdict === "starting" && sinceStartMs < check.startPeriodMs) return START; // rule 2
  const inRow = failures + 1;
  return { verdict: inRow >= check.retries ? "failing" : verdict, passes: 0, failures: inRow };
}

/** How long to wait for the next probe. `jitter` is uniform in [0, 1). */
export function nextProbeMs(
  { verdict }: Tally,
  { check, sinceStartMs, jitter }: { check: Check; sinceStartMs: number; jitter: number },
): number {
  const starting = verdict === "starting" && sinceStartMs < check.startPeriodMs;
  const baseMs = starting ? check.startIntervalMs : check.intervalMs;
  return Math.round(baseMs * (1 - JITTER + 2 * JITTER * jitter));
}
