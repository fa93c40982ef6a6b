/**
 * The change log: one record per leader commit, each with the events of that commit.
 *
 * @module
 */
import { z } from "zod";
import { Id, Timestamp } from "./common.ts";
import { TaskState } from "./task_state.ts";

export const EventType = z.enum([
  "service.changed",
  "service.removed",
  "service.finished",
  "rollout.started",
  "rollout.paused",
  "rollout.resumed",
  "rollout.waiting",
  "rollout.promoted",
  "rollout.finished",
  "rollout.rolling-back",
  "rollout.rolled-back",
  "rollout.failed",
  "task.created",
  "task.assigned",
  "task.state",
  "task.ready",
  "task.stopping",
  "task.waiting",
  "task.disconnected",
  "task.reconnected",
  "task.purged",
  "run.skipped",
  "node.changed",
  "node.ready",
  "node.down",
  "node.failing",
  "node.removed",
  "leader.elected",
  "message.parked",
]).meta({ id: "EventType" });
export type EventType = z.infer<typeof EventType>;

/** One thing that happened. Names are those at the time. */
export const Event = z.object({
  type: EventType,
  why: z.string().optional(),
  serviceId: Id.optional(),
  service: z.string().optional().meta({ description: "project/name" }),
  taskId: Id.optional(),
  slot: z.int().optional(),
  nodeId: Id.optional(),
  node: z.string().optional(),
  state: TaskState.optional(),
  attempt: z.int().optional(),
});
export type Event = z.infer<typeof Event>;

/** The stored record. `seq` is its key. */
export const LogRecord = z.object({
  at: Timestamp,
  epoch: z.int(),
  events: z.array(Event),
});
export type LogRecord = z.infer<typeof LogRecord>;

/** What the API answers: an event with its place in the log. */
export const EventView = Event.extend({
  id: z.string().meta({ description: "seq.index: pass as `Last-Event-ID` to continue after it" }),
  at: Timestamp,
}).meta({ id: "Event", description: "One thing that happened, to what, and why" });
export type EventView = z.infer<typeof EventView>;
