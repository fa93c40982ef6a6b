/**
 * News to many agents that wait: thousands of long polls are held, and services are asked for at a steady
 * pace, each placed in one commit on some of the nodes; from the leader's stamp of that commit until the
 * node's agent has read the answer. Then one service with a task for every node: until the last has it.
 *
 * @module
 */
import { describeError } from "../../api/client.ts";
import type { EventView } from "../../kv/schema/event.ts";
import { type ServerProcess, startServer } from "../support/processes.ts";
import { newestEvent, pause, withDir } from "./bed.ts";
import { startGenerator } from "./generator.ts";
import {
  type Bench,
  type BenchOptions,
  type BenchResult,
  intFlag,
  quantile,
  round,
} from "./harness.ts";
import { ask } from "./pace.ts";
import type { Arrivals, PollLoad } from "./pollers.ts";
import { stock } from "./stock.ts";

export const fanout: Bench = {
  name: "fanout",
  summary: "5,000 long polls: from a commit until the agents that it concerns have it",
  goals: "p99Ms ≤ 20",
  run,
};

/** Tasks of each service of the steady pace: as many agents are told at once. */
const STEP = 10;
const EVERY_MS = 50;
/** The agents have polled twice by then, and the leader is at rest. */
const SETTLE_MS = 6000;
const QUIET_MS = 5000;
const PAGE = 500;

async function run(options: BenchOptions): Promise<BenchResult> {
  const polls = intFlag(options, "polls", 5000);
  const seconds = intFlag(options, "seconds", 20);
  return await withDir(async (dataDir) => {
    const { nodes } = await stock(dataDir, { nodes: polls });
    const server = await startServer({ dataDir });
    const load: PollLoad = { url: server.url, nodes };
    const agents = await startGenerator("pollers.ts", load);
    try {
      await agents.next();
      await pause(SETTLE_MS);
      const steadyFrom = await newestEvent(server);
      for (let n = 0; n < seconds * 1000 / EVERY_MS; n++) {
        await Promise.all([ask(server, `steady-${n}`, STEP), pause(EVERY_MS)]);
      }
      await pause(QUIET_MS);
      const allFrom = await newestEvent(server);
      await ask(server, "all", polls);
      await pause(QUIET_MS);
      const steady = await placedMs(server, steadyFrom, "steady-");
      const all = await placedMs(server, allFrom, "all");
      await agents.stop();
      const arrivals = await agents.next<Arrivals>();
      const delays = delaysOf(steady, arrivals);
      const last = Math.max(...[...all.keys()].map((id) => arrivals[id] ?? Infinity));
      return {
        figures: {
          p99Ms: round(quantile(delays, 0.99), 1),
          p50Ms: round(quantile(delays, 0.5), 1),
          maxMs: quantile(delays, 1),
          allMs: last - Math.min(...all.values()),
          polls,
          toldPerSecond: Math.round(STEP * 1000 / EVERY_MS),
        },
        samples: delays.length,
      };
    } finally {
      await agents.close();
      await server.stop();
    }
  });
}

/** When the tasks of these services were placed, by task: the leader's stamps. */
async function placedMs(
  { client }: ServerProcess,
  from: string | undefined,
  service: string,
): Promise<Map<string, number>> {
  const placed = new Map<string, number>();
  let after = from;
  let items: EventView[];
  do {
    const page = await client.listEvents({
      limit: PAGE,
      ...(after === undefined ? {} : { after }),
    });
    if (!page.ok) throw new Error(`the events: ${describeError(page.error)}`);
    ({ items } = page.value);
    after = items.at(-1)?.id ?? after;
    for (const { type, taskId, at, service: name } of items) {
      const concerned = type === "task.assigned" && name?.startsWith(`default/${service}`);
      if (concerned && taskId !== undefined) placed.set(taskId, Date.parse(at));
    }
  } while (items.length > 0);
  return placed;
}

function delaysOf(placed: ReadonlyMap<string, number>, arrivals: Arrivals): number[] {
  return [...placed].map(([taskId, atMs]) => {
    const arrived = arrivals[taskId];
    if (arrived === undefined) throw new Error(`task ${taskId} never came to its node's agent`);
    return arrived - atMs;
  });
}
