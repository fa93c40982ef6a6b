/**
 * `berth ps`: one line per task.
 *
 * @module
 */
import { isTerminal } from "../../kv/schema/task_state.ts";
import type { Result } from "../../api/client.ts";
import type { ServiceView } from "../../kv/schema/service.ts";
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
  const found = service === undefined
    ? await allTasks(options.project, deps)
    : await tasksOf(service, options.project, deps);
  if (!found.ok) return failCall(deps, found.error, "cannot list tasks");
  const { tasks, services } = found.value;
  const rows = tasks.filter((task) => options.all || !isTerminal(task.state));
  rows.sort(byName);
  const code = await printList(deps, {
    rows,
    columns: taskColumns(deps, { tasks: rows, services }),
    name: (task) => task.id,
    empty: emptyText(options, service, tasks.length),
  });
  const waiting = rows.find((task) => task.state === "pending");
  if (waiting) hint(deps, `Why a task waits: berth why ${waiting.name}`);
  return code;
}

interface Seen {
  tasks: TaskView[];
  /** For the ports that every node listens on: empty where nobody looks at them. */
  services: ServiceView[];
}

async function allTasks(
  project: string | undefined,
  { client, view }: ServerDeps,
): Promise<Result<Seen>> {
  const within = project === undefined ? {} : { project };
  const forPeople = !view.quiet && (view.output === "table" || view.output === "wide");
  const [tasks, services] = await Promise.all([
    listAll((query) => client.listTasks({ ...query, ...within })),
    forPeople ? listAll((query) => client.listServices({ ...query, ...within })) : undefined,
  ]);
  if (!tasks.ok) return tasks;
  const known = services?.ok ? services.value : [];
  return { ok: true, value: { tasks: tasks.value, services: known } };
}

async function tasksOf(
  ref: string,
  givenProject: string | undefined,
  { client }: ServerDeps,
): Promise<Result<Seen>> {
  const { name, project } = refOf(ref, givenProject);
  const service = await client.getService(name, project);
  if (!service.ok) return service;
  const tasks = await listTasksOf(client, service.value);
  return tasks.ok ? { ok: true, value: { tasks: tasks.value, services: [service.value] } } : tasks;
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

/** Whether tasks of one service have different revisions: then it matters which has which. */
function hasMixedRevisions(tasks: readonly TaskView[]): boolean {
  const first = new Map<string, number>();
  return tasks.some(({ serviceId, revision }) => {
    const known = first.get(serviceId);
    if (known === undefined) first.set(serviceId, revision);
    return known !== undefined && known !== revision;
  });
}

/** The columns of a list of these tasks, as far as it is known of which services they are. */
export function taskColumns(
  deps: Pick<ServerDeps, "clock" | "view">,
  { tasks, services }: { tasks: readonly TaskView[]; services: readonly ServiceView[] },
): Column<TaskView>[] {
  const byId = new Map(services.map((service) => [service.id, service]));
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
      cell: (t) => ports(t, true, byId.get(t.serviceId)),
      short: (t) => ports(t, false, byId.get(t.serviceId)),
      minWidth: 6,
      drop: 1,
    },
    {
      header: "REV",
      ...(hasMixedRevisions(tasks) ? { drop: 4 } : { wide: true as const }),
      cell: (t) => String(t.revision),
    },
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
