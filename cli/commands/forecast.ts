/**
 * `berth plan` and `berth simulate`: what would happen, before anything does.
 *
 * @module
 */
import type { CallError } from "../../api/client.ts";
import type {
  Forecast,
  NodeForecast,
  ServiceForecast,
  SimulateRequestInput,
  TaskChange,
} from "../../kv/schema/forecast.ts";
import { MAX_FITS } from "../../kv/schema/forecast.ts";
import type { ServerDeps } from "../deps.ts";
import { EXIT, type ExitCode } from "../exit.ts";
import { refOf } from "../find.ts";
import { counted, memory } from "../format/quantity.ts";
import { qualified } from "../format/state.ts";
import { oneLine, type Paint, style } from "../format/style.ts";
import type { Column } from "../format/table.ts";
import { fail, failCall, naming, printValue } from "../report.ts";
import { readSpecs, type SpecsRead } from "../spec_file.ts";

export interface SimulateOptions {
  fail: string[];
  drain: string[];
  add: number | undefined;
  cpus: number | undefined;
  /** MiB. */
  memory: number | undefined;
  label: [string, string][];
  service: string | undefined;
  scale: { service: string; replicas: number }[];
}

type FileRead = Extract<SpecsRead, { ok: true }>;

const ADDED = { cpus: 4, memoryMiB: 8192 };

export async function plan(path: string, deps: ServerDeps): Promise<ExitCode> {
  const read = await readSpecs(path, deps);
  if (!read.ok) return fail(deps, read.message, "nothing was asked for", EXIT.usage);
  const answer = await deps.client.plan({ specs: read.specs });
  if (!answer.ok) return failCall(deps, placed(answer.error, read), "cannot plan it");
  const asked = answer.value.services.slice(0, read.specs.length);
  return await print(answer.value, deps, () => printTable(deps, planColumns(deps), asked));
}

export async function simulate(options: SimulateOptions, deps: ServerDeps): Promise<ExitCode> {
  const request = await requestOf(options, deps);
  if (!request.ok) return fail(deps, request.message, "nothing was asked for", EXIT.usage);
  const answer = await deps.client.simulate(request.value);
  if (!answer.ok) return failCall(deps, placed(answer.error, request.read), "cannot simulate it");
  const { nodes, services } = answer.value;
  return await print(answer.value, deps, async () => {
    if (services.length > 0) await printTable(deps, roomColumns(deps), services);
    const all = deps.view.output === "wide";
    const told = all ? nodes : nodes.filter(differs);
    if (told.length > 0) await printTable(deps, nodeColumns(deps), told);
    const left = nodes.length - told.length;
    if (left > 0) {
      const paint = style(deps.view.color);
      deps.io.out(paint.dim(`${counted(left, "other node")} as before (-o wide lists them)\n`));
    }
  });
}

async function requestOf(
  options: SimulateOptions,
  deps: ServerDeps,
): Promise<
  { ok: true; value: SimulateRequestInput; read?: FileRead } | { ok: false; message: string }
> {
  const { add, label } = options;
  if (add === undefined && (options.cpus ?? options.memory ?? label[0]) !== undefined) {
    return { ok: false, message: "--cpus, --memory and --label describe nodes of --add <n>" };
  }
  const read = options.service === undefined ? undefined : await readSpecs(options.service, deps);
  if (read?.ok === false) return read;
  const capacity = {
    cpus: options.cpus ?? ADDED.cpus,
    memoryMiB: options.memory ?? ADDED.memoryMiB,
  };
  return {
    ok: true,
    ...(read ? { read } : {}),
    value: {
      fail: options.fail,
      drain: options.drain,
      add: add === undefined ? [] : [{ count: add, capacity, labels: Object.fromEntries(label) }],
      specs: read?.specs ?? [],
      scale: options.scale.map(({ service, replicas }) => {
        const { name, project } = refOf(service, undefined);
        return { service: name, replicas, ...(project === undefined ? {} : { project }) };
      }),
    },
  };
}

/** The error with the places in the file of what it says of its services. */
function placed(error: CallError, read: FileRead | undefined): CallError {
  return naming(error, (field) => {
    const [, at, rest] = /^specs\.(\d+)\.(.+)$/.exec(field) ?? [];
    const spec = read?.specs[Number(at)];
    return read && spec && rest !== undefined ? read.placed(spec, rest) : field;
  });
}

