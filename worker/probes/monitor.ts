/**
 * Probes the running tasks of an agent and keeps their verdicts.
 *
 * 1. A check has at most one probe under way, and a bounded number are under way at all. A probe that was
 *    slow the last time waits among the slow ones only: hanging tasks hold up no others.
 * 2. A verdict belongs to a run of the container. What a probe of an earlier run finds is dropped.
 * 3. Every probe has a deadline; at it the probe has failed, whatever the prober does.
 * 4. The monitor decides nothing: when a verdict changed it has the task looked at.
 * 5. A run that an earlier process of the agent has judged starts with that verdict.
 *
 * @module
 */
import type { BoundPort } from "../../kv/schema/task.ts";
import type { Clock } from "../../kv/schema/time.ts";
import type { Log } from "../log.ts";
import type { View } from "../record.ts";
import { createWake } from "../wake.ts";
import { type AgentProbeVerdict, isProbed, subjectOf } from "./subject.ts";
import type { Prober, ProbeResult } from "./prober.ts";
import { afterProbe, type Check, nextProbeMs, type Tally } from "./verdict.ts";
import { seconds } from "../restart.ts";

export interface Monitor {
  /** Probes the task from now on, or no longer, as the view asks; answers what is known of its run. */
  see(
    view: Pick<View, "taskId" | "assignment" | "record" | "container">,
  ): AgentProbeVerdict | undefined;
  /** What is known of the task's run, without a look at it. */
  known(taskId: string): AgentProbeVerdict | undefined;
  /** Probes until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
}

export interface MonitorDeps {
  prober: Prober;
  clock: Clock;
  /** Uniform in [0, 1). */
  random: () => number;
  log: Log;
}

interface Probing {
  purpose: "health" | "readiness";
  check: Check;
  tally: Tally;
  nextAtMs: number;
  busy: boolean;
  slow: boolean;
  /** Of the first failure since the last success, or of the one that decided. */
  output?: string;
}

interface Subject {
  run: string;
  sinceMs: number;
  address?: string;
  ports: readonly BoundPort[];
  probings: Probing[];
  stop: AbortController;
}

/** Probes under way at a time, of the quick and of the slow ones. */
const PLACES = 16;
const SLOW_MS = 1_000;

