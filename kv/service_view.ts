/**
 * How a service is doing: counted from its tasks, stored nowhere.
 *
 * @module
 */
import { key, prefix } from "./keys.ts";
import { rolloutView } from "./rollout_view.ts";
import { goalOf, Rollout } from "./schema/rollout.ts";
import type { Service, ServiceView, TaskTemplate } from "./schema/service.ts";
import { Observed, stateOf, Task } from "./schema/task.ts";
import { isFailure, isTerminal, type TaskState } from "./schema/task_state.ts";
import { getRow, getRows, type Kv, type Versioned } from "./store.ts";

/** What the counts need to know of a task. */
export interface TaskSummary {
  slot: number;
  revision: number;
  desired: "run" | "stop";
  state: TaskState;
  /** It passed its probes, or has none. */
  healthy: boolean;
}

/** Both rows of tasks, in the order of the ids; tasks that are gone are left out. */
export async function readTasks(
  kv: Kv,
  ids: readonly string[],
): Promise<{ task: Task; observed?: Observed; state: TaskState }[]> {
  const [tasks, seen] = await Promise.all([
    getRows(kv, ids.map((id) => key.task(id)), Task),
    getRows(kv, ids.map((id) => key.observed(id)), Observed),
  ]);
  return tasks.flatMap((task, i) => {
    if (!task) return [];
    const observed = seen[i]?.row;
    const state = stateOf(task.row, observed);
    return [{ task: task.row, state, ...(observed ? { observed } : {}) }];
  });
}

/** The last part of each key under a prefix. */
export async function idsUnder(kv: Kv, scope: Deno.KvKey): Promise<string[]> {
  const ids: string[] = [];
  for await (const entry of kv.list({ prefix: scope }, { batchSize: 1000 })) {
    ids.push(String(entry.key.at(-1)));
  }
  return ids;
}

export async function serviceView(
  kv: Kv,
  service: Versioned<Service>,
  template: TaskTemplate,
): Promise<ServiceView> {
  const remembered = await getRow(kv, key.rollout(service.row.id), Rollout);
  const rows = await readTasks(kv, await idsUnder(kv, prefix.tasksOf(service.row.id)));
  const tasks = rows.map(({ task, observed, state }): TaskSummary => ({
    slot: task.slot,
    revision: task.revision,
    desired: task.desired,
    state,
    healthy: observed?.health !== "starting" && observed?.health !== "unhealthy",
  }));
  const rollout = rolloutView(service.row, remembered?.row, tasks);
  const goal = goalOf(service.row, remembered?.row);
  return {
    ...service.row,
    template,
    version: service.versionstamp,
    counts: countTasks(service.row, tasks),
    phase: phaseOf({ ...service.row, revision: goal }, tasks),
    ...(rollout ? { rollout } : {}),
  };
}

/** Counts of a service's tasks, by what they mean to its user. */
export function countTasks(
  service: Pick<Service, "mode">,
  tasks: readonly TaskSummary[],
): ServiceView["counts"] {
  return {
    wanted: service.mode.type === "job" ? service.mode.completions : service.mode.replicas,
    running: tasks.filter((task) => task.state === "running").length,
    pending: tasks.filter((task) => !isTerminal(task.state) && task.state !== "running").length,
    succeeded: tasks.filter((task) => task.state === "succeeded").length,
    failed: tasks.filter((task) => isFailure(task.state)).length,
  };
}

/** The one word for how a service is doing; `revision` is the one that its tasks are to have. */
export function phaseOf(
  service: Pick<Service, "mode" | "stopped" | "deleting" | "revision">,
  tasks: readonly TaskSummary[],
): ServiceView["phase"] {
  if (service.deleting) return "removing";
  const live = tasks.filter((task) => !isTerminal(task.state));
  const { mode } = service;
  if (mode.type === "job") {
    const succeeded = new Set(
      tasks.filter((task) => task.state === "succeeded").map((task) => task.slot),
    );
    if (succeeded.size >= mode.completions) return "finished";
    const failures = tasks.filter((task) => isFailure(task.state)).length;
    if (live.length === 0 && failures > mode.retries) return "failed";
  }
  if (service.stopped) return live.length === 0 ? "stopped" : "converging";
  if (mode.type === "job") {
    return live.some((task) => task.state === "running") ? "running" : "converging";
  }
  const ready = live.filter((task) =>
    task.desired === "run" && task.revision === service.revision && task.state === "running" &&
    task.healthy
  );
  return ready.length === mode.replicas && live.length === ready.length ? "running" : "converging";
}
