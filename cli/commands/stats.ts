/**
 * `berth stats` and `berth top`: what tasks and nodes use, once or live.
 *
 * Without a terminal, and with `--no-stream`, `-o` or `--quiet`, it is one table: two samples of each
 * node, from which the rates follow.
 *
 * @module
 */
import type { Result } from "../../api/client.ts";
import type { NodeView } from "../../kv/schema/node.ts";
import type { TaskView } from "../../kv/schema/task.ts";
import type { ServerDeps } from "../deps.ts";
import { EXIT, type ExitCode } from "../exit.ts";
import { findTaskOrService, listAll } from "../find.ts";
import { style } from "../format/style.ts";
import {
  keep,
  NODE_USAGE_COLUMNS,
  type NodeRow,
  nodeRows,
  type Samples,
  type SortBy,
  sorted,
  type TaskRow,
  taskRow,
  taskUsageColumns,
} from "../format/usage.ts";
import { fail, failCall, printList, printValue } from "../report.ts";
import { readUsage } from "../usage.ts";

export interface StatsFlags {
  noStream: boolean;
  sort: SortBy | undefined;
  project: string | undefined;
  /** Show nodes, too. */
  nodes: boolean;
}

export interface Scene {
  nodes: NodeView[];
  tasks: Map<string, TaskView>;
  /** Only these tasks; absent: all. */
  only: string[] | undefined;
}

/** Between the two samples of a single table. */
const ONCE_MS = 500;
const ONCE_TIMEOUT_MS = 15_000;
const MAX_TASKS_NAMED = 1000;

export async function stats(
  flags: StatsFlags,
  refs: readonly string[],
  deps: ServerDeps,
): Promise<ExitCode> {
  const only = refs.length === 0 ? undefined : await taskIds(refs, flags, deps);
  if (typeof only === "number") return only;
  const looked = await look(only, flags, deps);
  if (!looked.ok) return failCall(deps, looked.error, "cannot show what tasks use");
  const scene = looked.value;
  const { io, view } = deps;
  const once = flags.noStream || !io.outIsTty || view.output !== "table" || view.quiet;
  if (once) return await printOnce(scene, flags, deps);
  return await (await import("./top.ts")).live(scene, flags, deps);
}

async function taskIds(
  refs: readonly string[],
  { project }: StatsFlags,
  deps: ServerDeps,
): Promise<string[] | ExitCode> {
  const ids = new Set<string>();
  for (const ref of refs) {
    const found = await findTaskOrService(deps.client, ref, project);
    if (!found.ok) return failCall(deps, found.error, `cannot show what ${ref} uses`);
    const tasks = found.value.kind === "task" ? [found.value.task] : found.value.tasks;
    for (const { id, state } of tasks) if (state === "running") ids.add(id);
    if (tasks.every(({ state }) => state !== "running")) {
      const next = `see its tasks: berth ps -a\nsee why it waits: berth why ${ref}`;
      return fail(deps, `${ref} has no running task`, next, EXIT.notFound);
    }
  }
  if (ids.size > MAX_TASKS_NAMED) {
    const next = "leave the names out: all tasks are shown then";
    return fail(deps, `these are ${ids.size} tasks, too many to name`, next, EXIT.usage);
  }
  return [...ids];
}

/** What there is to show: the nodes that are there, and the tasks by id. */
export async function look(
  only: string[] | undefined,
  { project }: StatsFlags,
  { client }: ServerDeps,
): Promise<Result<Scene>> {
  const [nodes, tasks] = await Promise.all([
    listAll((query) => client.listNodes(query)),
    listAll((query) => client.listTasks({ ...query, ...(project ? { project } : {}) })),
  ]);
  if (!nodes.ok) return nodes;
  if (!tasks.ok) return tasks;
  const known = new Map(tasks.value.map((task) => [task.id, task]));
  const wanted = only && new Set(only.map((id) => known.get(id)?.nodeId));
  const ready = nodes.value.filter(({ id, status }) =>
    status.state === "ready" && (wanted?.has(id) ?? true)
  );
  return { ok: true, value: { nodes: ready, tasks: known, only } };
}

export function rowsOf({ tasks, only }: Scene, samples: ReadonlyMap<string, Samples>): TaskRow[] {
  const shown = only && new Set(only);
  return [...samples].flatMap(([id, sample]) => {
    const task = tasks.get(id);
    return task && task.state === "running" && (shown?.has(id) ?? true)
      ? [taskRow(task, sample)]
      : [];
  });
}

async function printOnce(scene: Scene, flags: StatsFlags, deps: ServerDeps): Promise<ExitCode> {
  const samples = new Map<string, Samples>();
  const options = { intervalMs: ONCE_MS, ...(scene.only ? { tasks: scene.only } : {}) };
  const failures = await Promise.all(scene.nodes.map(async (node) => {
    let lines = 0;
    const over = new AbortController();
    const late = AbortSignal.timeout(deps.timeoutMs ?? ONCE_TIMEOUT_MS);
    const signal = AbortSignal.any([over.signal, late]);
    const why = await readUsage(deps, node, options, ({ tasks }) => {
      if (over.signal.aborted) return;
      keep(samples, tasks);
      if (++lines === 2) over.abort();
    }, signal);
    if (over.signal.aborted) return undefined;
    return `${node.name}: ${why ?? "it took too long"}`;
  }));
  const by = flags.sort ?? "cpu";
  const tasks = sorted(rowsOf(scene, samples), by, ({ task }) => task);
  const nodes = sorted(nodeRows(scene.nodes, tasks), by, ({ node }) => node);
  const { output, quiet } = deps.view;
  if (flags.nodes && (output === "json" || output === "yaml")) {
    await printValue(deps, { nodes, tasks }, output);
  } else {
    if (flags.nodes && !quiet) await printNodes(nodes, deps);
    await printList(deps, {
      rows: tasks,
      columns: taskUsageColumns(style(deps.view.color)),
      name: ({ taskId }) => taskId,
      empty: "Nothing runs. Start something: berth run -d -p 80 nginx",
    });
  }
  const failed = failures.filter((why) => why !== undefined);
  if (failed.length === 0) return EXIT.ok;
  const next = "see how the nodes are: berth nodes";
  return fail(deps, `not all nodes answered: ${failed.join("; ")}`, next, EXIT.failed);
}

async function printNodes(rows: NodeRow[], deps: ServerDeps): Promise<void> {
  const columns = NODE_USAGE_COLUMNS;
  await printList(deps, { rows, columns, name: ({ node }) => node, empty: "No node is ready." });
  deps.io.out("\n");
}
