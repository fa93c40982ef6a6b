/**
 * The change log: one record per leader commit, each with the events of that commit.
 *
 * @module
 */
import { z } from "zod";
import { Id, pageOf, Timestamp } from "./common.ts";
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

export const EventsPage = pageOf(EventView).extend({
  oldest: z.object({
    at: Timestamp,
    first: z.boolean().meta({ description: "Nothing was thrown away: it is the first of all" }),
  }).optional().meta({ description: "The oldest record that is kept; absent in an empty log" }),
});
export type EventsPage = z.infer<typeof EventsPage>;

/** Which events are meant; all that is given must be so. */
export interface EventFilter {
  /** By id, or `project/name`. */
  service?: string | undefined;
  /** By id. */
  task?: string | undefined;
  slot?: number | undefined;
  /** By id or name. */
  node?: string | undefined;
}

export function isAbout(event: Event, { service, task, slot, node }: EventFilter): boolean {
  return (service === undefined || event.serviceId === service || event.service === service) &&
    (task === undefined || event.taskId === task) &&
    (slot === undefined || event.slot === slot) &&
    (node === undefined || event.nodeId === node || event.node === node);
}
