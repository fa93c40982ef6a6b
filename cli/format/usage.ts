/**
 * What tasks and nodes use, as rates and for people. Pure.
 *
 * @module
 */
import type { NodeView } from "../../kv/schema/node.ts";
import type { TaskUsage, Usage } from "../../kv/schema/inside.ts";
import type { TaskView } from "../../kv/schema/task.ts";
import { qualified } from "./state.ts";
import type { Style } from "./style.ts";
import type { Column } from "./table.ts";

/** The newest sample of a task, and the one before it. */
export interface Samples {
  before?: Usage;
  now: Usage;
}

export interface TaskRow {
  task: string;
  taskId: string;
  node: string;
  /** Cores in use, averaged since the sample before; absent with one sample only. */
  cpus?: number;
  memoryBytes: number;
  memoryLimitBytes?: number;
  rxBytesPerSecond?: number;
  txBytesPerSecond?: number;
  rxBytes: number;
  txBytes: number;
  readBytes: number;
  writtenBytes: number;
  pids: number;
}

export interface NodeRow {
  node: string;
  tasks: number;
  /** Of its tasks, as the rest. */
  cpus: number;
  capacityCpus: number;
  memoryBytes: number;
  capacityMemoryBytes: number;
  rxBytesPerSecond: number;
  txBytesPerSecond: number;
}

export type SortBy = "cpu" | "memory" | "network";

const MIB = 1024 * 1024;

/** A counter that went back is of a container that was started again: its rate is not known then. */
function rate(before: number, now: number, ms: number): number | undefined {
  return ms > 0 && now >= before ? (now - before) * 1000 / ms : undefined;
}

export function taskRow(
  task: Pick<TaskView, "id" | "name" | "project" | "node">,
  { before, now }: Samples,
): TaskRow {
  const ms = before ? now.atMs - before.atMs : 0;
  const cpuMs = before && rate(before.cpuMs, now.cpuMs, ms);
  const rx = before && rate(before.rxBytes, now.rxBytes, ms);
  const tx = before && rate(before.txBytes, now.txBytes, ms);
  return {
    task: qualified(task.project, task.name),
    taskId: task.id,
    node: task.node ?? "-",
    ...(cpuMs === undefined ? {} : { cpus: cpuMs / 1000 }),
    memoryBytes: now.memoryBytes,
    ...(now.memoryLimitBytes === undefined ? {} : { memoryLimitBytes: now.memoryLimitBytes }),
    ...(rx === undefined ? {} : { rxBytesPerSecond: rx }),
    ...(tx === undefined ? {} : { txBytesPerSecond: tx }),
    rxBytes: now.rxBytes,
    txBytes: now.txBytes,
    readBytes: now.readBytes,
    writtenBytes: now.writtenBytes,
    pids: now.pids,
  };
}

/** Sums by node; a node without tasks is there too. */
export function nodeRows(
  nodes: readonly Pick<NodeView, "name" | "capacity">[],
  tasks: readonly TaskRow[],
): NodeRow[] {
  return nodes.map(({ name, capacity }) => {
    const own = tasks.filter(({ node }) => node === name);
    const sum = (of: (row: TaskRow) => number | undefined) =>
      own.reduce((total, row) => total + (of(row) ?? 0), 0);
    return {
      node: name,
      tasks: own.length,
      cpus: sum((row) => row.cpus),
      capacityCpus: capacity.cpus,
      memoryBytes: sum((row) => row.memoryBytes),
      capacityMemoryBytes: capacity.memoryMiB * MIB,
      rxBytesPerSecond: sum((row) => row.rxBytesPerSecond),
      txBytesPerSecond: sum((row) => row.txBytesPerSecond),
    };
  });
}

type Sortable = Pick<TaskRow, "cpus" | "memoryBytes" | "rxBytesPerSecond" | "txBytesPerSecond">;

