/**
 * `berth describe`: one page about a service, a task or a node.
 *
 * @module
 */
import type { Result } from "../../api/client.ts";
import type { EventFilter, EventView } from "../../kv/schema/event.ts";
import type { NodeView } from "../../kv/schema/node.ts";
import type { ServiceView } from "../../kv/schema/service.ts";
import type { TaskView } from "../../kv/schema/task.ts";
import { isFailure, isTerminal } from "../../kv/schema/task_state.ts";
import type { ServerDeps } from "../deps.ts";
import { EXIT, type ExitCode } from "../exit.ts";
import { findTaskOrService, isNotFound, listAll, noSuch } from "../find.ts";
import {
  endpointLines,
  type Failure,
  failureLines,
  type Field,
  nodeFields,
  serviceFields,
  taskFields,
} from "../format/describe.ts";
import { oneLine, plain, style } from "../format/style.ts";
import { streamTask } from "../log_stream.ts";
import { failCall, printValue } from "../report.ts";
import { eventLine } from "./events.ts";
import { taskColumns } from "./ps.ts";

const EVENTS = 15;
/** Ended tasks that are shown beside those that live. */
const ENDED = 5;
const LOG_LINES = 10;
const LOG_MS = 5000;

interface Page {
  kind: "service" | "task" | "node";
  /** What the API says of it. */
  subject: ServiceView | TaskView | NodeView;
  fields: Field[];
  /** When it is about one. */
  service?: ServiceView;
  tasks?: TaskView[];
  endpoints?: string[];
  failure?: Failure;
  events: EventView[];
}

export async function describe(
  { project }: { project: string | undefined },
  ref: string,
  deps: ServerDeps,
): Promise<ExitCode> {
  const page = await pageOf(ref, project, deps);
  if (!page.ok) return failCall(deps, page.error, `cannot describe ${ref}`);
  const { output } = deps.view;
  if (output === "json" || output === "yaml") {
    const { kind, subject, fields: _, service: __, ...rest } = page.value;
    await printValue(deps, { [kind]: subject, ...rest }, output);
  } else await print(page.value, deps);
  return EXIT.ok;
}

async function pageOf(
  ref: string,
  project: string | undefined,
  deps: ServerDeps,
): Promise<Result<Page>> {
  const found = await findTaskOrService(deps.client, ref, project);
  if (found.ok) {
    const page = found.value.kind === "service"
      ? await servicePage(found.value.service, found.value.tasks, deps)
      : await taskPage(found.value.task, deps);
    return { ok: true, value: page };
  }
  if (!isNotFound(found.error)) return found;
  const node = await deps.client.getNode(ref);
  if (node.ok) return { ok: true, value: await nodePage(node.value, deps) };
  return isNotFound(node.error) ? noSuch("service, task or node", ref, project) : node;
}

async function servicePage(
  service: ServiceView,
  tasks: TaskView[],
  deps: ServerDeps,
): Promise<Page> {
  const { id, project } = service;
  const broken = tasks.filter(({ state, observed }) =>
    isFailure(state) || (observed?.attempt ?? 1) > 1
  ).sort(byEnd).at(-1);
  const [events, endpoints, failure] = await Promise.all([
    eventsOf({ service: id }, deps),
    deps.client.getEndpoints(id, project),
    broken ? failureOf(broken, deps) : undefined,
  ]);
  const ended = tasks.filter(({ state }) => isTerminal(state)).slice(-ENDED);
  return {
    kind: "service",
    subject: service,
    service,
    fields: serviceFields(service),
    tasks: [...tasks.filter(({ state }) => !isTerminal(state)), ...ended],
    ...(endpoints.ok ? { endpoints: endpointLines(endpoints.value) } : {}),
    ...(failure ? { failure } : {}),
    events,
  };
}

async function taskPage(task: TaskView, deps: ServerDeps): Promise<Page> {
  const broke = isFailure(task.state) || (task.observed?.attempt ?? 1) > 1;
  const [events, failure] = await Promise.all([
    eventsOf({ task: task.id }, deps),
    broke ? failureOf(task, deps) : undefined,
  ]);
  const fields = taskFields(task);
  return { kind: "task", subject: task, fields, ...(failure ? { failure } : {}), events };
}

async function nodePage(node: NodeView, deps: ServerDeps): Promise<Page> {
  const [events, tasks] = await Promise.all([
    eventsOf({ node: node.id }, deps),
    listAll((query) => deps.client.listTasks({ ...query, node: node.id })),
  ]);
  return {
    kind: "node",
    subject: node,
    fields: nodeFields(node),
    tasks: tasks.ok ? tasks.value.filter(({ state }) => !isTerminal(state)) : [],
    events,
  };
}

function byEnd(a: TaskView, b: TaskView): number {
  const time = ({ observed, createdAt }: TaskView) =>
    observed?.finishedAt ?? observed?.startedAt ?? createdAt;
  return time(a) < time(b) ? -1 : 1;
}

async function eventsOf(filter: EventFilter, { client }: ServerDeps): Promise<EventView[]> {
  const listed = await client.listEvents({ ...filter, last: EVENTS });
  return listed.ok ? listed.value.items : [];
}

/** What went wrong last, and what the container said at the end, as far as that can be had. */
async function failureOf(task: TaskView, deps: ServerDeps): Promise<Failure> {
  const { state, observed, why } = task;
  const base = {
    task: task.name,
    taskId: task.id,
    state,
    ...(observed?.exitCode === undefined ? {} : { exitCode: observed.exitCode }),
    ...(observed?.oomKilled ? { oomKilled: true } : {}),
    ...(observed?.message ?? why ? { message: oneLine(observed?.message ?? why ?? "") } : {}),
    ...(observed?.finishedAt === undefined ? {} : { at: observed.finishedAt }),
  };
  if (task.nodeId === undefined || state === "lost") return { ...base, log: [] };
  const decoder = new TextDecoder();
  let text = "";
  const end = await streamTask(
    deps,
    task,
    { follow: false, timestamps: false, tail: LOG_LINES },
    (_stream, data) => void (text += decoder.decode(data, { stream: true })),
    AbortSignal.timeout(LOG_MS),
  );
  const log = text.split("\n").filter((line) => line !== "").slice(-LOG_LINES).map(plain);
  return end.kind === "failed"
    ? { ...base, log, logMissing: oneLine(end.message) }
    : { ...base, log };
}

async function print(page: Page, deps: ServerDeps): Promise<void> {
  const { io, view } = deps;
  const paint = style(view.color);
  const { table } = await import("../format/table.ts");
  const width = Math.max(...page.fields.map(([name]) => name.length));
  for (const [name, text] of page.fields) {
    io.out(`${paint.dim(name.padEnd(width))}  ${oneLine(text)}\n`);
  }
  const section = (title: string, text: string) => io.out(`\n${paint.strong(title)}\n${text}`);
  const indented = (lines: readonly string[]) => lines.map((line) => `  ${line}\n`).join("");
  if (page.tasks && page.tasks.length > 0) {
    const services = page.service ? [page.service] : [];
    section(
      "Tasks",
      table(taskColumns(deps, { tasks: page.tasks, services }), page.tasks, {
        color: view.color,
        wide: view.output === "wide",
        ...(view.columns === undefined ? {} : { columns: view.columns }),
      }),
    );
  }
  if (page.endpoints && page.endpoints.length > 0) section("Endpoints", indented(page.endpoints));
  if (page.failure) section("Last failure", indented(failureLines(page.failure)));
  if (page.events.length > 0) {
    section("Events", indented(page.events.map((event) => eventLine(event, deps))));
  }
}
