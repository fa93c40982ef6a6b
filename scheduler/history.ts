/**
 * Purging ended tasks, and services that are gone.
 *
 * @module
 */
import { type Draft, emit } from "./draft.ts";
import type { Policy } from "./policy.ts";
import { ascending, isRunSlot } from "./slots.ts";
import type { ServiceRecord, TaskRecord } from "./world.ts";

/**
 * Keeps the newest ended task of each slot that the service has, and `historyLimit` further ones; the
 * others go, those that ended first before the rest. What a job has completed is not forgotten.
 */
export function purgeHistory(draft: Draft, record: ServiceRecord, policy: Policy): void {
  const { slots, ended, service } = record;
  const { historyLimit } = draft.options;
  if (slots.older.size <= historyLimit && slots.endedTail <= policy.kept) return;
  const surplus = [...slots.older.values()];
  if (slots.endedTail > policy.kept) {
    for (const [slot, tasks] of ended) {
      const newest = tasks.at(-1);
      if (newest && slot > policy.kept && !isRunSlot(service.mode, slot)) surplus.push(newest);
    }
  }
  const job = service.mode.type === "job";
  const disposable = job ? surplus.filter(({ state }) => state !== "succeeded") : surplus;
  const excess = disposable.length - historyLimit;
  if (excess <= 0) return;
  for (const { task } of disposable.sort(endedFirst).slice(0, excess)) {
    if (!emit(draft, record, { kind: "purge", taskId: task.id })) return;
  }
}

/** A deleted service: everything that ended goes, and then the service. */
export function purgeAll(draft: Draft, record: ServiceRecord): void {
  for (const slot of ascending(new Set(record.ended.keys()))) {
    for (const { task } of record.ended.get(slot) ?? []) {
      if (!emit(draft, record, { kind: "purge", taskId: task.id })) return;
    }
  }
  if (record.live.size === 0) emit(draft, record, { kind: "remove", serviceId: record.service.id });
}

function endedFirst(a: TaskRecord, b: TaskRecord): number {
  return (a.endedAtMs ?? 0) - (b.endedAtMs ?? 0) || (a.task.id < b.task.id ? -1 : 1);
}