/** Prints a forecast: `more` comes after the tasks. 7 when a task would find no place. */
async function print(
  told: Forecast,
  deps: ServerDeps,
  more: () => Promise<void>,
): Promise<ExitCode> {
  const { io, view } = deps;
  const code = told.counts.unplaceable > 0 ? EXIT.timeout : EXIT.ok;
  if (view.output === "json" || view.output === "yaml") {
    await printValue(deps, told, view.output);
    return code;
  }
  if (view.quiet) {
    for (const change of told.changes) io.out(`${nameOf(change)}\n`);
    return code;
  }
  if (told.changes.length > 0) await printTable(deps, changeColumns(deps), told.changes);
  await more();
  io.out(`${summaryOf(told)}\n`);
  return code;
}

function summaryOf({ counts, settled }: Forecast): string {
  const parts = Object.entries(counts).filter(([, many]) => many > 0)
    .map(([kind, many]) => `${many} ${kind}`);
  const what = parts.length === 0 ? "No task would change." : `${parts.join(", ")}.`;
  const cut = settled ? "" : " It goes on like that: too long to follow to the end.";
  return `${what}${cut} Nothing was written.`;
}

async function printTable<Row>(
  deps: ServerDeps,
  columns: Column<Row>[],
  rows: Row[],
): Promise<void> {
  const { io, view } = deps;
  const { table } = await import("../format/table.ts");
  io.out(
    table(columns, rows, {
      color: view.color,
      wide: view.output === "wide",
      ...(view.columns === undefined ? {} : { columns: view.columns }),
    }) + "\n",
  );
}

function nameOf({ project, name }: TaskChange): string {
  return qualified(project, name);
}

function changeColumns(deps: ServerDeps): Column<TaskChange>[] {
  const paint = style(deps.view.color);
  const paints: Record<TaskChange["kind"], Paint> = {
    new: paint.good,
    placed: paint.good,
    moved: paint.busy,
    replaced: paint.busy,
    stopped: paint.dim,
    unplaceable: paint.bad,
  };
  return [
    { header: "CHANGE", cell: (c) => c.kind, paint: (c) => paints[c.kind] },
    { header: "TASK", cell: nameOf, minWidth: 8 },
    { header: "FROM", cell: (c) => c.from ?? "-", minWidth: 6 },
    { header: "TO", cell: (c) => c.to ?? "-", minWidth: 6 },
    {
      header: "WHY",
      optional: true,
      cell: (c) => `${c.already ? "waits already: " : ""}${oneLine(c.why ?? "")}`,
      minWidth: 16,
    },
  ];
}

function planColumns(deps: ServerDeps): Column<ServiceForecast>[] {
  const paint = style(deps.view.color);
  return [
    { header: "SERVICE", cell: (s) => qualified(s.project, s.name), minWidth: 8 },
    {
      header: "RESULT",
      cell: (s) => s.result,
      paint: (s) => s.result === "unchanged" ? paint.dim : paint.good,
    },
    { header: "REVISION", cell: (s) => String(s.revision) },
    { header: "FITS MORE", cell: fitsMore },
  ];
}

function roomColumns(deps: ServerDeps): Column<ServiceForecast>[] {
  return planColumns(deps).filter(({ header }) => header !== "REVISION");
}

function fitsMore({ fitsBefore, fitsAfter }: ServiceForecast): string {
  return arrow(fitsBefore === undefined ? undefined : fits(fitsBefore), fits(fitsAfter));
}

function fits(many: number): string {
  return many >= MAX_FITS ? `${MAX_FITS}+` : String(many);
}

function nodeColumns(deps: ServerDeps): Column<NodeForecast>[] {
  const paint = style(deps.view.color);
  const both = (cell: (load: NodeForecast["after"]) => string) => (n: NodeForecast) =>
    arrow(n.before && cell(n.before), cell(n.after));
  return [
    { header: "NODE", cell: (n) => n.node, minWidth: 8 },
    {
      header: "STATE",
      cell: (n) => n.before ? both(stateOf)(n) : `added, ${stateOf(n.after)}`,
      paint: (n) => n.after.state === "down" ? paint.bad : (text) => text,
    },
    { header: "TASKS", cell: both((load) => String(load.tasks)) },
    { header: "FREE CPUS", cell: both((load) => String(Number(load.free.cpus.toFixed(2)))) },
    { header: "FREE MEMORY", cell: both((load) => free(load.free.memoryMiB)) },
  ];
}

function stateOf({ state, availability }: NodeForecast["after"]): string {
  return availability === "active" || state === "down" ? state : availability;
}

function differs({ before, after }: NodeForecast): boolean {
  return JSON.stringify(before) !== JSON.stringify(after);
}

function free(memoryMiB: number): string {
  return memoryMiB === 0 ? "0" : memory(memoryMiB);
}

/** `2 → 3`, or one of them when nothing changes. */
function arrow(before: string | undefined, after: string): string {
  return before === undefined || before === after ? after : `${before} → ${after}`;
}
