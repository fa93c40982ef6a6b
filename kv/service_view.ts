/**
 * How a service is doing: counted from its tasks, stored nowhere.
 *
 * @module
 */
import { key, prefix } from "./keys.ts";
import type { Service, ServiceView, TaskTemplate } from "./schema/service.ts";
import { Observed, stateOf, Task } from "./schema/task.ts";
import { isFailure, isTerminal, type TaskState } from "./schema/task_state.ts";
import { getRows, type Kv, type Versioned } from "./store.ts";

/** What the counts need to know of a task. */
export interface TaskSummary {
  slot: number;
  revision: number;
  desired: "run" | "stop";
  state: TaskState;
  /** How many tasks in a row failed in its slot before it. */
  failures: number;
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
  const rows = await readTasks(kv, await idsUnder(kv, prefix.tasksOf(service.row.id)));
  const tasks = rows.map(({ task, observed, state }): TaskSummary => ({
    slot: task.slot,
    revision: task.revision,
    desired: task.desired,
    state,
    failures: task.failures,
    healthy: observed?.health !== "starting" && observed?.health !== "unhealthy",
  }));
  return {
    ...service.row,
    template,
    version: service.versionstamp,
    counts: countTasks(service.row, tasks),
    phase: phaseOf(service.row, tasks),
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

/** The one word for how a service is doing. */
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
    if (live.length === 0 && failuresOf(service, tasks) > mode.retries) return "failed";
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

/**
 * The failures that count against a job's retries, as the leader counts them: what the newest task of
 * each slot carries. The tasks themselves are not kept for ever, and lost ones are not the job's fault.
 */
function failuresOf(
  { revision }: Pick<Service, "revision">,
  tasks: readonly TaskSummary[],
): number {
  const newest = new Map(tasks.map((task) => [task.slot, task]));
  let failures = 0;
  for (const task of newest.values()) {
    if (task.revision !== revision) continue;
    failures += task.failures;
    if (isFailure(task.state) && task.desired === "run") failures++;
  }
  return failures;
}