/** `onChange` is called when a verdict of the task changed. */
export function createMonitor(deps: MonitorDeps, onChange: (taskId: string) => void): Monitor {
  const { prober, clock, random, log } = deps;
  const subjects = new Map<string, Subject>();
  const bell = createWake(clock);
  const busy = { quick: 0, slow: 0 };

  function unwatch(taskId: string): void {
    subjects.get(taskId)?.stop.abort();
    subjects.delete(taskId);
  }

  /** Starts the probes that are due and have a place; answers when the next one is due. */
  function startDue(underWay: Set<Promise<void>>, signal: AbortSignal): number | undefined {
    const nowMs = clock.monoMs();
    const due: { taskId: string; subject: Subject; probing: Probing }[] = [];
    let nextMs: number | undefined;
    for (const [taskId, subject] of subjects) {
      for (const probing of subject.probings) {
        if (probing.busy) continue;
        if (probing.nextAtMs <= nowMs) due.push({ taskId, subject, probing });
        else nextMs = Math.min(nextMs ?? Infinity, probing.nextAtMs);
      }
    }
    due.sort((a, b) => a.probing.nextAtMs - b.probing.nextAtMs);
    for (const { taskId, subject, probing } of due) {
      const kind = probing.slow ? "slow" : "quick";
      if (busy[kind] >= PLACES) continue; // invariant 1: the end of a probe rings
      busy[kind]++;
      probing.busy = true;
      const done = probe(taskId, subject, probing, signal).finally(() => {
        busy[kind]--;
        probing.busy = false;
        underWay.delete(done);
        bell.ring();
      });
      underWay.add(done);
    }
    return nextMs;
  }

  async function probe(
    taskId: string,
    subject: Subject,
    probing: Probing,
    outer: AbortSignal,
  ): Promise<void> {
    const { check, purpose } = probing;
    const { address, ports } = subject;
    const beganMs = clock.monoMs();
    const givenUp = () => outer.aborted || subject.stop.signal.aborted;
    const cut = new AbortController();
    const onGivenUp = () => cut.abort();
    outer.addEventListener("abort", onGivenUp, { once: true });
    subject.stop.signal.addEventListener("abort", onGivenUp, { once: true });
    if (givenUp()) cut.abort();
    const target = {
      ...{ taskId, purpose, probe: check.probe, ports },
      ...(address === undefined ? {} : { address }),
    };
    const probed = prober.probe(target, cut.signal)
      .catch((error): ProbeResult => {
        log("error", "a probe failed unexpectedly", { taskId, reason: String(error) });
        return { kind: "unknown", reason: String(error) };
      });
    const late = clock.sleep(check.timeoutMs, cut.signal)
      .then((): ProbeResult => ({
        kind: "fail",
        output: `no answer within ${seconds(check.timeoutMs)}`,
      }));
    const result = await Promise.race([probed, late]); // invariant 3
    const nowMs = clock.monoMs();
    probing.slow = nowMs - beganMs > SLOW_MS;
    if (!givenUp()) settle(taskId, subject, probing, { result, beganMs, nowMs });
    cut.abort(); // ends the sleep, or what the prober still does
    outer.removeEventListener("abort", onGivenUp);
    subject.stop.signal.removeEventListener("abort", onGivenUp);
    await Promise.all([probed, late]);
  }

  function settle(
    taskId: string,
    subject: Subject,
    probing: Probing,
    { result, beganMs, nowMs }: { result: ProbeResult; beganMs: number; nowMs: number },
  ): void {
    const { check } = probing;
    const sinceStartMs = beganMs - subject.sinceMs;
    const before = probing.tally;
    const told = probing.output;
    if (result.kind !== "unknown") {
      const passed = result.kind === "pass";
      probing.tally = afterProbe(before, passed, { check, sinceStartMs });
      const decided = probing.tally.verdict !== before.verdict;
      if (result.kind === "pass") delete probing.output;
      else if (decided || told === undefined) probing.output = result.output;
    }
    const timing = { check, sinceStartMs: nowMs - subject.sinceMs, jitter: random() };
    probing.nextAtMs = nowMs + nextProbeMs(probing.tally, timing);
    const firstFailure = told === undefined && probing.output !== undefined;
    if (firstFailure || probing.tally.verdict !== before.verdict) onChange(taskId); // invariant 4
  }

  return {
    see(view) {
      const { taskId } = view;
      if (!isProbed(view)) {
        unwatch(taskId);
        return undefined;
      }
      const wanted = subjectOf(view);
      const known = subjects.get(taskId);
      if (known?.run === wanted.run) return verdictOf(known);
      unwatch(taskId); // invariant 2
      const nowMs = clock.monoMs();
      const subject: Subject = {
        ...{ run: wanted.run, sinceMs: nowMs, ports: wanted.ports },
        ...(wanted.address === undefined ? {} : { address: wanted.address }),
        stop: new AbortController(),
        probings: wanted.checks.map(({ purpose, check, verdict }): Probing => {
          const tally = { verdict, passes: 0, failures: 0 }; // invariant 5
          const timing = { check, sinceStartMs: 0, jitter: random() };
          const nextAtMs = nowMs + (check.atOnce ? 0 : nextProbeMs(tally, timing));
          return { purpose, check, tally, nextAtMs, busy: false, slow: false };
        }),
      };
      subjects.set(taskId, subject);
      bell.ring();
      return verdictOf(subject);
    },
    known(taskId) {
      const subject = subjects.get(taskId);
      return subject && verdictOf(subject);
    },
    async run(signal) {
      const underWay = new Set<Promise<void>>();
      while (!signal.aborted) {
        const nextMs = startDue(underWay, signal);
        const waitMs = nextMs === undefined ? undefined : Math.max(1, nextMs - clock.monoMs());
        await bell.wait(signal, waitMs);
      }
      await Promise.all(underWay);
    },
  };
}

function verdictOf({ probings }: Subject): AgentProbeVerdict {
  const found: AgentProbeVerdict = {};
  for (const { purpose, tally: { verdict }, output } of probings) {
    if (purpose === "readiness") found.ready = verdict === "passing";
    else {
      found.health = verdict === "passing"
        ? "healthy"
        : verdict === "failing"
        ? "unhealthy"
        : "starting";
    }
    if (output === undefined) continue;
    if (purpose === "readiness") found.readinessOutput = output;
    else found.healthOutput = output;
  }
  return found;
}
