/**
 * Nodes where the tasks of a service keep failing: they are ranked last for that service, for a while.
 *
 * 1. Two own failures of a service's tasks on one node within five minutes are enough. A task fails when
 *    its restarts in place are spent, so this is no hasty verdict.
 * 2. The verdict is stored with the node, so that whoever explains a placement sees what decided it. It
 *    is lifted when the failures are five minutes old; a new leader gives it five minutes more.
 * 3. A service whose verdicts change is placed after they are committed, not before.
 *
 * @module
 */
import { type Draft, emit, wake } from "./draft.ts";
import type { ServiceRecord } from "./world.ts";

export const FAILING = { failures: 2, windowMs: 300_000 } as const;

/** Brings the verdicts about this service up to date; true when that takes a commit (invariant 3). */
export function rankNodes(draft: Draft, record: ServiceRecord): boolean {
  const { service, failuresMs } = record;
  let changed = false;
  for (const [nodeId, timesMs] of failuresMs) {
    const node = draft.world.nodes.get(nodeId);
    if (!node?.status) continue;
    const recent = timesMs.filter((atMs) => draft.nowMs - atMs < FAILING.windowMs);
    const lastToCount = recent.at(-FAILING.failures);
    const failing = lastToCount !== undefined && !service.deleting;
    if (failing) wake(draft, service.id, lastToCount + FAILING.windowMs);
    const told = node.status.failing?.[service.id] !== undefined;
    if (failing === told) continue;
    changed = true;
    const minutes = FAILING.windowMs / 60_000;
    const why =
      `${recent.length} tasks of ${service.project}/${service.name} failed there within ` +
      `${minutes} minutes: ranked last for it`;
    const action = { kind: "rank", nodeId, serviceId: service.id } as const;
    if (!emit(draft, record, failing ? { ...action, why } : action)) break;
  }
  if (changed) draft.unfinished.add(service.id);
  return changed;
}
