/**
 * Who may be stopped to make room, in which order, and how many of each service.
 *
 * @module
 */
import type { TaskTemplate } from "../kv/schema/service.ts";
import type { Draft } from "./draft.ts";
import { type Candidate, type Request, requestOf } from "./overlay.ts";
import type { Policy } from "./policy.ts";
import { isRunSlot } from "./slots.ts";
import type { NodeRecord, ServiceRecord, TaskRecord } from "./world.ts";

/** A task that may be stopped. */
export interface Victim {
  task: TaskRecord;
  service: ServiceRecord;
  request: Request;
  priority: number;
  /** It is one of the tasks that the disruption budget counts. */
  budgeted: boolean;
}

/** What the disruption budgets leave in one plan. */
export interface Budgets {
  /** Whether the task is one of those that are counted: it runs, in a slot that is wanted. */
  counts(service: ServiceRecord, task: TaskRecord): boolean;
  left(service: ServiceRecord): number;
  spend(victim: Victim): void;
}

export function createBudgets(policyOf: (record: ServiceRecord) => Policy): Budgets {
  const left = new Map<string, number>();
  const leftOf = (record: ServiceRecord) => {
    const { id, disruption } = record.service;
    let budget = left.get(id);
    if (budget === undefined) {
      budget = disruption.maxUnavailable - unavailable(record, policyOf(record));
      left.set(id, budget);
    }
    return budget;
  };
  return {
    counts: (service, { task, state }) =>
      state === "running" && isWanted(service, task.slot, policyOf(service)),
    left: leftOf,
    spend({ service, budgeted }) {
      if (budgeted) left.set(service.service.id, leftOf(service) - 1);
    },
  };
}

/** How many of the tasks that the service wants now do not run. */
function unavailable(record: ServiceRecord, policy: Policy): number {
  let running = 0;
  let down = 0;
  for (const [slot, tasks] of record.live) {
    if (!isWanted(record, slot, policy)) continue;
    if (tasks.some(({ task, state }) => task.desired === "run" && state === "running")) running++;
    else down++;
  }
  return (policy.due?.() ?? running + down) - running;
}

function isWanted({ service }: ServiceRecord, slot: number, policy: Policy): boolean {
  return slot <= policy.wanted || isRunSlot(service.mode, slot);
}

/**
 * The tasks on a node that may be stopped for one of this priority: those of the lowest priority first, of
 * these what does not run yet, then the newest; of each service as many as its budget leaves.
 */
export function victimsOn(draft: Draft, node: NodeRecord, priority: number): Victim[] {
  const victims: Victim[] = [];
  let spent: Map<ServiceRecord, number> | undefined;
  for (const victim of candidatesOn(draft, node)) {
    if (victim.priority >= priority) break;
    if (draft.stopped.has(victim.task.task.id)) continue;
    if (victim.budgeted) {
      const before = spent?.get(victim.service) ?? 0;
      if (before >= draft.budgets.left(victim.service)) continue;
      spent ??= new Map();
      spent.set(victim.service, before + 1);
    }
    victims.push(victim);
  }
  return victims;
}

function candidatesOn(draft: Draft, node: NodeRecord): Victim[] {
  const known = draft.victims.get(node.node.id);
  if (known) return known;
  const found: Victim[] = [];
  for (const taskId of node.holding) {
    const task = draft.world.tasks.get(taskId);
    const service = task && draft.world.services.get(task.task.serviceId);
    const template = task && service?.templates.get(task.task.revision);
    if (!task || !service || !template || task.task.desired === "stop") continue;
    found.push({
      task,
      service,
      request: requestFor(draft, service, template),
      priority: service.service.priority,
      budgeted: draft.budgets.counts(service, task),
    });
  }
  found.sort((a, b) =>
    a.priority - b.priority || Number(a.budgeted) - Number(b.budgeted) ||
    (a.task.task.id > b.task.task.id ? -1 : 1)
  );
  draft.victims.set(node.node.id, found);
  return found;
}

/** Tasks of one revision ask for the same. */
function requestFor(draft: Draft, { service }: ServiceRecord, template: TaskTemplate): Request {
  let request = draft.requests.get(template);
  if (!request) draft.requests.set(template, request = requestOf(service.id, template));
  return request;
}

/**
 * How dear it is to stop them: the highest priority among them, how many, the sum of priorities, and the
 * room that they leave (a core counts as much as 1,000 MiB).
 */
function costOf(victims: readonly Victim[]): number[] {
  let highest = -Infinity;
  let sum = 0;
  let freed = 0;
  for (const { priority, request } of victims) {
    highest = Math.max(highest, priority);
    sum += priority;
    freed += request.milliCpus + request.memoryMiB;
  }
  return [highest, victims.length, sum, freed];
}

/** Whether it is better to clear the one node than the other; ties go to the lower id. */
export function cheaper(
  a: { node: Candidate; victims: readonly Victim[] },
  b: { node: Candidate; victims: readonly Victim[] },
): boolean {
  const [costA, costB] = [costOf(a.victims), costOf(b.victims)];
  for (const [i, value] of costA.entries()) {
    const other = costB[i] ?? 0;
    if (value !== other) return value < other;
  }
  return a.node.record.node.id < b.node.record.node.id;
}