/** The most first; equals by name. */
export function sorted<R extends Sortable>(
  rows: readonly R[],
  by: SortBy,
  name: (row: R) => string,
): R[] {
  const value = (row: R) =>
    by === "cpu"
      ? row.cpus ?? -1
      : by === "memory"
      ? row.memoryBytes
      : (row.rxBytesPerSecond ?? 0) + (row.txBytesPerSecond ?? 0);
  return [...rows].sort((a, b) =>
    value(b) - value(a) || name(a).localeCompare(name(b), "en", { numeric: true })
  );
}

/** `940B`, `12.3K`, `64M`, `1.5G`. */
export function bytes(count: number): string {
  let value = count;
  for (const unit of ["B", "K", "M", "G"]) {
    if (value < 999.5) return `${Number(value.toPrecision(3))}${unit}`;
    value /= 1024;
  }
  return `${Number(value.toPrecision(4))}T`;
}

function percent(part: number): string {
  return `${(part * 100).toFixed(part < 0.0995 ? 1 : 0)}%`;
}

function perSecond(count: number | undefined): string {
  return count === undefined ? "-" : `${bytes(count)}/s`;
}

function share(row: TaskRow): number {
  return row.memoryLimitBytes ? row.memoryBytes / row.memoryLimitBytes : 0;
}

/** CPU is of one core, as everywhere else: two busy cores are 200%. */
export function taskUsageColumns(paint: Style): Column<TaskRow>[] {
  return [
    { header: "NAME", cell: (row) => row.task, minWidth: 10 },
    { header: "NODE", cell: (row) => row.node, minWidth: 6, drop: 1 },
    { header: "CPU", cell: (row) => row.cpus === undefined ? "-" : percent(row.cpus) },
    {
      header: "MEMORY",
      cell: (row) =>
        bytes(row.memoryBytes) + (row.memoryLimitBytes ? ` / ${bytes(row.memoryLimitBytes)}` : ""),
      short: (row) => bytes(row.memoryBytes),
      paint: (row) => share(row) > 0.9 ? paint.bad : (text) => text,
    },
    { header: "MEM", cell: (row) => row.memoryLimitBytes ? percent(share(row)) : "-", drop: 2 },
    { header: "NET IN", cell: (row) => perSecond(row.rxBytesPerSecond) },
    { header: "NET OUT", cell: (row) => perSecond(row.txBytesPerSecond) },
    {
      header: "NET TOTAL",
      wide: true,
      cell: (row) => `${bytes(row.rxBytes)} / ${bytes(row.txBytes)}`,
    },
    {
      header: "DISK TOTAL",
      wide: true,
      cell: (row) => `${bytes(row.readBytes)} / ${bytes(row.writtenBytes)}`,
    },
    { header: "PIDS", cell: (row) => String(row.pids), drop: 3 },
  ];
}

export const NODE_USAGE_COLUMNS: Column<NodeRow>[] = [
  { header: "NODE", cell: (row) => row.node, minWidth: 10 },
  { header: "TASKS", cell: (row) => String(row.tasks) },
  {
    header: "CPU",
    cell: (row) => `${percent(row.cpus)} / ${percent(row.capacityCpus)}`,
    short: (row) => percent(row.cpus),
  },
  {
    header: "MEMORY",
    cell: (row) => `${bytes(row.memoryBytes)} / ${bytes(row.capacityMemoryBytes)}`,
    short: (row) => bytes(row.memoryBytes),
  },
  { header: "NET IN", cell: (row) => perSecond(row.rxBytesPerSecond) },
  { header: "NET OUT", cell: (row) => perSecond(row.txBytesPerSecond) },
];

/** Takes the samples of a node over those that there were. */
export function keep(samples: Map<string, Samples>, tasks: readonly TaskUsage[]): void {
  for (const { taskId, ...now } of tasks) {
    const before = samples.get(taskId)?.now;
    samples.set(taskId, before && before.atMs < now.atMs ? { before, now } : { now });
  }
}
