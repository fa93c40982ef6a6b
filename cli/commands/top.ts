/**
 * What tasks and nodes use, live: drawn in place, sorted as the keys say.
 *
 * @module
 */
import type { NodeView } from "../../kv/schema/node.ts";
import type { ServerDeps } from "../deps.ts";
import { EXIT, type ExitCode } from "../exit.ts";
import { counted } from "../format/quantity.ts";
import { clip, oneLine, style } from "../format/style.ts";
import { type Column, table } from "../format/table.ts";
import {
  keep,
  NODE_USAGE_COLUMNS,
  nodeRows,
  type Samples,
  type SortBy,
  sorted,
  taskUsageColumns,
} from "../format/usage.ts";
import { hint } from "../report.ts";
import { openScreen } from "../screen.ts";
import { followUsage } from "../usage.ts";
import { look, rowsOf, type Scene, type StatsFlags } from "./stats.ts";

const INTERVAL_MS = 1000;
const DRAW_MS = 500;
/** How often the lists of tasks and nodes are read anew. */
const LISTS_MS = 5000;
const KEYS: Record<string, SortBy> = { c: "cpu", m: "memory", n: "network" };

/** What is known at a moment. */
interface Picture {
  scene: Scene;
  samples: Map<string, Samples>;
  /** What went wrong last, by node. */
  troubles: Map<string, string>;
  by: SortBy;
}

export async function live(first: Scene, flags: StatsFlags, deps: ServerDeps): Promise<ExitCode> {
  const { io, clock } = deps;
  const over = new AbortController();
  const end = () => over.abort();
  const by = flags.sort ?? "cpu";
  const picture: Picture = { scene: first, samples: new Map(), troubles: new Map(), by };
  const following = new Map<string, Promise<void>>();
  const draw = () => screen.draw(linesOf(picture, flags, deps));
  const screen = openScreen(io, (key) => {
    if (key === "q") return end();
    picture.by = KEYS[key] ?? picture.by;
    draw();
  });
  const disposers = [
    ...(["SIGINT", "SIGTERM", "SIGHUP"] as const).map((signal) => io.onSignal(signal, end)),
    io.onSignal("SIGWINCH", draw),
  ];
  try {
    let listedMs = clock.monoMs();
    while (!over.signal.aborted) {
      for (const node of picture.scene.nodes) {
        if (following.has(node.id)) continue;
        following.set(node.id, follow(picture, node, deps, over.signal));
      }
      draw();
      await clock.sleep(DRAW_MS, over.signal);
      if (clock.monoMs() - listedMs < LISTS_MS) continue;
      listedMs = clock.monoMs();
      const next = await look(picture.scene.only, flags, deps);
      if (next.ok) picture.scene = next.value;
      for (const id of picture.samples.keys()) {
        if (!picture.scene.tasks.has(id)) picture.samples.delete(id);
      }
    }
  } finally {
    end();
    for (const dispose of disposers) dispose();
    screen.close();
    await Promise.all(following.values());
  }
  hint(deps, "The same once, for scripts: berth stats --no-stream -o json");
  return EXIT.ok;
}

function follow(
  { scene: { only }, samples, troubles }: Picture,
  node: NodeView,
  deps: ServerDeps,
  signal: AbortSignal,
): Promise<void> {
  const options = { intervalMs: INTERVAL_MS, ...(only ? { tasks: only } : {}) };
  return followUsage(deps, node, options, {
    on({ tasks }) {
      troubles.delete(node.name);
      keep(samples, tasks);
    },
    failed: (why) => void troubles.set(node.name, why),
    signal,
  });
}

function linesOf(
  { scene, samples, troubles, by }: Picture,
  flags: StatsFlags,
  { io, view }: ServerDeps,
): string[] {
  const { columns } = io.size() ?? { columns: 80 };
  const tasks = sorted(rowsOf(scene, samples), by, ({ task }) => task);
  const nodes = sorted(nodeRows(scene.nodes, tasks), by, ({ node }) => node);
  const [trouble] = troubles;
  const head = trouble
    ? `${trouble[0]} does not answer: ${oneLine(trouble[1])}`
    : `${counted(tasks.length, "task")} on ${counted(scene.nodes.length, "node")}, by ${by}. ` +
      "Sort: c CPU, m memory, n network. End: q";
  const lines = <Row>(shown: Column<Row>[], rows: Row[]) =>
    table(shown, rows, { color: view.color, columns }).trimEnd().split("\n");
  return [
    clip(head, columns),
    "",
    ...flags.nodes ? [...lines(NODE_USAGE_COLUMNS, nodes), ""] : [],
    ...lines(taskUsageColumns(style(view.color)), tasks),
  ];
}
