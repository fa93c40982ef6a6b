/**
 * `berth history` and `berth ps --at`: what the change log tells of the past. What its retention has
 * thrown away is said.
 *
 * @module
 */
import type { Result } from "../../api/client.ts";
import type { EventFilter, EventsPage, EventView } from "../../kv/schema/event.ts";
import { isFailure, isTerminal } from "../../kv/schema/task_state.ts";
import type { ServerDeps } from "../deps.ts";
import { EXIT, type ExitCode } from "../exit.ts";
import { isNotFound, listAll, noSuch, refOf } from "../find.ts";
import { shortId } from "../format/quantity.ts";
import { oneLine, style } from "../format/style.ts";
import { type PastTask, tasksAt } from "../past.ts";
import { fail, failCall, printList, printValue } from "../report.ts";
import { eventLine, localDay } from "./events.ts";

export interface HistoryFlags {
  last: number | undefined;
  /** Wall time in ms. */
  sinceMs: number | undefined;
  project: string | undefined;
}

interface Past {
  events: EventView[];
  oldest: EventsPage["oldest"];
}

export async function history(
  flags: HistoryFlags,
  ref: string,
  deps: ServerDeps,
): Promise<ExitCode> {
  const past = await pastOf(ref, flags.project, deps);
  if (!past.ok) return failCall(deps, past.error, `cannot tell the history of ${ref}`);
  const { events, oldest } = past.value;
  const { sinceMs = -Infinity, last = Infinity } = flags;
  const shown = events.filter(({ at }) => Date.parse(at) >= sinceMs).slice(-last);
  sayWhatIsGone(oldest, deps, sinceMs);
  const { output } = deps.view;
  if (output === "json" || output === "yaml") {
    await printValue(deps, shown, output);
    return EXIT.ok;
  }
  let day = "";
  for (const event of shown) {
    const its = localDay(event.at);
    if (its !== day && output !== "wide") {
      deps.io.out(style(deps.view.color).strong(its) + "\n");
    }
    day = its;
    deps.io.out(eventLine(event, deps) + "\n");
  }
  return EXIT.ok;
}

/** On stderr, at a terminal or not: a history with a beginning that is missing is another one. */
function sayWhatIsGone(oldest: EventsPage["oldest"], deps: ServerDeps, sinceMs: number): void {
  if (!oldest || oldest.first || sinceMs >= Date.parse(oldest.at)) return;
  deps.io.err(`berth: the log begins at ${oldest.at}; what was before has been thrown away\n`);
}

/** What the log has about a service, task or node, of which only the name may be left. */
async function pastOf(
  ref: string,
  givenProject: string | undefined,
  { client }: ServerDeps,
): Promise<Result<Past>> {
  const { name, project } = refOf(ref, givenProject);
  const service = await client.getService(name, project);
  if (service.ok) return await readPast(client, { service: service.value.id });
  if (!isNotFound(service.error)) return service;
  const task = await client.getTask(name, project);
  if (task.ok) return await readPast(client, { task: task.value.id });
  if (!isNotFound(task.error)) return task;
  const node = await client.getNode(name);
  if (node.ok) return await readPast(client, { node: node.value.id });
  if (!isNotFound(node.error)) return node;
  const [, base = name, slot] = /^(.*)\.(\d{1,9})$/.exec(name) ?? [];
  const gone: EventFilter[] = [
    {
      service: `${project ?? "default"}/${base}`,
      ...(slot === undefined ? {} : { slot: Number(slot) }),
    },
    ...(/^[0-9a-z]{26}$/.test(name) ? [{ task: name }, { service: name }] : []),
    { node: name },
  ];
  for (const filter of gone) {
    const past = await readPast(client, filter);
    if (!past.ok || past.value.events.length > 0) return past;
  }
  return noSuch("service, task or node", name, project);
}

async function readPast(
  client: ServerDeps["client"],
  filter: EventFilter,
): Promise<Result<Past>> {
  let oldest: EventsPage["oldest"];
  const all = await listAll(async (query) => {
    const page = await client.listEvents({ ...query, ...filter });
    if (page.ok) oldest ??= page.value.oldest;
    return page;
  });
  return all.ok ? { ok: true, value: { events: all.value, oldest } } : all;
}

export interface PsAtFlags {
  atMs: number;
  all: boolean;
  project: string | undefined;
}

/** The tasks that there were. */
export async function psAt(
  flags: PsAtFlags,
  ref: string | undefined,
  deps: ServerDeps,
): Promise<ExitCode> {
  const { atMs } = flags;
  const when = new Date(atMs).toISOString();
  if (atMs > deps.clock.wallMs()) {
    return fail(deps, `${when} is still to come`, "what is now: berth ps", EXIT.usage);
  }
  const [past, now] = await Promise.all([
    readPast(deps.client, {}),
    listAll((query) => deps.client.listTasks(query)),
  ]);
  if (!past.ok) return failCall(deps, past.error, "cannot read the log");
  if (!now.ok) return failCall(deps, now.error, "cannot list tasks");
  const { events, oldest } = past.value;
  const keptSinceMs = oldest && !oldest.first ? Date.parse(oldest.at) : -Infinity;
  if (atMs < keptSinceMs) {
    const said = `what was at ${when} has been thrown away: the log begins at ${oldest?.at}`;
    return fail(deps, said, "ask for a later time: berth ps --at 10m", EXIT.notFound);
  }
  const { name, project } = refOf(ref ?? "", flags.project);
  const wanted = (task: PastTask) =>
    (ref === undefined || task.name.startsWith(`${project ?? "default"}/${name}.`)) &&
    (project === undefined || task.name.startsWith(`${project}/`));
  const tasks = tasksAt({ events, now: now.value, atMs, keptSinceMs }).filter(wanted);
  const rows = tasks.filter(({ state }) => flags.all || state === "unknown" || !isTerminal(state));
  const code = await print(rows, when, deps);
  const unknown = rows.filter(({ state }) => state === "unknown").length;
  if (unknown > 0) {
    deps.io.err(
      `berth: the state of ${unknown} of them changed last before ${oldest?.at}, where the log ` +
        "begins\n",
    );
  }
  return code;
}

function print(rows: PastTask[], when: string, deps: ServerDeps): Promise<ExitCode> {
  const paint = style(deps.view.color);
  return printList(deps, {
    rows,
    columns: [
      { header: "NAME", cell: (row) => row.name.replace(/^default\//, ""), minWidth: 10 },
      { header: "NODE", cell: (row) => row.node ?? "-", minWidth: 6 },
      {
        header: "STATE",
        cell: ({ state, stopping }) => stopping && state === "running" ? "stopping" : state,
        paint: ({ state }) =>
          state === "unknown" ? paint.dim : isFailure(state) ? paint.bad : paint.good,
      },
      { header: "SINCE", cell: (row) => row.since ?? "-", drop: 2 },
      { header: "ID", cell: (row) => shortId(row.taskId), paint: () => paint.dim },
      { header: "NOTE", cell: (row) => oneLine(row.why ?? ""), minWidth: 8, drop: 1 },
    ],
    name: ({ taskId }) => taskId,
    empty: `Nothing ran at ${when}.`,
  });
}
