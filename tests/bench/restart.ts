/**
 * A server with many tasks is killed (SIGKILL) and started again at once: how long until it answers, and
 * until a service that is asked for of the new process has its task placed by the new leader.
 *
 * @module
 */
import { eventually } from "../support/eventually.ts";
import { type ServerProcess, startServer } from "../support/processes.ts";
import { newestEvent, stampOf, withDir } from "./bed.ts";
import {
  type Bench,
  type BenchOptions,
  type BenchResult,
  intFlag,
  median,
  round,
} from "./harness.ts";
import { cpuSeconds, residentMiB } from "./processes.ts";
import { serviceOf, stock } from "./stock.ts";

export const restart: Bench = {
  name: "restart",
  summary: "kill -9 a server with 100,000 tasks, start it again: until it serves, until it plans",
  goals: "readyMs ≤ 2000",
  run,
};

const REPLICAS = 20;
/** Nobody polls for the stocked nodes; none of them is to fall silent. */
const ARGS = ["--node-ttl-ms", "3600000"];

async function run(options: BenchOptions): Promise<BenchResult> {
  const tasks = intFlag(options, "tasks", 100_000);
  const nodes = intFlag(options, "nodes", 1000);
  const rounds = intFlag(options, "rounds", 5);
  return await withDir(async (dir) => {
    const dataDir = `${dir}/server`;
    await Deno.mkdir(dataDir);
    await stock(dataDir, { nodes, services: Math.ceil(tasks / REPLICAS), replicas: REPLICAS });
    let server = await startServer({ dataDir, args: ARGS });
    try {
      await place(server, "first");
      const all: Round[] = [];
      for (let n = 1; n <= rounds; n++) {
        const port = Number(new URL(server.url).port);
        const beginMs = Date.now();
        await server.stop("SIGKILL");
        server = await startServer({ dataDir, port, args: ARGS });
        const one = await ready(server, { beginMs, name: `again-${n}` });
        options.say(`  round ${n}: ${JSON.stringify(one)}`);
        all.push(one);
      }
      return {
        figures: {
          readyMs: round(median(all.map((r) => r.readyMs)), 0),
          servingMs: round(median(all.map((r) => r.servingMs)), 0),
          cpuMs: round(median(all.map((r) => r.cpuMs)), 0),
          residentMiB: round(median(all.map((r) => r.residentMiB)), 0),
          tasks,
        },
        samples: rounds,
      };
    } finally {
      await server.stop("SIGKILL");
    }
  });
}

interface Round {
  /** From the kill until the first answer, and until a new service's task is placed. */
  servingMs: number;
  readyMs: number;
  /** What the new process had used of the machine by then. */
  cpuMs: number;
  residentMiB: number;
}

async function ready(
  server: ServerProcess,
  { beginMs, name }: { beginMs: number; name: string },
): Promise<Round> {
  await eventually(async () => (await server.client.getService("first")).ok);
  const servingMs = Date.now() - beginMs;
  const placedMs = await place(server, name);
  return {
    ...{ servingMs, readyMs: placedMs - beginMs },
    cpuMs: round(await cpuSeconds([server.pid]) * 1000, 0),
    residentMiB: await residentMiB(server.pid),
  };
}

/** Asks for a service; when its task was placed, by the leader's stamp. */
async function place(server: ServerProcess, name: string): Promise<number> {
  const after = await newestEvent(server);
  const created = await server.client.createService(serviceOf(name, 1));
  if (!created.ok) throw new Error(JSON.stringify(created.error));
  return await stampOf(server, {
    ...{ after, count: 1 },
    tells: ({ type, service }) => type === "task.assigned" && service === `default/${name}`,
  });
}
