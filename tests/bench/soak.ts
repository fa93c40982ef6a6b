/**
 * What hours do to Berth: steady churn on simulated nodes, and on a real engine if there is one, while
 * memory, handles, the database and latency are sampled. The samples are kept beside the plot of them:
 * `--out DIR` (docs/benchmarks), soak-samples.json and soak.svg.
 *
 * @module
 */
import { describeError } from "../../api/client.ts";
import { type Churn, createChurn } from "../faults/kills/churn.ts";
import { createRandom } from "../sim/random.ts";
import { engine, ensureTestImage } from "../support/engine.ts";
import { eventually } from "../support/eventually.ts";
import {
  type ChildProcess,
  type ServerProcess,
  spawn,
  startServer,
  startWorker,
} from "../support/processes.ts";
import { clearNode } from "../support/rig.ts";
import { pause, withDir } from "./bed.ts";
import { type Bench, type BenchOptions, type BenchResult, intFlag, round } from "./harness.ts";
import { openHandles, residentMiB } from "./processes.ts";
import { figuresOf, percentile, plotsOf, type Sample } from "./soak_report.ts";

export const soak: Bench = {
  name: "soak",
  summary: "memory, handles, database and latency under steady churn over 30 minutes",
  goals: "serverMiBPerHour ≤ 20, workerMiBPerHour ≤ 20, handlesGrown ≤ 5, latencyRatio ≤ 1.5",
  run,
};

const PROJECT = "soak";
const REAL = "real";
const SAMPLES = 180;
const SHORTEST_MS = 2_000;
const READ_EVERY_MS = 100;
const SIM_STEP_MS = 300;
const REAL_STEP_MS = 2_000;
const READY_MS = 120_000;
const GONE_MS = 300_000;
const MINUTE_MS = 60_000;

interface Scene {
  server: ServerProcess;
  sim: ChildProcess;
  /** Absent without an engine. */
  worker: ChildProcess | undefined;
  dataDir: string;
}

async function run(options: BenchOptions): Promise<BenchResult> {
  const minutes = intFlag(options, "minutes", 30);
  const nodes = intFlag(options, "nodes", 100);
  const out = options.flags.out ?? "docs/benchmarks";
  const samples = await withDir((dir) =>
    onScene(dir, nodes, (scene) => churnAndSample(scene, minutes, options))
  );
  await Deno.mkdir(out, { recursive: true });
  await Deno.writeTextFile(`${out}/soak-samples.json`, JSON.stringify(samples, null, 1) + "\n");
  await Deno.writeTextFile(`${out}/soak.svg`, plotsOf(samples));
  options.say(`  samples and plot: ${out}/soak-samples.json, ${out}/soak.svg`);
  return { figures: figuresOf(samples), samples: samples.length };
}

/** A server, a host of simulated nodes, and a worker on the engine; what they started is gone afterwards. */
async function onScene<T>(
  dir: string,
  nodes: number,
  work: (scene: Scene) => Promise<T>,
): Promise<T> {
  const dataDir = `${dir}/server`;
  const server = await startServer({ dataDir });
  const { client } = server;
  const join = await client.createJoinToken();
  if (!join.ok) throw new Error(`a join token: ${describeError(join.error)}`);
  const sim = spawn("worker", [
    ...["--server", server.url, "--join", join.value.token, "--name", "sim"],
    ...["--sim", String(nodes), "--state-dir", `${dir}/sim`],
  ]);
  const found = await engine();
  let worker: ChildProcess | undefined;
  try {
    await eventually(async () => {
      const listed = await client.listNodes({ limit: 500 });
      const ready = listed.ok ? listed.value.items.filter((n) => n.status.state === "ready") : [];
      return ready.length >= Math.min(nodes, 500);
    }, { timeoutMs: READY_MS, what: () => `the simulated nodes; the host said: ${sim.log()}` });
    if (found.available) {
      await ensureTestImage(found.connection);
      worker = await startWorker(server, { name: REAL, stateDir: dir });
    }
    return await work({ server, sim, worker, dataDir });
  } finally {
    const real = await client.getNode(REAL);
    await worker?.stop();
    await sim.stop();
    await server.stop();
    if (found.available && real.ok) await clearNode(found.connection, real.value.id);
  }
}

