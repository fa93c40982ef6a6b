/**
 * How a service is doing: counted from its tasks, stored nowhere.
 *
 * @module
 */
import { digestsOf, imagePin } from "./digests.ts";
import { key, prefix } from "./keys.ts";
import { Elapsed, MAX_COMPLETIONS } from "./schema/run.ts";
import { rolloutView } from "./rollout_view.ts";
import { goalOf, Rollout } from "./schema/rollout.ts";
import type { LiveTasks, TaskSummary } from "./schema/tasks_known.ts";
import type { Revision, Service, ServiceView } from "./schema/service.ts";
import { isReady, Observed, stateOf, Task } from "./schema/task.ts";
import { isFailure, isTerminal, type TaskState } from "./schema/task_state.ts";
import { getRow, getRows, type Kv, type Versioned } from "./store.ts";

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

/** States of tasks that show that a container was made. */
const MADE: ReadonlySet<TaskState> = new Set(["starting", "running", "succeeded", "failed"]);

export async function serviceView(
  kv: Kv,
  service: Versioned<Service>,
  { template, resolved }: Pick<Revision, "template" | "resolved">,
  live?: LiveTasks,
): Promise<ServiceView> {
  const { id: serviceId, revision } = service.row;
  const [[settled], remembered] = await Promise.all([
    digestsOf(kv, [{ serviceId, revision }]),
    getRow(kv, key.rollout(serviceId), Rollout),
  ]);
  const tasks = live?.ofService(service.row.id) ?? await readSummaries(kv, service.row.id);
  const rollout = rolloutView(service.row, remembered?.row, tasks);
  const goal = goalOf(service.row, remembered?.row);
  const ofRevision = (task: TaskSummary) => task.revision === revision && MADE.has(task.state);
  return {
    ...service.row,
    template,
    ...(resolved ? { resolved } : {}),
    imagePin: imagePin(template, { settled, hasRun: tasks.some(ofRevision) }),
    version: service.versionstamp,
    counts: countTasks(service.row, tasks),
    phase: phaseOf({ ...service.row, revision: goal }, tasks, {
      overdue: await isOverdue(kv, service.row),
      ends: template.restart.condition !== "any",
    }),
    ...(rollout ? { rollout } : {}),
  };
}

async function readSummaries(kv: Kv, serviceId: string): Promise<TaskSummary[]> {
  const rows = await readTasks(kv, await idsUnder(kv, prefix.tasksOf(serviceId)));
  return rows.map(({ task, observed, state }) => ({
    slot: task.slot,
    revision: task.revision,
    desired: task.desired,
    state,
    failures: task.failures,
    ready: isReady(state, observed),
  }));
}

/** Whether the leader gave up a job for its deadline. */
async function isOverdue(kv: Kv, { id, mode, revision }: Service): Promise<boolean> {
  if (mode.type !== "job" || mode.deadlineMs === undefined) return false;
  const elapsed = (await getRow(kv, key.elapsed(id, 0), Elapsed))?.row;
  return elapsed?.revision === revision && elapsed.elapsedMs >= mode.deadlineMs;
}

/** Counts of a service's tasks, by what they mean to its user. */
export function countTasks(
  service: Pick<Service, "mode">,
  tasks: readonly TaskSummary[],
): ServiceView["counts"] {
  const own = ownTasks(service, tasks);
  return {
    wanted: wantedOf(service, own),
    running: own.filter((task) => task.state === "running").length,
    ready: own.filter((task) => task.ready).length,
    pending: own.filter((task) => !isTerminal(task.state) && task.state !== "running").length,
    succeeded: own.filter((task) => task.state === "succeeded").length,
    failed: own.filter((task) => isFailure(task.state)).length,
  };
}

/** Without a job's runs on request, which are no part of it. */
function ownTasks(
  { mode }: Pick<Service, "mode">,
  tasks: readonly TaskSummary[],
): readonly TaskSummary[] {
  return mode.type === "job" ? tasks.filter(({ slot }) => slot <= MAX_COMPLETIONS) : tasks;
}

function wantedOf({ mode }: Pick<Service, "mode">, tasks: readonly TaskSummary[]): number {
  switch (mode.type) {
    case "replicated":
      return mode.replicas;
    case "job":
      return mode.completions;
    case "cron":
      return tasks.filter((task) => !isTerminal(task.state) && task.desired === "run").length;
    case "global": {
      // A node's slot has a task, if only an ended one that is not to be replaced or will be soon.
      const newest = new Map(tasks.map((task) => [task.slot, task]));
      return [...newest.values()].filter((task) => task.desired === "run").length;
    }
  }
}

/**
 * The one word for how a service is doing; `revision` is the one that its tasks are to have. `overdue`: a job
 * was given up for its deadline. `ends`: a task that succeeded is not started again.
 */
export function phaseOf(
  service: Pick<Service, "mode" | "stopped" | "deleting" | "revision">,
  all: readonly TaskSummary[],
  { overdue = false, ends = false } = {},
): ServiceView["phase"] {
  if (service.deleting) return "removing";
  const tasks = ownTasks(service, all);
  const live = tasks.filter((task) => !isTerminal(task.state));
  const { mode } = service;
  if (mode.type === "job") {
    const succeeded = new Set(
      tasks.filter((task) => task.state === "succeeded").map((task) => task.slot),
    );
    if (succeeded.size >= mode.completions) return "finished";
    const failed = overdue || failuresOf(service, tasks) > mode.retries;
    if (live.length === 0 && failed) return "failed";
  }
  if (service.stopped) return live.length === 0 ? "stopped" : "converging";
  if (mode.type === "cron" && live.length === 0) return "scheduled";
  if (mode.type === "job" || mode.type === "cron") {
    return live.some((task) => task.state === "running") ? "running" : "converging";
  }
  const ready = live.filter((task) =>
    task.desired === "run" && task.revision === service.revision && task.ready
  );
  const wanted = wantedOf(service, tasks);
  if (ends && wanted > 0 && hasSucceeded(service, tasks, wanted)) return "finished";
  const full = ready.length === wanted && live.length === wanted;
  return full && (wanted > 0 || mode.type === "replicated") ? "running" : "converging";
}

/** Whether the newest task of each slot is of the wanted revision and did what it was for. */
function hasSucceeded(
  { revision }: Pick<Service, "revision">,
  tasks: readonly TaskSummary[],
  wanted: number,
): boolean {
  const newest = [...new Map(tasks.map((task) => [task.slot, task])).values()];
  const done = newest.filter(({ state, desired }) => state === "succeeded" && desired === "run");
  return done.length === wanted && tasks.every(({ state }) => isTerminal(state)) &&
    done.every((task) => task.revision === revision);
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
