/**
 * `berth nodes` and `berth node join-token`.
 *
 * @module
 */
import { allocatableOf, type NodeView } from "../../kv/schema/node.ts";
import type { ServerDeps } from "../deps.ts";
import { EXIT, type ExitCode } from "../exit.ts";
import { listAll } from "../find.ts";
import { age } from "../format/duration.ts";
import { memory } from "../format/quantity.ts";
import { nodePaint, nodeState, taintsText } from "../format/state.ts";
import { oneLine, style } from "../format/style.ts";
import type { Column } from "../format/table.ts";
import { failCall, hint, printList, printValue } from "../report.ts";

export async function nodes(deps: ServerDeps): Promise<ExitCode> {
  const listed = await listAll((query) => deps.client.listNodes(query));
  if (!listed.ok) return failCall(deps, listed.error, "cannot list nodes");
  listed.value.sort((a, b) => a.name.localeCompare(b.name));
  return await printList(deps, {
    rows: listed.value,
    columns: nodeColumns(deps),
    name: (node) => node.name,
    empty: "No nodes yet. Add this or another machine with the line of: berth node join-token",
  });
}

/** The columns of a list of nodes. */
export function nodeColumns(deps: Pick<ServerDeps, "clock" | "view">): Column<NodeView>[] {
  const paint = style(deps.view.color);
  const now = deps.clock.wallMs();
  return [
    { header: "NAME", cell: (n) => n.name, minWidth: 10 },
    { header: "STATE", cell: nodeState, paint: (n) => nodePaint(n, paint) },
    { header: "SINCE", cell: (n) => age(now - Date.parse(n.status.since)) },
    { header: "TASKS", cell: (n) => String(n.tasks) },
    { header: "CPUS", cell: (n) => `${tidy(n.allocated.cpus)}/${tidy(allocatableOf(n).cpus)}` },
    {
      header: "MEMORY",
      cell: (n) =>
        `${n.allocated.memoryMiB ? memory(n.allocated.memoryMiB) : "0"}/${
          memory(allocatableOf(n).memoryMiB)
        }`,
    },
    { header: "ENGINE", cell: (n) => n.engine, minWidth: 8, drop: 1 },
    { header: "ADDRESS", cell: (n) => n.address, minWidth: 9, drop: 2 },
    { header: "OS/ARCH", wide: true, cell: (n) => `${n.os}/${n.arch}` },
    { header: "DISK", wide: true, cell: (n) => n.diskMiB ? memory(n.diskMiB) : "-" },
    { header: "GPUS", wide: true, cell: (n) => n.gpus ? String(n.gpus) : "-" },
    { header: "POOL", wide: true, cell: (n) => n.spec.pool },
    { header: "AGENT", wide: true, cell: (n) => n.agentVersion },
    {
      header: "LABELS",
      wide: true,
      cell: (n) =>
        Object.entries({ ...n.labels, ...n.spec.labels }).map(([k, v]) => `${k}=${v}`).join(","),
    },
    { header: "TAINTS", wide: true, cell: (n) => taintsText(n) || "-" },
    { header: "ID", wide: true, cell: (n) => n.id, paint: () => paint.dim },
    { header: "NOTE", wide: true, cell: (n) => oneLine(noteOf(n, now)) },
  ];
}

/** What matters most now: a drain, services whose tasks keep failing there, or else why it is as it is. */
function noteOf({ drain, status }: NodeView, nowMs: number): string {
  const left = drainText(drain, nowMs);
  const notes = [...(left === undefined ? [] : [left]), ...Object.values(status.failing ?? {})];
  return notes.join("; ") || status.why;
}

/** `3 tasks left, what remains is stopped in 59m`; undefined when nothing is left to move. */
export function drainText(drain: NodeView["drain"], nowMs: number): string | undefined {
  if (!drain || drain.left === 0) return undefined;
  const left = `${drain.left} task${drain.left === 1 ? "" : "s"} left`;
  if (drain.deadlineAt === undefined) return left;
  const restMs = Date.parse(drain.deadlineAt) - nowMs;
  return restMs > 0
    ? `${left}, what remains is stopped in ${age(restMs)}`
    : `${left}, past the deadline: being stopped`;
}

function tidy(cpus: number): string {
  return String(Number(cpus.toFixed(2)));
}

/** Prints the line to paste on another machine: alone on stdout, so that it can be piped. */
export async function joinToken(deps: ServerDeps): Promise<ExitCode> {
  const made = await deps.client.createJoinToken();
  if (!made.ok) return failCall(deps, made.error, "cannot make a join token");
  const { output, quiet } = deps.view;
  if (output === "json" || output === "yaml") await printValue(deps, made.value, output);
  else if (quiet) deps.io.out(made.value.token + "\n");
  else {
    hint(deps, "Paste this on the machine that is to join. The token is shown this once.");
    deps.io.out(made.value.command + "\n");
  }
  return EXIT.ok;
}
