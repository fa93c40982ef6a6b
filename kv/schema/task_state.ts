/**
 * The life of a task: one table, read by the API, the leader, the agent and the tests.
 *
 * States advance within an attempt and attempts only grow, so `(attempt, rank(state))` is
 * monotonic: a late or doubled report is recognised by comparing it, and dropped. A restart in
 * place is a new attempt that begins at `preparing`. The terminal states are terminal for the task.
 *
 * @module
 */
import { z } from "zod";

export const TaskState = z.enum([
  "pending",
  "assigned",
  "preparing",
  "starting",
  "running",
  "succeeded",
  "failed",
  "stopped",
  "rejected",
  "lost",
]).meta({ id: "TaskState" });
export type TaskState = z.infer<typeof TaskState>;

/** Who may write a transition: the leader (task rows) or the task's node (observed rows). */
export type StateWriter = "leader" | "node";

export interface Transition {
  from: TaskState;
  to: TaskState;
  writer: StateWriter;
  /** The transition opens the next attempt. */
  nextAttempt?: true;
}

/** Every legal transition. What is not here does not happen. */
export const TRANSITIONS: readonly Transition[] = [
  { from: "pending", to: "assigned", writer: "leader" },
  { from: "pending", to: "stopped", writer: "leader" },
  { from: "assigned", to: "preparing", writer: "node" },
  { from: "assigned", to: "stopped", writer: "node" },
  { from: "assigned", to: "rejected", writer: "node" },
  { from: "preparing", to: "starting", writer: "node" },
  { from: "preparing", to: "stopped", writer: "node" },
  { from: "preparing", to: "rejected", writer: "node" },
  { from: "preparing", to: "failed", writer: "node" },
  { from: "preparing", to: "preparing", writer: "node", nextAttempt: true },
  { from: "starting", to: "running", writer: "node" },
  { from: "starting", to: "succeeded", writer: "node" },
  { from: "starting", to: "failed", writer: "node" },
  { from: "starting", to: "stopped", writer: "node" },
  { from: "starting", to: "rejected", writer: "node" },
  { from: "starting", to: "preparing", writer: "node", nextAttempt: true },
  { from: "running", to: "succeeded", writer: "node" },
  { from: "running", to: "failed", writer: "node" },
  { from: "running", to: "stopped", writer: "node" },
  // By an agent that lost its state: it begins anew, and is refused what it ran before.
  { from: "running", to: "rejected", writer: "node" },
  { from: "running", to: "preparing", writer: "node", nextAttempt: true },
  { from: "assigned", to: "lost", writer: "leader" },
  { from: "preparing", to: "lost", writer: "leader" },
  { from: "starting", to: "lost", writer: "leader" },
  { from: "running", to: "lost", writer: "leader" },
];

const RANK: Record<TaskState, number> = {
  pending: 0,
  assigned: 1,
  preparing: 2,
  starting: 3,
  running: 4,
  succeeded: 5,
  failed: 5,
  stopped: 5,
  rejected: 5,
  lost: 5,
};

/** True for the states that a task never leaves. */
export function isTerminal(state: TaskState): boolean {
  return RANK[state] === 5;
}

/** True for the terminal states that mean that the task did not do what was asked of it. */
export function isFailure(state: TaskState): boolean {
  return state === "failed" || state === "rejected" || state === "lost";
}

/** A position in a task's life. */
export interface Progress {
  attempt: number;
  state: TaskState;
}

/**
 * Whether `next` may follow `prev` when `writer` says so. Reports may skip states that nobody saw
 * (a container that ran for 5 ms), so any chain of legal transitions within an attempt counts, and
 * so does any growth of the attempt; equal positions and steps back do not.
 */
export function advances(prev: Progress, next: Progress, writer: StateWriter): boolean {
  if (isTerminal(prev.state)) return false;
  if (next.attempt > prev.attempt) return writer === "node" && reachable("preparing", next.state);
  if (next.attempt < prev.attempt) return false;
  return RANK[next.state] > RANK[prev.state] && reachable(prev.state, next.state, writer);
}

function reachable(from: TaskState, to: TaskState, writer?: StateWriter): boolean {
  if (from === to) return true;
  return TRANSITIONS.some((t) =>
    t.from === from && !t.nextAttempt && (writer === undefined || t.writer === writer) &&
    reachable(t.to, to, writer)
  );
}
