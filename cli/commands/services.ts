/**
 * `berth service ls`: one line per service.
 *
 * @module
 */
import { nextTime } from "../../kv/schema/schedule.ts";
import type { ServiceView } from "../../kv/schema/service.ts";
import type { ServerDeps } from "../deps.ts";
import type { ExitCode } from "../exit.ts";
import { listAll } from "../find.ts";
import { age } from "../format/duration.ts";
import { memory, servicePorts } from "../format/quantity.ts";
import { phasePaint, qualified } from "../format/state.ts";
import { style } from "../format/style.ts";
import type { Column } from "../format/table.ts";
import { failCall, printList } from "../report.ts";

export async function services(
  options: { project: string | undefined },
  deps: ServerDeps,
): Promise<ExitCode> {
  const listed = await listAll((query) =>
    deps.client.listServices({
      ...query,
      ...(options.project === undefined ? {} : { project: options.project }),
    })
  );
  if (!listed.ok) return failCall(deps, listed.error, "cannot list services");
  listed.value.sort((a, b) => a.project.localeCompare(b.project) || a.name.localeCompare(b.name));
  return await printList(deps, {
    rows: listed.value,
    columns: serviceColumns(deps),
    name: (service) => qualified(service.project, service.name),
    empty: "No services. Start one: berth run -d -p 80 nginx",
  });
}

/** `3/3` running, `1/1 done` of a job, or when a cron service runs next. */
export function tasksText(service: ServiceView, nowMs: number): string {
  const { counts: { wanted, running, succeeded }, mode } = service;
  if (mode.type === "job") return `${succeeded}/${wanted} done`;
  if (mode.type !== "cron" || wanted > 0) return `${running}/${wanted}`;
  if (service.stopped) return "-";
  const nextMs = nextTime(mode, nowMs);
  return nextMs === undefined ? "never again" : `in ${age(nextMs - nowMs)}`;
}

/** The columns of a list of services. */
export function serviceColumns(deps: Pick<ServerDeps, "clock" | "view">): Column<ServiceView>[] {
  const paint = style(deps.view.color);
  const now = deps.clock.wallMs();
  return [
    { header: "NAME", cell: (s) => qualified(s.project, s.name), minWidth: 10 },
    { header: "MODE", cell: (s) => s.mode.type },
    { header: "TASKS", cell: (s) => tasksText(s, now) },
    { header: "STATE", cell: (s) => s.phase, paint: (s) => phasePaint(s.phase, paint) },
    { header: "IMAGE", cell: (s) => s.template.image, minWidth: 8 },
    {
      header: "PORTS",
      cell: servicePorts,
      minWidth: 6,
      drop: 1,
    },
    { header: "AGE", cell: (s) => age(now - Date.parse(s.createdAt)) },
    { header: "REV", wide: true, cell: (s) => String(s.revision) },
    { header: "CPUS", wide: true, cell: (s) => String(s.template.reserve.cpus || "-") },
    { header: "MEMORY", wide: true, cell: (s) => memory(s.template.reserve.memoryMiB) },
    { header: "ID", wide: true, cell: (s) => s.id, paint: () => paint.dim },
  ];
}
