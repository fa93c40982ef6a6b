/**
 * Jobs: a number of slots, each of which needs one task that succeeds.
 *
 * @module
 */
import { afterFailure, afterInterruption, atOnce } from "./backoff.ts";
import { type Draft, emit, stop, wake } from "./draft.ts";
import { isOverdue, keepTime, type Timed } from "./modes/deadline.ts";
import { askedRuns, liveRuns } from "./modes/runs.ts";
import type { Policy } from "./policy.ts";
import { isRunSlot, unfilledSlots } from "./slots.ts";
import type { ServiceRecord } from "./world.ts";

/** A retired job is planned again after this, to be purged. */
const PURGE_AFTER_MS = 1000;

export type JobPhase = "active" | "finished" | "failed";

interface JobMode {
  completions: number;
  parallelism: number;
  retries: number;
  deadlineMs?: number | undefined;
  removeAfterMs?: number | undefined;
}

/**
 * `failed` as soon as more tasks failed than there are retries, though some may still run, and when its
 * deadline has passed. Runs on request are no part of the job.
 */
export function jobPhase(record: ServiceRecord, job: JobMode): JobPhase {
  const { slots } = record;
  if (ownTasks(record) === 0 && unfilledSlots(slots, job.completions).next().done) {
    return "finished";
  }
  const timed = timedJob(record, job);
  if (timed && isOverdue(record, timed)) return "failed";
  return slots.failed > job.retries ? "failed" : "active";
}

/** Slots with a live task that is not one of a run on request. */
function ownTasks(record: ServiceRecord): number {
  return record.live.size - liveRuns(record);
}

function timedJob({ service }: ServiceRecord, { deadlineMs }: JobMode): Timed | undefined {
  return deadlineMs === undefined ? undefined : { slot: 0, revision: service.revision, deadlineMs };
}

/** Keeps the time of a job that goes on; when it is out of time, stops what runs and answers true. */
export function stopOverdue(draft: Draft, record: ServiceRecord, job: JobMode): boolean {
  const timed = timedJob(record, job);
  const { service, live } = record;
  if (!timed || service.stopped || service.deleting) return false;
  if (ownTasks(record) === 0 && jobPhase(record, job) !== "active") return false;
  if (!keepTime(draft, record, timed)) return false;
  const why = `the job's deadline of ${timed.deadlineMs / 1000} s has passed`;
  for (const [slot, tasks] of live) {
    if (isRunSlot(service.mode, slot)) continue;
    for (const { task } of tasks) {
      if (task.desired === "run" && !stop(draft, record, task.id, why)) return true;
    }
  }
  return true;
}

export function jobPolicy(record: ServiceRecord, job: JobMode): Policy {
  const { service } = record;
  const active = jobPhase(record, job) === "active";
  return {
    wanted: service.stopped || service.deleting ? 0 : job.completions,
    kept: service.deleting ? 0 : job.completions,
    openings: active ? Math.max(0, job.parallelism - ownTasks(record)) : 0,
    rolls: false,
    fate(ended) {
      if (ended.task.desired === "stop" || ended.state === "lost") return atOnce(ended);
      if (ended.state === "stopped") return afterInterruption(ended);
      // Failures are never forgiven: their sum is what the retries are counted against.
      return afterFailure(ended, { forgive: false });
    },
  };
}

/** Deletes a job that asked for it, once it is over for long enough. */
export function retire(draft: Draft, record: ServiceRecord, job: JobMode): void {
  const { service, slots, live } = record;
  if (service.deleting || job.removeAfterMs === undefined) return;
  if (live.size > 0 || askedRuns(record).length > 0) return;
  const phase = jobPhase(record, job);
  if (phase === "active") return;
  const dueMs = slots.lastEndedAtMs + job.removeAfterMs;
  if (dueMs > draft.nowMs) {
    wake(draft, service.id, dueMs);
    return;
  }
  const why = `${phase} ${job.removeAfterMs / 1000} s ago, as removeAfterMs asks`;
  emit(draft, record, { kind: "retire", serviceId: service.id, why });
  wake(draft, service.id, draft.nowMs + PURGE_AFTER_MS);
}
