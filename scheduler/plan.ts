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
import type { CronMode } from "../kv/schema/run.ts";
import type { Plan, PlanOptions, Scope } from "./action.ts";
import { type Draft, newDraft, room } from "./draft.ts";
import { rankNodes } from "./failing.ts";
import { explainUnplaced, fillSlots } from "./fill.ts";
import { purgeAll, purgeHistory } from "./history.ts";
import { jobPolicy, retire, stopOverdue } from "./job.ts";
import { loseAside, loseStrays } from "./loss.ts";
import { fillNodes, globalPolicy, globalServices } from "./modes/global.ts";
import { planRuns } from "./modes/runs.ts";
import { planNode } from "./nodes.ts";
import type { Policy } from "./policy.ts";
import { replicaPolicy, stopDoubles, stopSuperfluous } from "./replicas.ts";
import { stopAsked, stopIdle, stopNext } from "./rollout.ts";
import { plotCourse, stopSurplus } from "./rollout/course.ts";
import type { ServiceRecord, World } from "./world.ts";

export { pendingServices } from "./nodes.ts";

/**
 * Plans the services and nodes in scope, in order, and what hangs on them: the services that wait for a
 * node that is ready now, and those of a node that drains.
 */
export function plan(world: World, nowMs: number, scope: Scope, options: PlanOptions): Plan {
  const draft = newDraft(world, nowMs, options, (record) => policyOf(world, record));
  const services = new Set(scope.services);
  for (const nodeId of new Set(scope.nodes)) {
    for (const serviceId of planNode(draft, nodeId)) services.add(serviceId);
    if (!draft.states.has(nodeId) && world.nodes.has(nodeId)) continue;
    for (const serviceId of globalServices(world)) services.add(serviceId);
  }
  for (const serviceId of inOrder(draft, services)) {
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

/**
 * By priority, the highest first, and beside that in the order given. Tasks that wait come along where
 * what is planned may concern them: those of higher priority, lest their room be taken, and those that
 * wait for company.
 */
function inOrder({ world, lowestPriority }: Draft, scope: ReadonlySet<string>): string[] {
  const priorityOf = (id: string) => world.services.get(id)?.service.priority ?? lowestPriority;
  const ids = [...scope];
  const least = ids.reduce((low, id) => Math.min(low, priorityOf(id)), Infinity);
  const others: string[] = [];
  for (const [id, { pending, service, templates }] of world.services) {
    if (pending === 0 || scope.has(id) || ids.length === 0) continue;
    const affinity = templates.get(service.revision)?.placement.affinity ?? [];
    if (service.priority > least || affinity.length > 0) others.push(id);
  }
  return [...ids, ...others.sort()].sort((a, b) => priorityOf(b) - priorityOf(a));
}

function planService(draft: Draft, record: ServiceRecord): void {
  if (record.slots.strays.size > 0 && loseStrays(draft, record)) return;
  if (loseAside(draft, record)) return;
  if (rankNodes(draft, record)) return;
  stopAsked(draft, record);
  const { mode } = record.service;
  if (mode.type === "cron") return planCron(draft, record, mode);
  const policy = policyOf(draft.world, record);
  if (mode.type === "job" && stopOverdue(draft, record, mode)) policy.openings = 0;
  stopSuperfluous(draft, record, policy.wanted);
  const plotted = plotCourse(draft, record, policy);
  if (plotted.kind === "again") return;
  const course = plotted.kind === "course" ? plotted.course : undefined;
  if (course) stopSurplus(draft, record, course);
  else stopDoubles(draft, record, policy.wanted);
  stopIdle(draft, record, policy, course);
  const filling = mode.type === "global"
    ? fillNodes(draft, record, policy)
    : fillSlots(draft, record, policy, course);
  if (mode.type === "job") planRuns(draft, record, mode);
  stopNext(draft, record, policy, { filling, course });
  if (record.service.deleting) return purgeAll(draft, record);
  purgeHistory(draft, record, policy);
  if (mode.type === "job") retire(draft, record, mode);
}

/** All tasks of a cron service are runs; they are moved off draining nodes like others. */
function planCron(draft: Draft, record: ServiceRecord, mode: CronMode): void {
  planRuns(draft, record, mode);
  const { service } = record;
  if (service.deleting) return purgeAll(draft, record);
  if (service.stopped) return;
  const policy = policyOf(draft.world, record);
  stopIdle(draft, record, policy);
  const filling = { placed: 0, waiting: 0, surged: new Set<number>() };
  stopNext(draft, record, policy, { filling, course: undefined });
}

function policyOf(world: World, record: ServiceRecord): Policy {
  const { mode } = record.service;
  switch (mode.type) {
    case "cron": // Its tasks are runs (modes/runs.ts): no slot is to be filled.
      return { wanted: 0, kept: 0, openings: 0, rolls: false, fate: () => undefined };
    case "replicated":
      return replicaPolicy(record, mode.replicas);
    case "global":
      return globalPolicy(world, record);
    case "job":
      return jobPolicy(record, mode);
  }
}
