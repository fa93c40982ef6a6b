/**
 * Jobs: a number of slots, each of which needs one task that succeeds.
 *
 * @module
 */
import { afterFailure, afterInterruption, atOnce } from "./backoff.ts";
import { type Draft, emit, wake } from "./draft.ts";
import type { Policy } from "./policy.ts";
import { unfilledSlots } from "./slots.ts";
import type { ServiceRecord } from "./world.ts";

/** A retired job is planned again after this, to be purged. */
const PURGE_AFTER_MS = 1000;

export type JobPhase = "active" | "finished" | "failed";

interface JobMode {
  completions: number;
  parallelism: number;
  retries: number;
  removeAfterMs?: number | undefined;
}

/** `failed` as soon as more tasks failed than there are retries, though some may still run. */
export function jobPhase(record: ServiceRecord, job: JobMode): JobPhase {
  const { slots, live } = record;
  if (live.size === 0 && unfilledSlots(slots, job.completions).next().done) return "finished";
  return slots.failed > job.retries ? "failed" : "active";
}

export function jobPolicy(record: ServiceRecord, job: JobMode): Policy {
  const { service, live } = record;
  const active = jobPhase(record, job) === "active";
  return {
    wanted: service.stopped || service.deleting ? 0 : job.completions,
    kept: service.deleting ? 0 : job.completions,
    openings: active ? Math.max(0, job.parallelism - live.size) : 0,
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
  if (service.deleting || job.removeAfterMs === undefined || live.size > 0) return;
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
