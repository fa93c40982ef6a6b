/**
 * Tasks, read: by id, by the end of an id, by `service.slot`, and listed.
 *
 * @module
 */
import type { Immutable } from "./immutable.ts";
import { key, prefix } from "./keys.ts";
import { findNode } from "./node_reads.ts";
import { done, type Outcome, refuse } from "./outcome.ts";
import { decodeCursor, encodeCursor, type Page, type PageQuery } from "./page.ts";
import { Node } from "./schema/node.ts";
import { isReady, Observed, stateOf, Task, type TaskView } from "./schema/task.ts";
import { isTerminal, type TaskState } from "./schema/task_state.ts";
import { findService } from "./service_reads.ts";
import { idsUnder, readTasks } from "./service_view.ts";
import { getRows, type Kv, versionedOf } from "./store.ts";

export interface TaskDeps {
  kv: Kv;
  immutable: Immutable;
}

/** Both rows of a task. */
export interface TaskRows {
  task: Task;
  observed?: Observed;
  state: TaskState;
}

const ID_END = /^[0-9a-hjkmnp-tv-z]{6,25}$/;
const FULL_ID = /^[0-9a-hjkmnp-tv-z]{26}$/;
const SLOT_NAME = /^([a-z0-9-]{1,63})\.([1-9][0-9]{0,8})$/;
const CANDIDATES = 10;

/** Finds a task by any way to name it; `project` counts for `service.slot` only. */
export async function findTask(
  kv: Kv,
  { ref, project }: { ref: string; project: string },
): Promise<Outcome<TaskRows>> {
  const [, service, slot] = SLOT_NAME.exec(ref) ?? [];
  if (service !== undefined) return await findBySlot(kv, service, project, Number(slot));
  if (FULL_ID.test(ref)) {
    const task = await readTask(kv, ref);
    if (task) return done(task);
  } else if (ID_END.test(ref)) {
    const ids = (await idsUnder(kv, prefix.tasks())).filter((id) => id.endsWith(ref));
    if (ids.length > 1) {
      const some = ids.slice(0, CANDIDATES).join(", ");
      return refuse("ambiguous", `${ids.length} tasks end in ${ref}: ${some}`, {
        hint: "Give more characters, or service.slot.",
      });
    }
    const [task] = await readTasks(kv, ids);
    if (task) return done(task);
  }
  return refuse("not-found", `there is no task ${ref}`, {
    hint:
      "Name it by its id, by the last 6 or more characters of it, or as service.slot like web.1.",
  });
}

/** The newest live task of a slot, or else the newest of its history. */
async function findBySlot(
  kv: Kv,
  name: string,
  project: string,
  slot: number,
): Promise<Outcome<TaskRows>> {
  const service = await findService(kv, { ref: name, project });
  if (!service.ok) return service;
  const ids = await idsUnder(kv, prefix.tasksOf(service.value.row.id));
  const slots = (await readTasks(kv, ids)).filter(({ task }) => task.slot === slot);
  const found = slots.findLast(({ state }) => !isTerminal(state)) ?? slots.at(-1);
  if (found) return done(found);
  return refuse("not-found", `service ${name} has no task in slot ${slot}`, {
    hint: `\`berth ps ${name}\` lists its tasks.`,
  });
}

export async function getTask(
  deps: TaskDeps,
  ref: { ref: string; project: string },
): Promise<Outcome<TaskView>> {
  const found = await findTask(deps.kv, ref);
  if (!found.ok) return found;
  const [view] = await taskViews(deps, [found.value]);
  return view ? done(view) : refuse("not-found", `the service of task ${ref.ref} was removed`);
}

export interface TaskQuery extends PageQuery {
  /** Service by id or name (in `project`, or `default`). */
  service?: string;
  /** Node by id or name. */
  node?: string;
  project?: string;
}

