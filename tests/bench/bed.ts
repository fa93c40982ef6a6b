/**
 * The bed that benchmarks on a real engine share: a server and workers as processes, a bare engine beside
 * them, one kind of container, and the waiting.
 *
 * @module
 */
import { describeError } from "../../api/client.ts";
import type { EventView } from "../../kv/schema/event.ts";
import { TaskTemplate } from "../../kv/schema/service.ts";
import { systemClock } from "../../kv/schema/time.ts";
import type { EngineConnection } from "../../worker/docker/connect.ts";
import { createDockerRuntime } from "../../worker/docker/docker.ts";
import { startsAtOnce } from "../../worker/engine_calls.ts";
import { parsePool } from "../../worker/dns/pool.ts";
import type { Runtime } from "../../worker/runtime.ts";
import { engine, ensureTestImage, TEST_IMAGE } from "../support/engine.ts";
import { eventually } from "../support/eventually.ts";
import { idOf } from "../support/ids.ts";
import {
  type ChildProcess,
  type ServerProcess,
  startServer,
  startWorker,
} from "../support/processes.ts";
import { type BenchOptions, type BenchResult, intFlag, median, round } from "./harness.ts";

/** A container that does nothing and is gone at once when it is told to stop. */
export const SLEEPER = {
  image: TEST_IMAGE,
  command: ["sleep", "3600"],
  pullPolicy: "never" as const,
  stopGraceMs: 0,
};
/** Beside the workers' pool, so that neither's networks are in the other's way. */
const BARE_POOL = "10.214.0.0/16";
const CALL_MS = 60_000;
const GONE_MS = 300_000;
const WATCH_MS = 300;

export interface Bed {
  connection: EngineConnection;
  server: ServerProcess;
  workers: readonly ChildProcess[];
  /** The engine without Berth: its containers are in a network of their own kind, as Berth's are. */
  bare: Runtime;
  /** As many as an agent makes and starts at a time on this engine. */
  startsAtOnce: number;
}

