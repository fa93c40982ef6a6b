/**
 * `berth ps`: one line per task.
 *
 * @module
 */
import { isTerminal } from "../../kv/schema/task_state.ts";
import type { TaskView } from "../../kv/schema/task.ts";
import type { ServerDeps } from "../deps.ts";
import type { ExitCode } from "../exit.ts";
import { listAll, listTasksOf, refOf } from "../find.ts";
import { age } from "../format/duration.ts";
import { ports, shortId } from "../format/quantity.ts";
import { pullText, qualified, stateText, taskPaint } from "../format/state.ts";
import { oneLine, style } from "../format/style.ts";
import type { Column } from "../format/table.ts";
import { failCall, hint, printList } from "../report.ts";

export interface PsOptions {
  all: boolean;
  project: string | undefined;
}

export async function ps(
  options: PsOptions,
  service: string | undefined,
  deps: ServerDeps,
): Promise<ExitCode> {
  const tasks = service === undefined
    ? await listAll((query) =>
      deps.client.listTasks({
        ...query,
        ...(options.project === undefined ? {} : { project: options.project }),
      })
    )
    : await tasksOf(service, options.project, deps);
  if (!tasks.ok) return failCall(deps, tasks.error, "cannot list tasks");
  const rows = tasks.value.filter((task) => options.all || !isTerminal(task.state));
  rows.sort(byName);
  const code = await printList(deps, {
    rows,
    columns: taskColumns(deps),
    name: (task) => task.id,
    empty: emptyText(options, service, tasks.value.length),
  });
  const waiting = rows.find((task) => task.state === "pending");
  if (waiting) hint(deps, `Why a task waits: berth why ${waiting.name}`);
  return code;
}

async function tasksOf(ref: string, givenProject: string | undefined, deps: ServerDeps) {
  const { name, project } = refOf(ref, givenProject);
  const service = await deps.client.getService(name, project);
  return service.ok ? await listTasksOf(deps.client, service.value) : service;
}

function emptyText(options: PsOptions, service: string | undefined, ended: number): string {
  if (ended > 0) return `Nothing runs. Ended tasks: berth ps -a${service ? ` ${service}` : ""}`;
  if (service) return `No tasks of ${service} yet.`;
  return options.project === undefined
    ? "Nothing runs. Start something: berth run -d -p 80 nginx"
    : `Nothing runs in project ${options.project}.`;
}

function byName(a: TaskView, b: TaskView): number {
  return a.project.localeCompare(b.project) || a.service.localeCompare(b.service) ||
    a.slot - b.slot || (a.id < b.id ? 1 : -1);
}

/** The columns of a list of tasks. */
export function taskColumns(deps: Pick<ServerDeps, "clock" | "view">): Column<TaskView>[] {
  const paint = style(deps.view.color);
  const now = deps.clock.wallMs();
  return [
    { header: "NAME", cell: (t) => qualified(t.project, t.name), minWidth: 10 },
    { header: "IMAGE", cell: (t) => t.image, minWidth: 8, drop: 2 },
    {
      header: "NODE",
      cell: (t) => t.node ?? "-",
      paint: (t) => t.node ? (text) => text : paint.dim,
      minWidth: 6,
    },
    { header: "STATE", cell: (t) => stateText(t) + pullText(t), paint: (t) => taskPaint(t, paint) },
    { header: "AGE", cell: (t) => age(now - Date.parse(t.createdAt)) },
    {
      header: "RESTARTS",
      cell: (t) => String(Math.max(0, (t.observed?.attempt ?? 1) - 1)),
      drop: 3,
    },
    {
      header: "PORTS",
      cell: (t) => ports(t, true),
      short: (t) => ports(t, false),
      minWidth: 6,
      drop: 1,
    },
    { header: "REV", wide: true, cell: (t) => String(t.revision) },
    {
      header: "ID",
      cell: (t) => deps.view.output === "wide" ? t.id : shortId(t.id),
      paint: () => paint.dim,
    },
    {
      header: "NOTE",
      wide: true,
      minWidth: 16,
      cell: (t) => oneLine(t.observed?.message ?? t.why ?? ""),
    },
  ];
}