/** Tasks by id, that is by age, oldest first. */
export async function listTasks(
  deps: TaskDeps,
  query: TaskQuery,
): Promise<Outcome<Page<TaskView>>> {
  const cursor = query.cursor === undefined ? done([]) : decodeCursor(query.cursor, 1);
  if (!cursor.ok) return cursor;
  const scope = await scopeOf(deps.kv, query);
  if (!scope.ok) return scope;
  const items: TaskView[] = [];
  let from = cursor.value[0];
  while (true) {
    const wanted = query.limit - items.length + 1;
    const ids = await readIds(deps.kv, scope.value.prefix, from, Math.max(wanted, SCAN_BATCH));
    const rows = (await readTasks(deps.kv, ids)).filter(({ task }) =>
      scope.value.nodeId === undefined || task.nodeId === scope.value.nodeId
    );
    for (const view of await taskViews(deps, rows)) {
      if (query.project !== undefined && view.project !== query.project) continue;
      if (items.length === query.limit) return done({ items, next: encodeCursor([view.id]) });
      items.push(view);
    }
    const last = ids.at(-1);
    if (last === undefined || ids.length < Math.max(wanted, SCAN_BATCH)) return done({ items });
    // The smallest id after `last`.
    from = `${last}-`;
  }
}

const SCAN_BATCH = 100;

async function scopeOf(
  kv: Kv,
  query: TaskQuery,
): Promise<Outcome<{ prefix: Deno.KvKey; nodeId?: string }>> {
  const node = query.node === undefined ? undefined : await findNode(kv, query.node);
  if (node && !node.ok) return node;
  const nodeId = node ? { nodeId: node.value.id } : {};
  if (query.service !== undefined) {
    const project = query.project ?? "default";
    const service = await findService(kv, { ref: query.service, project });
    if (!service.ok) return service;
    return done({ prefix: prefix.tasksOf(service.value.row.id), ...nodeId });
  }
  return done({ prefix: node ? prefix.assigned(node.value.id) : prefix.tasks(), ...nodeId });
}

async function readIds(
  kv: Kv,
  scope: Deno.KvKey,
  from: string | undefined,
  limit: number,
): Promise<string[]> {
  const ids: string[] = [];
  const start = from === undefined ? {} : { start: [...scope, from] };
  for await (
    const entry of kv.list({ prefix: scope, ...start }, { limit, batchSize: Math.min(limit, 1000) })
  ) {
    ids.push(String(entry.key.at(-1)));
  }
  return ids;
}

/** Views of tasks, in their order; those whose service is gone are left out. */
export async function taskViews(deps: TaskDeps, rows: readonly TaskRows[]): Promise<TaskView[]> {
  const { kv, immutable } = deps;
  const nodeIds = [...new Set(rows.flatMap(({ task }) => task.nodeId ?? []))];
  const [names, templates, nodeRows] = await Promise.all([
    immutable.serviceNames(rows.map(({ task }) => task.serviceId)),
    immutable.templates(rows.map(({ task }) => task)),
    getRows(kv, nodeIds.map((id) => key.node(id)), Node),
  ]);
  const nodes = new Map(nodeIds.map((id, i) => [id, nodeRows[i]?.row]));
  return rows.flatMap(({ task, observed, state }, i): TaskView[] => {
    const name = names.get(task.serviceId);
    const template = templates[i];
    if (!name || !template) return [];
    const node = task.nodeId === undefined ? undefined : nodes.get(task.nodeId);
    return [{
      ...task,
      name: `${name.name}.${task.slot}`,
      service: name.name,
      project: name.project,
      ...(node ? { node: node.name, nodeAddress: node.address } : {}),
      image: template.image,
      state,
      ready: isReady(state, observed),
      ...(observed ? { observed } : {}),
    }];
  });
}

/** Both rows of one task, by its full id. */
export async function readTask(kv: Kv, taskId: string): Promise<TaskRows | undefined> {
  const [first, second] = await kv.getMany([key.task(taskId), key.observed(taskId)]);
  const task = first && versionedOf(first, Task)?.row;
  if (!task) return undefined;
  const observed = second && versionedOf(second, Observed)?.row;
  return { task, state: stateOf(task, observed), ...(observed ? { observed } : {}) };
}
