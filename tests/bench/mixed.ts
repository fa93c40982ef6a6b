/**
 * Reads while the leader places: services are asked for at such a pace that it places half as many tasks a
 * second as it can in the same run; beside it, connections read tasks, services and nodes as fast as they
 * are answered. The figures are the medians of several rounds.
 *
 * @module
 */
import { startServer } from "../support/processes.ts";
import { withDir } from "./bed.ts";
import { startGenerator } from "./generator.ts";
import { type Bench, type BenchOptions, type BenchResult, intFlag, median } from "./harness.ts";
import { placeAt, placeAtOnce } from "./pace.ts";
import type { ReadFigures, ReadLoad } from "./readers.ts";
import { type Stock, stock } from "./stock.ts";

export const mixed: Bench = {
  name: "mixed",
  summary: "reads of tasks (3 of 5), services and nodes while placing at half speed",
  goals: "readsPerSecond ≥ 15000, p99Ms ≤ 10",
  run,
};

const NODES = 5000;
const SERVICES = 500;
const REPLICAS = 20;
/** Tasks placed to see how fast it can. */
const TRIAL = 40_000;
const WARM_UP_MS = 2000;

async function run(options: BenchOptions): Promise<BenchResult> {
  const rounds = intFlag(options, "rounds", 5);
  const seconds = intFlag(options, "seconds", 6);
  const taken: Figures[] = [];
  for (let n = 1; n <= rounds; n++) {
    const figures = await round(options, seconds);
    options.say(
      `  ${n} of ${rounds}: ${figures.readsPerSecond} reads a second, p99 ${figures.p99Ms} ms, beside ` +
        `${figures.placedPerSecond} placed tasks of the ${figures.fullPerSecond} that it can`,
    );
    taken.push(figures);
  }
  const [first] = taken;
  if (!first) throw new Error("--rounds: no round was done");
  const names = Object.keys(first) as (keyof Figures)[];
  return {
    figures: Object.fromEntries(
      names.map((name) => [name, median(taken.map((figures) => figures[name]))]),
    ),
    samples: rounds,
  };
}

/** Of one round. */
interface Figures {
  readsPerSecond: number;
  p99Ms: number;
  p50Ms: number;
  maxMs: number;
  placedPerSecond: number;
  fullPerSecond: number;
}

/** One round, with a server of its own: servers that do the same differ by more than their seconds do. */
async function round(options: BenchOptions, seconds: number): Promise<Figures> {
  const connections = intFlag(options, "connections", 32);
  return await withDir(async (dataDir) => {
    const stocked = await stock(dataDir, { nodes: NODES, services: SERVICES, replicas: REPLICAS });
    // Nobody polls for the stocked nodes; none of them is to fall silent.
    const server = await startServer({ dataDir, args: ["--node-ttl-ms", "3600000"] });
    try {
      await placeAtOnce(server, "warm-up", TRIAL);
      const fullPerSecond = await placeAtOnce(server, "full-speed", TRIAL);
      const ms = seconds * 1000;
      const load: ReadLoad = {
        ...{ url: server.url, token: server.token, paths: pathsOf(stocked) },
        ...{ connections, warmUpMs: WARM_UP_MS, ms },
      };
      const readers = await startGenerator("readers.ts", load);
      try {
        const [placedPerSecond, reads] = await Promise.all([
          placeAt(server, fullPerSecond / 2, WARM_UP_MS + ms),
          readers.next<ReadFigures>(),
        ]);
        if (reads.refused > 0) throw new Error(`${reads.refused} reads were refused`);
        const { readsPerSecond, p50Ms, p99Ms, maxMs } = reads;
        return {
          ...{ readsPerSecond, p99Ms, p50Ms, maxMs },
          placedPerSecond: Math.round(placedPerSecond),
          fullPerSecond: Math.round(fullPerSecond),
        };
      } finally {
        await readers.close();
      }
    } finally {
      await server.stop();
    }
  });
}

/** Three tasks, a service, a node, and so on. */
function pathsOf({ taskIds, serviceNames, nodes }: Stock): string[] {
  return Array.from({ length: 1000 }, (_, i) => {
    const n = i * 7;
    if (i % 5 === 3) return `/v1/services/${serviceNames[n % serviceNames.length]}`;
    if (i % 5 === 4) return `/v1/nodes/${nodes[n % nodes.length]?.name}`;
    return `/v1/tasks/${taskIds[n % taskIds.length]}`;
  });
}