async function churnAndSample(
  scene: Scene,
  minutes: number,
  options: BenchOptions,
): Promise<Sample[]> {
  const { server: { client }, worker } = scene;
  const churn = (where: "==" | "!=", prefix: string, maxServices: number) =>
    createChurn({
      ...{ client, prefix, project: PROJECT, maxServices },
      random: createRandom(1, prefix),
      newKey: () => crypto.randomUUID(),
      placement: { constraints: [`node.name${where}${REAL}`] },
    });
  const churns: { churn: Churn; everyMs: number }[] = [
    { churn: churn("!=", "sim", 40), everyMs: SIM_STEP_MS },
    ...(worker ? [{ churn: churn("==", "real", 6), everyMs: REAL_STEP_MS }] : []),
  ];
  const over = new AbortController();
  const reads: number[] = [];
  const writes: number[] = [];
  const loops = [
    ...churns.map(({ churn, everyMs }) => repeat(everyMs, over.signal, writes, churn.step)),
    repeat(READ_EVERY_MS, over.signal, reads, async () => {
      const listed = await client.listServices({ project: PROJECT, limit: 20 });
      if (!listed.ok) unanswered++;
    }),
  ];
  const samples: Sample[] = [];
  let unanswered = 0;
  const sampling = async () => {
    const beganMs = performance.now();
    const everyMs = Math.max(SHORTEST_MS, minutes * MINUTE_MS / SAMPLES);
    while (!over.signal.aborted && performance.now() - beganMs < minutes * MINUTE_MS) {
      await pause(everyMs);
      const minute = (performance.now() - beganMs) / MINUTE_MS;
      const sample = {
        ...await take(scene, minute, { reads: reads.splice(0), writes: writes.splice(0) }),
        unanswered,
      };
      samples.push(sample);
      options.say(`  ${JSON.stringify(sample)}`);
    }
  };
  try {
    // A loop only ends before its time when it fails.
    await Promise.race([sampling(), ...loops]);
  } finally {
    over.abort();
    await Promise.allSettled(loops);
    for (const { churn } of churns) await churn.deleteAll();
    await eventually(async () => {
      const left = await client.listServices({ project: PROJECT });
      return left.ok && left.value.items.length === 0;
    }, { timeoutMs: GONE_MS, what: "the services to be gone" });
  }
  return samples;
}

/** Does the work again and again, and notes how long it took each time. */
async function repeat(
  everyMs: number,
  signal: AbortSignal,
  times: number[],
  work: () => Promise<void>,
): Promise<void> {
  while (!signal.aborted) {
    const beganMs = performance.now();
    await work();
    const tookMs = performance.now() - beganMs;
    times.push(tookMs);
    await pause(Math.max(0, everyMs - tookMs));
  }
}

async function take(
  { server, sim, worker, dataDir }: Scene,
  minute: number,
  times: { reads: number[]; writes: number[] },
): Promise<Omit<Sample, "unanswered">> {
  return {
    minute: round(minute, 2),
    serverMiB: await residentMiB(server.pid),
    workerMiB: worker ? await residentMiB(worker.pid) : 0,
    simMiB: await residentMiB(sim.pid),
    serverHandles: await openHandles(server.pid),
    workerHandles: worker ? await openHandles(worker.pid) : 0,
    simHandles: await openHandles(sim.pid),
    databaseMiB: await databaseMiB(dataDir),
    readP50Ms: round(percentile(times.reads, 0.5), 2),
    readP99Ms: round(percentile(times.reads, 0.99), 2),
    writeP50Ms: round(percentile(times.writes, 0.5), 2),
  };
}

async function databaseMiB(dataDir: string): Promise<number> {
  let bytes = 0;
  for await (const { name } of Deno.readDir(dataDir)) {
    if (name.startsWith("berth.db")) bytes += (await Deno.stat(`${dataDir}/${name}`)).size;
  }
  return round(bytes / 2 ** 20, 2);
}
