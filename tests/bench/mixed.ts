/**
 * Reads while the leader places: services are asked for at such a pace that it places half as many tasks a
 * second as it can in the same run; beside it, connections read tasks, services and nodes as fast as they
 * are answered.
 *
 * @module
 */
import { describeError } from "../../api/client.ts";
import { type ServerProcess, startServer } from "../support/processes.ts";
import { pause, withDir } from "./bed.ts";
import { startGenerator } from "./generator.ts";
import { type Bench, type BenchOptions, type BenchResult, intFlag } from "./harness.ts";
import type { ReadFigures, ReadLoad } from "./readers.ts";
import { serviceOf, type Stock, stock } from "./stock.ts";

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
/** Replicas of each service that is asked for at the pace. */
const STEP = 250;
const WARM_UP_MS = 2000;
const POLL_MS = 200;
const PATIENCE_MS = 120_000;

async function run(options: BenchOptions): Promise<BenchResult> {
  const seconds = intFlag(options, "seconds", 10);
  const connections = intFlag(options, "connections", 32);
  return await withDir(async (dataDir) => {
    const stocked = await stock(dataDir, { nodes: NODES, services: SERVICES, replicas: REPLICAS });
    // Nobody polls for the stocked nodes; none of them is to fall silent.
    const server = await startServer({ dataDir, args: ["--node-ttl-ms", "3600000"] });
    try {
      await trial(server, "warm-up");
      const fullPerSecond = await trial(server, "full-speed");
      options.say(`  alone it places ${Math.round(fullPerSecond)} tasks a second`);
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
          figures: {
            ...{ readsPerSecond, p99Ms, p50Ms, maxMs },
            placedPerSecond: Math.round(placedPerSecond),
            fullPerSecond: Math.round(fullPerSecond),
          },
          samples: readsPerSecond * seconds,
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

/** Tasks placed a second, from one request. */
async function trial(server: ServerProcess, name: string): Promise<number> {
  const beginMs = Date.now();
  await ask(server, name, TRIAL);
  return TRIAL / ((await placedMs(server, name, TRIAL) - beginMs) / 1000);
}

/** Asks for services at a pace; answers the pace at which their tasks were placed. */
async function placeAt(server: ServerProcess, perSecond: number, ms: number): Promise<number> {
  const beginMs = Date.now();
  const everyMs = STEP / perSecond * 1000;
  const count = Math.floor(ms / everyMs);
  for (let n = 0; n < count; n++) {
    await pause(Math.max(0, beginMs + n * everyMs - Date.now()));
    await ask(server, `pace-${n}`, STEP);
  }
  const endMs = await placedMs(server, `pace-${count - 1}`, STEP);
  return count * STEP / ((endMs - beginMs) / 1000);
}

async function ask({ client }: ServerProcess, name: string, replicas: number): Promise<void> {
  const created = await client.createService(serviceOf(name, replicas));
  if (!created.ok) throw new Error(`${name}: ${describeError(created.error)}`);
}

/** The leader's stamp of the commit that placed the last task, in ms of the wall clock. */
async function placedMs({ client }: ServerProcess, name: string, tasks: number): Promise<number> {
  const limitMs = performance.now() + PATIENCE_MS;
  while (performance.now() < limitMs) {
    await pause(POLL_MS);
    const service = await client.getService(name);
    if (!service.ok || service.value.counts.pending < tasks) continue;
    const newest = await client.listEvents({ last: 1 });
    const at = newest.ok ? newest.value.items[0]?.at : undefined;
    if (at !== undefined) return Date.parse(at);
  }
  throw new Error(`${name} has no ${tasks} placed tasks`);
}
