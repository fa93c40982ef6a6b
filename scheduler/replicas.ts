/**
 * What a replicated service asks for, and what is stopped because it is too much.
 *
 * @module
 */
import type { Service } from "../kv/schema/service.ts";
import { isReady } from "../kv/schema/task.ts";
import { afterFailure, afterInterruption, atOnce, type Restart } from "./backoff.ts";
import { type Draft, stop } from "./draft.ts";
import type { Policy } from "./policy.ts";
import { ascending, isRunSlot } from "./slots.ts";
import type { ServiceRecord, TaskRecord } from "./world.ts";

export function replicaPolicy(record: ServiceRecord, replicas: number): Policy {
  const { service } = record;
  const wanted = service.stopped || service.deleting ? 0 : replicas;
  return {
    wanted,
    kept: service.deleting ? 0 : replicas,
    openings: Infinity,
    rolls: true,
    due: () => wanted,
    fate: (ended) => replicaFate(record, ended),
  };
}

function replicaFate(
  { goal, templates }: ServiceRecord,
  ended: TaskRecord,
): Restart | undefined {
  if (ended.task.desired === "stop" || ended.state === "lost") return atOnce(ended);
  if (ended.state === "stopped") return afterInterruption(ended);
  const condition = templates.get(goal)?.restart.condition ?? "any";
  const wanted = ended.state === "succeeded" ? condition === "any" : condition !== "none";
  return wanted ? afterFailure(ended, { forgive: true }) : undefined;
}

/** Stops the tasks above the wanted slots, highest slots first. */
export function stopSuperfluous(draft: Draft, record: ServiceRecord, wanted: number): void {
  const why = superfluity(record.service, wanted);
  for (const slot of superfluousSlots(record, wanted)) {
    for (const { task } of record.live.get(slot) ?? []) {
      if (task.desired === "stop") continue;
      if (!stop(draft, record, task.id, why)) return;
    }
  }
}

/** The slots above `wanted` that may have a task that shall run, in descending order. */
function* superfluousSlots({ service, slots, live }: ServiceRecord, wanted: number) {
  if (service.mode.type === "job") {
    // The filled slots of a job are mostly successes; its live tasks are few.
    for (const slot of ascending(new Set(live.keys())).reverse()) {
      if (slot > wanted && !isRunSlot(service.mode, slot)) yield slot;
    }
    return;
  }
  for (let slot = slots.tail; slot > wanted; slot--) if (!slots.gaps.has(slot)) yield slot;
}

function superfluity(service: Service, wanted: number): string {
  if (service.deleting) return "the service is being removed";
  if (service.stopped) return "the service is stopped";
  return `scaled down to ${wanted}`;
}

/**
 * Where several tasks shall run in one slot, besides those put aside: keeps the one that is ready or runs, then
 * that of the newest revision, then the oldest.
 */
export function stopDoubles(draft: Draft, record: ServiceRecord, wanted: number): void {
  const { goal: revision } = record;
  for (const slot of ascending(record.slots.crowded)) {
    if (slot > wanted) break;
    const tasks = (record.live.get(slot) ?? [])
      .filter(({ task }) => task.desired === "run" && !task.disconnected);
    tasks.sort((a, b) =>
      progress(b) - progress(a) ||
      Number(b.task.revision === revision) - Number(a.task.revision === revision) ||
      (a.task.id < b.task.id ? -1 : 1)
    );
    for (const { task } of tasks.slice(1)) {
      const why = "another task runs in its slot";
      if (!stop(draft, record, task.id, why)) return;
    }
  }
}

function progress({ state, observed }: TaskRecord): number {
  if (isReady(state, observed)) return 3;
  return state === "running" ? 2 : state === "pending" ? 0 : 1;
}
