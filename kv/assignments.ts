/**
 * What a node is to run: always the complete list.
 *
 * @module
 */
import type { Immutable } from "./immutable.ts";
import { key, prefix } from "./keys.ts";
import type { Assignment } from "./schema/agent.ts";
import type { Assigned } from "./schema/assigned.ts";
import { readRun } from "./runs.ts";
import { Service, type TaskTemplate } from "./schema/service.ts";
import { Observed, Task } from "./schema/task.ts";
import { isTerminal } from "./schema/task_state.ts";
import { idsUnder } from "./service_view.ts";
import { getRows, type Kv } from "./store.ts";

interface AssignmentDeps {
  kv: Kv;
  immutable: Immutable;
}

/**
 * Reads a node's assignments, by age of the task. The rows are not one snapshot: read the version that
 * the answer claims before calling, so that whatever is committed meanwhile is told again.
 *
 * A task that has ended is to be kept stopped: an agent that lost its state would start it again.
 */
export async function readAssignments(
  deps: AssignmentDeps,
  nodeId: string,
): Promise<Assignment[]> {
  const { kv } = deps;
  const ids = await idsUnder(kv, prefix.assigned(nodeId));
  const [rows, seen] = await Promise.all([
    getRows(kv, ids.map((id) => key.task(id)), Task),
    getRows(kv, ids.map((id) => key.observed(id)), Observed),
  ]);
  const ended = new Set(ids.filter((_, i) => isTerminal(seen[i]?.row.state ?? "assigned")));
  const tasks = rows.flatMap((row) => row && row.row.nodeId === nodeId ? [row.row] : []);
  return await makeAssignments(deps, {
    tasks: tasks.map((task) => ({ task, ended: ended.has(task.id) })),
    services: readServices(kv, tasks),
  });
}

/** Makes assignments of tasks that are known; what never changes of them is looked up. */
export async function makeAssignments(
  { kv, immutable }: AssignmentDeps,
  assigned: Pick<Assigned, "tasks"> & {
    services: Assigned["services"] | Promise<Assigned["services"]>;
  },
): Promise<Assignment[]> {
  const tasks = assigned.tasks.map(({ task }) => task);
  const [services, revisions, digests] = await Promise.all([
    assigned.services,
    immutable.revisions(tasks),
    immutable.digests(tasks),
  ]);
  const assignments: Assignment[] = [];
  for (const [i, { task, ended }] of assigned.tasks.entries()) {
    const service = services.get(task.serviceId);
    const { resolved, pull } = revisions[i] ?? {};
    const digest = digests[i];
    const template = await withArguments(kv, task, revisions[i]?.template);
    if (!service || !template) {
      await assertGone(kv, task);
      continue;
    }
    assignments.push({
      taskId: task.id,
      serviceId: task.serviceId,
      service: service.name,
      project: service.project,
      slot: task.slot,
      revision: task.revision,
      desired: ended ? "stop" : task.desired,
      template,
      ...drainOf(task, service, template),
      ...(resolved ? { resolved } : {}),
      ...(digest === undefined ? {} : { digest }),
      ...(pull ? { pull } : {}),
      ...(service.singleton === "strict" ? { strict: true } : {}),
      ...(service.disconnect?.stopAfterMs === undefined
        ? {}
        : { stopAfterMs: service.disconnect.stopAfterMs }),
    });
  }
  return assignments;
}

/** A service that is taken away as a whole has nobody to turn its clients to. */
function drainOf(
  { desired }: Task,
  { deleting, stopped, update: { drainMs } }: Service,
  { ports }: TaskTemplate,
): { drainMs?: number } {
  const drains = desired === "stop" && ports.length > 0 && !deleting && !stopped && drainMs > 0;
  return drains ? { drainMs } : {};
}

/** What may change without a new revision, so it is read anew each time. */
async function readServices(kv: Kv, tasks: readonly Task[]): Promise<Map<string, Service>> {
  const ids = [...new Set(tasks.map((task) => task.serviceId))];
  const rows = await getRows(kv, ids.map((id) => key.service(id)), Service);
  return new Map(rows.flatMap((row) => row ? [[row.row.id, row.row]] : []));
}

/** The template with what a user changed for this run; nothing when the run is gone. */
async function withArguments(
  kv: Kv,
  task: Task,
  template: TaskTemplate | undefined,
): Promise<TaskTemplate | undefined> {
  if (!template || task.runId === undefined) return template;
  const run = await readRun(kv, task.serviceId, task.runId);
  return run && {
    ...template,
    ...(run.command ? { command: run.command } : {}),
    env: { ...template.env, ...run.env },
  };
}

/**
 * A service goes after its tasks, so a task without one was purged since it was read. Were it not, the
 * answer would lack it and the node would remove its container: better no answer.
 */
async function assertGone(kv: Kv, task: Task): Promise<void> {
  const still = await kv.get(key.task(task.id));
  if (still.versionstamp === null) return;
  throw new Error(`task ${task.id}: service ${task.serviceId}, its revision or run is missing`);
}
