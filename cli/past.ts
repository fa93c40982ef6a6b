/**
 * Which tasks there were at a time, from the events that the log still has. Pure.
 *
 * 1. What the events do not tell is said to be unknown, and never guessed: a task that was there before
 *    the oldest event has the state `unknown` until an event tells it.
 * 2. A task whose making is in the log was not there before that.
 *
 * @module
 */
import { decodeTime } from "ulid";
import type { EventView } from "../kv/schema/event.ts";
import type { TaskView } from "../kv/schema/task.ts";
import type { TaskState } from "../kv/schema/task_state.ts";

export interface PastTask {
  taskId: string;
  /** As `project/service.slot`. */
  name: string;
  node?: string;
  state: TaskState | "unknown";
  stopping: boolean;
  /** Since when, by the events; absent when they do not tell. */
  since?: string;
  attempt?: number;
  why?: string;
}

export interface PastQuestion {
  /** All that the log has, oldest first. */
  events: readonly EventView[];
  /** The tasks that are known now. */
  now: readonly TaskView[];
  atMs: number;
  /** Wall time of the oldest record, when there were others before it; else -Infinity. */
  keptSinceMs: number;
}

export function tasksAt({ events, now, atMs, keptSinceMs }: PastQuestion): PastTask[] {
  const tasks = new Map<string, PastTask>();
  const gone = new Set<string>();
  const later = new Map<string, EventView>();
  for (const event of events) {
    const { taskId } = event;
    if (taskId === undefined) continue;
    if (Date.parse(event.at) > atMs) {
      if (!later.has(taskId)) later.set(taskId, event);
    } else if (event.type === "task.purged") gone.add(taskId);
    else tasks.set(taskId, after(tasks.get(taskId), taskId, event));
  }
  const cut = (taskId: string) => bornMs(taskId) < keptSinceMs; // (2)
  for (const [taskId, event] of later) {
    if (tasks.has(taskId) || gone.has(taskId) || !cut(taskId)) continue;
    tasks.set(taskId, { ...named(taskId, event), state: "unknown", stopping: false }); // (1)
  }
  for (const task of now) {
    if (tasks.has(task.id) || gone.has(task.id) || later.has(task.id) || !cut(task.id)) continue;
    // Nothing was told of it since before the oldest event: it is as it was.
    tasks.set(task.id, {
      taskId: task.id,
      name: `${task.project}/${task.name}`,
      ...(task.node === undefined ? {} : { node: task.node }),
      state: task.state,
      stopping: task.desired === "stop",
    });
  }
  return [...tasks.values()].filter(({ taskId }) => !gone.has(taskId)).sort((a, b) =>
    a.name.localeCompare(b.name, "en", { numeric: true }) || (a.taskId < b.taskId ? -1 : 1)
  );
}

function after(before: PastTask | undefined, taskId: string, event: EventView): PastTask {
  const { type, at, why, attempt } = event;
  const task = before ?? { ...named(taskId, event), state: "unknown", stopping: false };
  const moved = stateIn(event);
  return {
    ...task,
    ...(event.node === undefined ? {} : { node: event.node }),
    ...(moved === undefined ? {} : { state: moved, since: at }),
    ...(attempt === undefined ? {} : { attempt }),
    ...(why === undefined ? {} : { why }),
    stopping: task.stopping || type === "task.stopping",
  };
}

function stateIn({ type, state }: EventView): TaskState | undefined {
  if (state !== undefined) return state;
  return type === "task.created" || type === "task.waiting"
    ? "pending"
    : type === "task.assigned"
    ? "assigned"
    : undefined;
}

function named(taskId: string, { service, slot, node }: EventView) {
  const name = `${service ?? "?"}.${slot ?? "?"}`;
  return { taskId, name, ...(node === undefined ? {} : { node }) };
}

/** A task's id begins with the time at which it was made. */
function bornMs(taskId: string): number {
  try {
    return decodeTime(taskId.toUpperCase());
  } catch {
    return -Infinity;
  }
}
