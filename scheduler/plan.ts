/**
 * The planner: from the world and the time to what is to be done. Pure: it reads no clock and writes
 * nothing, not even to the world, and the same world gives the same plan.
 *
 * 1. A plan has one action a task at the most, so that its actions may be committed in any batches.
 * 2. What the limit cuts is named, and planning again after the actions are applied goes on with it.
 * 3. Planning a world to which a finished plan has been applied gives no actions at the same time, save
 *    the purge of what it retired.
 *
 * @module
 */
import type { Plan, PlanOptions, Scope } from "./action.ts";
import { type Draft, emit, newDraft, room } from "./draft.ts";
import { explainUnplaced, fillSlots } from "./fill.ts";
import { purgeAll, purgeHistory } from "./history.ts";
import { jobPolicy, retire } from "./job.ts";
import { planNode } from "./nodes.ts";
import type { Policy } from "./policy.ts";
import { replicaPolicy, stopDoubles, stopSuperfluous } from "./replicas.ts";
import { stopIdle, stopNext } from "./rollout.ts";
import { plotCourse, stopSurplus } from "./rollout/course.ts";
import type { ServiceRecord, World } from "./world.ts";

export { pendingServices } from "./nodes.ts";

/**
 * Plans the services and nodes in scope, in order, and what hangs on them: the services that wait for a
 * node that is ready now, and those of a node that drains.
 */
export function plan(world: World, nowMs: number, scope: Scope, options: PlanOptions): Plan {
  const draft = newDraft(world, nowMs, options);
  const services = new Set(scope.services);
  for (const nodeId of new Set(scope.nodes)) {
    for (const serviceId of planNode(draft, nodeId)) services.add(serviceId);
  }
  for (const serviceId of services) {
    const record = world.services.get(serviceId);
    if (!record || draft.unfinished.has(serviceId)) continue; // Invariant 1: it has lost tasks.
    if (room(draft) === 0) draft.unfinished.add(serviceId);
    else planService(draft, record);
  }
  explainUnplaced(draft);
  return {
    actions: draft.actions,
    more: draft.nodesLeft || draft.unfinished.size > 0,
    unfinished: [...draft.unfinished],
    wakes: draft.wakes,
  };
}

function planService(draft: Draft, record: ServiceRecord): void {
  if (record.slots.strays.size > 0) return loseStrays(draft, record);
  const policy = policyOf(record);
  stopSuperfluous(draft, record, policy.wanted);
  const plotted = plotCourse(draft, record, policy);
  if (plotted.kind === "again") return;
  const course = plotted.kind === "course" ? plotted.course : undefined;
  if (course) stopSurplus(draft, record, course);
  else stopDoubles(draft, record, policy.wanted);
  stopIdle(draft, record, policy, course);
  const filling = fillSlots(draft, record, policy, course);
  stopNext(draft, record, policy, { filling, course });
  if (record.service.deleting) return purgeAll(draft, record);
  purgeHistory(draft, record, policy);
  if (record.service.mode.type === "job") retire(draft, record, record.service.mode);
}

function policyOf(record: ServiceRecord): Policy {
  const { mode } = record.service;
  switch (mode.type) {
    case "replicated":
      return replicaPolicy(record, mode.replicas);
    case "job":
      return jobPolicy(record, mode);
  }
}

/** Tasks of a node that is no longer known. The service is planned once they are lost. */
function loseStrays(draft: Draft, record: ServiceRecord): void {
  for (const taskId of [...record.slots.strays.keys()].sort()) {
    if (!emit(draft, record, { kind: "lose", taskId, why: "its node was removed" })) return;
  }
  draft.unfinished.add(record.service.id);
}
