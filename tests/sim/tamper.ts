/**
 * Ways to change what is committed, for planted bugs.
 *
 * @module
 */
import type { Mutation, Operation } from "../support/kv_operation.ts";
import type { Row } from "./database.ts";
import type { Sim } from "./sim.ts";

type SetMutation = Extract<Mutation, { kind: "set" }>;
export type TaskValue = {
  id: string;
  serviceId: string;
  slot: number;
  desired: string;
  nodeId?: string;
  ended?: string;
  why?: string;
  run?: { scheduledAt: string };
};

/** Changes what is committed, wherever the tasks' and users' rows are at stake. */
export function onCommits(
  sim: Sim,
  change: (op: Operation, chance: (probability: number) => boolean) => void,
): void {
  const random = sim.random("plant");
  sim.database.tamper = (_, op) => change(op, (probability) => random.chance(probability));
}

/** Changes commits that create tasks. */
export function onTasks(
  sim: Sim,
  change: (task: TaskValue, op: Operation, chance: (probability: number) => boolean) => void,
): void {
  onCommits(sim, (op, chance) => {
    const created = op.mutations.filter((m): m is SetMutation =>
      m.kind === "set" && m.key[0] === "task" && !sim.database.mirror.has(m.key.join("/"))
    );
    for (const { value } of created) change(value as TaskValue, op, chance);
  });
}

export function drop(op: Operation, which: (mutation: Mutation) => boolean): void {
  op.mutations = op.mutations.filter((mutation) => !which(mutation));
}

export interface EventValue {
  type: string;
  taskId?: string;
  state?: string;
  why?: string;
}

/** Has records of the log tell of something else instead. */
export function hideEvents(op: Operation, which: (event: EventValue) => boolean): void {
  for (const m of op.mutations) {
    if (m.kind !== "set" || m.key[0] !== "log") continue;
    const record = m.value as { events: EventValue[] };
    const other = { type: "node.changed", why: "nothing of note" };
    m.value = { ...record, events: record.events.map((one) => which(one) ? other : one) };
  }
}

export function onEvents(sim: Sim, which: (event: EventValue) => boolean): void {
  onCommits(sim, (op) => hideEvents(op, which));
}

/** Changes how a task is written that is there already. */
export function onRewrites(sim: Sim, change: (task: TaskValue, before: TaskValue) => object): void {
  sim.answersFromRows = true;
  onCommits(sim, (op) => {
    for (const m of op.mutations) {
      const before = sim.database.mirror.get(m.key.join("/"))?.value;
      if (m.kind !== "set" || m.key[0] !== "task" || before === undefined) continue;
      m.value = change(m.value as TaskValue, before as TaskValue);
    }
  });
}

export function isLeaders(op: Operation): boolean {
  return op.mutations.some(({ key }) => key[0] === "log");
}

export function isDeletion(m: Mutation, kind: string): boolean {
  return m.kind === "delete" && m.key[0] === kind;
}

export function rowsOf(sim: Sim, kind: string): Row[] {
  return [...sim.database.mirror.values()].filter(({ key }) => key[0] === kind);
}

export function nodeIds(sim: Sim): string[] {
  return rowsOf(sim, "node").map(({ key }) => String(key[1]));
}
