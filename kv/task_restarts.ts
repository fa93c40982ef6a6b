/**
 * Tasks that users want replaced by new ones. The request is a row that the leader heeds; a task is never
 * used again, so what was asked of one that is gone needs no clearing away.
 *
 * @module
 */
import { key } from "./keys.ts";
import { done, type Outcome, refuse } from "./outcome.ts";
import { enqueue } from "./queue.ts";
import { MAX_TASK_RESTARTS, TaskRestarts } from "./schema/rollout.ts";
import { isTerminal } from "./schema/task_state.ts";
import { readTasks } from "./service_view.ts";
import { type Kv, versionedOf } from "./store.ts";
import { findTask, type TaskRows } from "./tasks.ts";

/** Others may ask for other tasks of the service at the same time. */
const MAX_TRIES = 20;

/** Asks for a task to be replaced; asking again changes nothing. */
export async function requestTaskRestart(
  deps: { kv: Kv; newId: () => string },
  ref: { ref: string; project: string },
): Promise<Outcome<undefined>> {
  const { kv } = deps;
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const found = await findTask(kv, ref);
    if (!found.ok) return found;
    const { task, state } = found.value;
    if (isOver(found.value)) {
      const now = isTerminal(state) ? state : "stopping";
      return refuse("busy", `task ${ref.ref} is ${now}: there is nothing to restart`, {
        hint: "`berth ps -a` shows what became of it; name the live one as service.slot.",
      });
    }
    const rowKey = key.taskRestarts(task.serviceId);
    const [asked, service] = await kv.getMany([rowKey, key.service(task.serviceId)]);
    if (service.versionstamp === null) continue; // It went a moment ago, and its tasks before it.
    const before = versionedOf(asked, TaskRestarts)?.row.tasks ?? [];
    if (before.includes(task.id)) return done(undefined);
    const rest = (await readTasks(kv, before)).filter((rows) => !isOver(rows));
    if (rest.length >= MAX_TASK_RESTARTS) {
      return refuse("busy", `${rest.length} tasks of the service are being restarted already`, {
        hint: "Wait for them, or restart the service as a whole.",
      });
    }
    const tasks = [...rest.map((rows) => rows.task.id), task.id];
    // A service that goes meanwhile gets no row that nobody clears away.
    const op = kv.atomic().check(asked).check(service).set(rowKey, { tasks });
    enqueue(op, { kind: "service", id: task.serviceId }, deps.newId);
    if ((await op.commit()).ok) return done(undefined);
  }
  return refuse("changed", `others restart tasks of the service of ${ref.ref} at this moment`, {
    hint: "Repeat the request.",
  });
}

function isOver({ task, state }: TaskRows): boolean {
  return task.desired === "stop" || isTerminal(state);
}