/** Makes a temporary directory, and removes it after the work however that ends. */
export async function withDir<T>(work: (dir: string) => Promise<T>): Promise<T> {
  const dir = await Deno.makeTempDir({ prefix: "berth-bench-" });
  try {
    return await work(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** Lays the bed, works on it and clears it away, however the work ends. */
export async function onBed<T>(
  options: { names: readonly string[]; args?: string[] },
  work: (bed: Bed) => Promise<T>,
): Promise<T> {
  const found = await engine();
  if (!found.available) throw new Error(found.reason);
  const { connection } = found;
  await ensureTestImage(connection);
  return await withDir(async (dir) => {
    const { args = [], names } = options;
    const server = await startServer({ dataDir: `${dir}/server`, args });
    const workers: ChildProcess[] = [];
    const bare = createDockerRuntime({
      connection,
      nodeId: "bench-bare",
      networks: bareNetworks(),
    });
    try {
      const machine = await bare.info(AbortSignal.timeout(CALL_MS));
      if (!machine.ok) throw new Error(`the bare engine: ${machine.message}`);
      const width = startsAtOnce(machine.value.capacity.cpus);
      for (const name of names) workers.push(await startWorker(server, { name, stateDir: dir }));
      return await work({ connection, server, workers, bare, startsAtOnce: width });
    } finally {
      await bare.networks?.prune(AbortSignal.timeout(CALL_MS), { graceMs: 0 });
      await bare.close();
      for (const worker of workers) worker.signal("SIGCONT");
      await removeServices(server);
      for (const worker of workers) await worker.stop();
      await server.stop();
    }
  });
}

function bareNetworks() {
  const pool = parsePool(BARE_POOL);
  if ("problem" in pool) throw new Error(pool.problem);
  return { pool, interfaces: () => Deno.networkInterfaces() };
}

async function removeServices(server: ServerProcess): Promise<void> {
  const left = await server.client.listServices();
  if (!left.ok) throw new Error(`the services: ${describeError(left.error)}`);
  for (const { name } of left.value.items) await removeService(server, name);
}

/** Makes and starts a container by two calls to the bare engine. */
export async function startBare(
  bare: Runtime,
  taskId: string,
  signal: AbortSignal = AbortSignal.timeout(CALL_MS),
): Promise<void> {
  const created = await bare.create({
    ...{ taskId, serviceId: idOf(1), service: "bare", project: "default" },
    ...{ slot: 1, revision: 1, desired: "run" },
    template: TaskTemplate.parse(SLEEPER),
  }, signal);
  const started = created.ok ? await bare.start(taskId, signal) : created;
  if (!started.ok) throw new Error(`the bare engine: ${started.message}`);
}

export async function removeBare(bare: Runtime, taskId: string): Promise<void> {
  await bare.remove(taskId, AbortSignal.timeout(CALL_MS));
}

/** Does the work for each id, `width` at a time. */
export async function concurrently(
  ids: readonly string[],
  width: number,
  work: (id: string) => Promise<unknown>,
): Promise<void> {
  const left = ids.values();
  await Promise.all(Array.from({ length: width }, async () => {
    for (const id of left) await work(id);
  }));
}

/** Removes a service and waits until its last container is gone. */
export async function removeService({ client }: ServerProcess, name: string): Promise<void> {
  await client.deleteService(name);
  await eventually(async () => {
    return !(await client.getService(name)).ok;
  }, { timeoutMs: GONE_MS, what: `${name} to be gone` });
}

/** The id of the newest event. */
export async function newestEvent({ client }: ServerProcess): Promise<string | undefined> {
  const newest = await client.listEvents({ last: 1 });
  if (!newest.ok) throw new Error(`the events: ${describeError(newest.error)}`);
  return newest.value.items[0]?.id;
}

/**
 * Reads the change log after an event until it tells of `count` tasks what is asked for; answers the
 * leader's stamp of the last of them, in ms of the wall clock. Few and small requests: what is watched
 * shares its machine with the watcher, and asking more often would tell nothing more.
 */
export async function stampOf(
  { client }: ServerProcess,
  options: { after: string | undefined; count: number; tells: (event: EventView) => boolean },
): Promise<number> {
  let { after } = options;
  const tasks = new Set<string>();
  const limitMs = performance.now() + GONE_MS;
  while (performance.now() < limitMs) {
    await pause(WATCH_MS);
    let items: EventView[];
    do {
      const page = await client.listEvents(after === undefined ? {} : { after });
      if (!page.ok) throw new Error(`the events: ${describeError(page.error)}`);
      ({ items } = page.value);
      after = items.at(-1)?.id ?? after;
      for (const event of items) {
        if (event.taskId === undefined || !options.tells(event)) continue;
        if (tasks.add(event.taskId).size === options.count) return Date.parse(event.at);
      }
    } while (items.length > 0);
  }
  throw new Error(`the log tells of ${tasks.size} tasks, waited for ${options.count}`);
}

/** So long on this machine's clock: a benchmark's own pace. */
export function pause(ms: number): Promise<void> {
  return systemClock.sleep(ms);
}

/**
 * Berth and the bare engine in turn, so that whatever else the machine does meets both alike; the first
 * pair warms both up and does not count.
 */
export async function inPairs(
  options: BenchOptions,
  sides: {
    berth: (pair: number) => Promise<number>;
    bare: (pair: number) => Promise<number>;
  },
): Promise<BenchResult> {
  const pairs = intFlag(options, "pairs", 20);
  const berthMs: number[] = [], bareMs: number[] = [], ratios: number[] = [];
  for (let pair = 0; pair <= pairs; pair++) {
    const a = await sides.berth(pair);
    const b = await sides.bare(pair);
    const name = pair === 0 ? "warm-up" : `pair ${pair}`;
    options.say(`  ${name}: berth ${round(a, 1)} ms, bare ${round(b, 1)} ms`);
    if (pair === 0) continue;
    berthMs.push(a);
    bareMs.push(b);
    ratios.push(a / b);
  }
  return {
    figures: {
      ratio: round(median(ratios)),
      berthMs: round(median(berthMs), 1),
      bareMs: round(median(bareMs), 1),
    },
    samples: pairs,
  };
}
