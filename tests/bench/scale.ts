/**
 * How cost grows: the speed of placing, memory and the time of one plan at many sizes of the cluster, each
 * with a server process of its own.
 *
 * @module
 */
import { timestamp } from "../../kv/schema/common.ts";
import { NodeSpec } from "../../kv/schema/node.ts";
import { plan } from "../../scheduler/plan.ts";
import { emptyWorld, type World } from "../../scheduler/world.ts";
import { putNode, putService, putTask } from "../../scheduler/world_changes.ts";
import { idOf } from "../support/ids.ts";
import { startServer } from "../support/processes.ts";
import { withDir } from "./bed.ts";
import {
  type Bench,
  type BenchOptions,
  type BenchResult,
  median,
  round,
  type Sizes,
} from "./harness.ts";
import { placeAtOnce } from "./pace.ts";
import { residentMiB } from "./processes.ts";
import { nodeOf, serviceOf, serviceRowOf, stock } from "./stock.ts";

export const scale: Bench = {
  name: "scale",
  summary: "placing, memory and plan time at 100 to 10,000 nodes and 1,000 to 200,000 tasks",
  goals: "",
  run,
};

const NODES = [100, 300, 1000, 3000, 10_000];
const TASKS = [1000, 10_000, 50_000, 200_000];
/** What stays the same while the other grows. */
const FIXED = { nodes: 5000, tasks: 10_000 };
/** Replicas of the service that is planned, on a cluster with all the others. */
const CHANGE = 10;
/** The first ones warm up and do not count. */
const WARM_UPS = 20;
const PLANS = 21;

async function run(options: BenchOptions): Promise<BenchResult> {
  const byNodes: Sizes = { name: "nodes", x: "nodes", points: [] };
  for (const nodes of NODES) byNodes.points.push(await point(options, { ...FIXED, nodes }));
  const byTasks: Sizes = { name: "tasks", x: "tasks", points: [] };
  for (const tasks of TASKS) byTasks.points.push(await point(options, { ...FIXED, tasks }));
  return {
    figures: {
      planGrowthByNodes: growth(byNodes, "planMs"),
      planGrowthByTasks: growth(byTasks, "planMs"),
      memoryGrowthByNodes: growth(byNodes, "residentMiB"),
      memoryGrowthByTasks: growth(byTasks, "residentMiB"),
      perSecondGrowthByTasks: growth(byTasks, "perSecond"),
    },
    samples: NODES.length + TASKS.length,
    series: [byNodes, byTasks],
  };
}

async function point(
  options: BenchOptions,
  size: { nodes: number; tasks: number },
): Promise<Record<string, number>> {
  const { nodes, tasks } = size;
  const placing = await withDir(async (dataDir) => {
    await stock(dataDir, { nodes });
    const server = await startServer({ dataDir, args: ["--node-ttl-ms", "3600000"] });
    try {
      const perSecond = Math.round(await placeAtOnce(server, "bench", tasks));
      return { perSecond, residentMiB: await residentMiB(server.pid) };
    } finally {
      await server.stop();
    }
  });
  const measured = { ...size, ...placing, planMs: round(planMs(size)) };
  options.say(`  ${JSON.stringify(measured)}`);
  return measured;
}

/** The time of one plan that places a small new service on a cluster that is full of others. */
function planMs({ nodes, tasks }: { nodes: number; tasks: number }): number {
  const world = filled(nodes, tasks);
  const id = putBenchService(world, "change", CHANGE);
  const options = { nodeTtlMs: 6000, limit: 1000, historyLimit: 5 };
  const times = Array.from({ length: WARM_UPS + PLANS }, () => {
    const begin = performance.now();
    const { actions } = plan(world, 0, { services: [id], nodes: [] }, options);
    const tookMs = performance.now() - begin;
    if (actions.length < CHANGE) throw new Error(`planned ${actions.length} of ${CHANGE}`);
    return tookMs;
  });
  return median(times.slice(WARM_UPS));
}

function filled(nodes: number, tasks: number): World {
  const world = emptyWorld();
  const at = timestamp(0);
  const spec = NodeSpec.parse({});
  for (let n = 0; n < nodes; n++) {
    const status = { state: "ready" as const, since: at, why: "bench" };
    putNode(world, { node: nodeOf(idOf(n), n), spec, status }, 0);
  }
  const serviceId = putBenchService(world, "others", tasks);
  for (let n = 0; n < tasks; n++) {
    const row = { id: idOf(1_000_000 + n), serviceId, slot: n + 1, nodeId: idOf(n % nodes) };
    putTask(
      world,
      { ...row, revision: 1, desired: "run", failures: 0, createdAt: at },
      undefined,
      0,
    );
  }
  return world;
}

function putBenchService(world: World, name: string, replicas: number): string {
  const { row, template } = serviceRowOf(name, serviceOf(name, replicas));
  putService(world, row, template);
  return name;
}

/** The exponent of the growth between the first and the last point: 1 is in proportion, 0 not at all. */
function growth({ x, points }: Sizes, figure: string): number {
  const first = points[0], last = points.at(-1);
  const ratio = (of: string) => (last?.[of] ?? NaN) / (first?.[of] ?? NaN);
  return round(Math.log(ratio(figure)) / Math.log(ratio(x)), 2);
}
