/**
 * Tasks: one placement of one revision in one slot on one node. Two rows with two writers: the
 * leader's task row (what was decided) and the node's observed row (what was seen).
 *
 * @module
 */
import { z } from "zod";
import { Id, Name, Timestamp } from "./common.ts";
import { BoundPort } from "./port.ts";
import { isTerminal, TaskState } from "./task_state.ts";

/** The leader's row. It is small on purpose: tens of thousands are written in one go. */
export const Task = z.object({
  id: Id,
  serviceId: Id,
  revision: z.int().min(1),
  slot: z.int().min(1),
  nodeId: Id.optional().meta({ description: "Absent while pending" }),
  pin: Id.optional().meta({ description: "The only node that may have it: of a global service" }),
  run: z.object({ scheduledAt: Timestamp }).optional()
    .meta({ description: "Of a cron service: the time of the schedule that it is for" }),
  runId: Id.optional().meta({ description: "The run that a user asked for" }),
  desired: z.enum(["run", "stop"]),
  over: z.literal(true).optional()
    .meta({ description: "Its run was stopped for good and is not tried again" }),
  /** Set by the leader alone: its node went silent, or it was stopped before it had one. */
  ended: z.enum(["lost", "stopped"]).optional(),
  /** Its node is cut off and its slot may get a replacement; it is kept should the node return. */
  disconnected: z.boolean().optional(),
  why: z.string().max(1024).optional().meta({ description: "Why it waits, stops or ended" }),
  nominated: Id.optional()
    .meta({ description: "While pending: the node on which room is being made for it" }),
  /** How many tasks in a row failed in this slot before this one; sets the back-off. */
  failures: z.int().min(0),
  createdAt: Timestamp,
});
export type Task = z.infer<typeof Task>;

export { BoundPort };

export const Health = z.enum(["none", "starting", "healthy", "unhealthy"]);

/** The node's row, and the unit of a report. */
export const Observed = z.object({
  taskId: Id,
  attempt: z.int().min(1),
  state: TaskState.exclude(["pending", "assigned", "lost"]),
  health: Health.default("none"),
  ready: z.boolean().optional()
    .meta({ description: "What the readiness probe says; absent without one: see isReady" }),
  containerId: z.string().max(128).optional(),
  exitCode: z.int().optional(),
  oomKilled: z.boolean().optional(),
  message: z.string().max(1024).optional()
    .meta({ description: "What happened, for people: the engine's error, the pull's progress" }),
  startedAt: Timestamp.optional().meta({ description: "By the node's clock" }),
  finishedAt: Timestamp.optional().meta({ description: "By the node's clock" }),
  ranMs: z.int().min(0).optional().meta({ description: "How long the last attempt ran" }),
  ports: z.array(BoundPort).max(64).default([]),
}).meta({ id: "Observed", description: "What the node's agent saw last" });
export type Observed = z.infer<typeof Observed>;

/** The state of a task, derived from its two rows. */
export function stateOf(task: Pick<Task, "nodeId" | "ended">, observed?: Observed): TaskState {
  if (observed && isTerminal(observed.state)) return observed.state;
  if (task.ended) return task.ended;
  if (observed) return observed.state;
  return task.nodeId ? "assigned" : "pending";
}

/**
 * Whether a task can serve: it runs, is not unhealthy, and passes its readiness probe or, without
 * one, is not still waiting for its first success of a health probe.
 */
export function isReady(
  state: TaskState,
  observed?: Pick<Observed, "health" | "ready">,
): boolean {
  if (state !== "running" || !observed || observed.health === "unhealthy") return false;
  return observed.ready ?? observed.health !== "starting";
}

/** What the API answers for a task: both rows, side by side, and the names of what they refer to. */
export const TaskView = Task.extend({
  name: z.string().meta({ description: "service.slot", examples: ["web.1"] }),
  service: Name,
  project: Name,
  node: Name.optional().meta({ description: "The node's name" }),
  nodeAddress: z.string().optional(),
  image: z.string(),
  state: TaskState,
  ready: z.boolean().meta({ description: "It runs and can serve" }),
  observed: Observed.optional(),
}).meta({ id: "Task", description: "One placement of one revision in one slot on one node" });
export type TaskView = z.infer<typeof TaskView>;
