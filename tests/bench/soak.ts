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
import { pause, withDir } from "./bed.ts";
import {
  type Bench,
  type BenchOptions,
  type BenchResult,
  intFlag,
  median,
  round,
} from "./harness.ts";
import { linePlot, type Series, stackPlots } from "./plot.ts";
import { openHandles, residentMiB } from "./processes.ts";

export const soak: Bench = {
  name: "soak",
  summary: "memory, handles, database and latency under steady churn over 30 minutes",
  goals: "serverMiBPerHour ≤ 20, workerMiBPerHour ≤ 20, handlesGrown ≤ 5, latencyRatio ≤ 1.5",
  run,
};

/** One look at everything. */
interface Sample {
  minute: number;
  serverMiB: number;
  workerMiB: number;
  simMiB: number;
  serverHandles: number;
  workerHandles: number;
  simHandles: number;
  databaseMiB: number;
  readP50Ms: number;
  readP99Ms: number;
  writeP50Ms: number;
}

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
    }, { timeoutMs: READY_MS, what: `the simulated nodes; the host said: ${sim.log()}` });
    if (found.available) {
      await ensureTestImage(found.connection);
      worker = await startWorker(server, { name: REAL, stateDir: dir });
    }
    return await work({ server, sim, worker, dataDir });
  } finally {
    await worker?.stop();
    await sim.stop();
    await server.stop();
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
      if (!listed.ok) throw new Error(`the services: ${describeError(listed.error)}`);
    }),
  ];
  const samples: Sample[] = [];
  const sampling = async () => {
    const beganMs = performance.now();
    const everyMs = Math.max(SHORTEST_MS, minutes * MINUTE_MS / SAMPLES);
    while (performance.now() - beganMs < minutes * MINUTE_MS) {
      await pause(everyMs);
      const minute = (performance.now() - beganMs) / MINUTE_MS;
      const times = { reads: reads.splice(0), writes: writes.splice(0) };
      const sample = await take(scene, minute, times);
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
): Promise<Sample> {
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

/** 0 when nothing was measured. */
function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

/** The first third is for warming up; growth is what the rest has by the hour. */
export function figuresOf(samples: readonly Sample[]): Record<string, number> {
  const warm = samples.slice(Math.floor(samples.length / 3));
  const half = Math.floor(warm.length / 2);
  const [early, late] = [warm.slice(0, half), warm.slice(half)];
  const middle = (rows: readonly Sample[], field: keyof Sample) =>
    median(rows.map((r) => r[field]));
  const grown = (field: keyof Sample) => middle(late, field) - middle(early, field);
  return {
    minutes: Math.round(samples.at(-1)?.minute ?? 0),
    serverMiB: round(middle(late, "serverMiB"), 1),
    workerMiB: round(middle(late, "workerMiB"), 1),
    serverMiBPerHour: round(slopePerHour(warm, "serverMiB"), 1),
    workerMiBPerHour: round(slopePerHour(warm, "workerMiB"), 1),
    simMiBPerHour: round(slopePerHour(warm, "simMiB"), 1),
    handlesGrown: grown("serverHandles") + grown("workerHandles") + grown("simHandles"),
    databaseMiB: round(middle(late, "databaseMiB"), 1),
    databaseMiBPerHour: round(slopePerHour(warm, "databaseMiB"), 1),
    readP50Ms: round(middle(late, "readP50Ms"), 1),
    readP99Ms: round(middle(late, "readP99Ms"), 1),
    latencyRatio: round(middle(late, "readP50Ms") / middle(early, "readP50Ms"), 2),
  };
}

/** Of the straight line that fits best. */
function slopePerHour(samples: readonly Sample[], field: keyof Sample): number {
  const mean = (values: number[]) => values.reduce((a, b) => a + b, 0) / values.length;
  const x = mean(samples.map((s) => s.minute)), y = mean(samples.map((s) => s[field]));
  const along = samples.reduce((sum, s) => sum + (s.minute - x) * (s[field] - y), 0);
  const spread = samples.reduce((sum, s) => sum + (s.minute - x) ** 2, 0);
  return spread === 0 ? 0 : along / spread * 60;
}

/** Four plots, one below the other. */
export function plotsOf(samples: readonly Sample[]): string {
  const series = (name: string, field: keyof Sample): Series => ({
    name,
    points: samples.map((sample) => [sample.minute, sample[field]]),
  });
  const plot = (title: string, yLabel: string, lines: Series[]) =>
    linePlot(lines, { title, yLabel, xLabel: "minutes" });
  return stackPlots([
    plot("Resident memory", "MiB", [
      series("server", "serverMiB"),
      series("worker", "workerMiB"),
      series("sim host", "simMiB"),
    ]),
    plot("Open handles", "handles", [
      series("server", "serverHandles"),
      series("worker", "workerHandles"),
      series("sim host", "simHandles"),
    ]),
    plot("Database", "MiB", [series("file and log", "databaseMiB")]),
    plot("Latency", "ms", [
      series("read p50", "readP50Ms"),
      series("read p99", "readP99Ms"),
      series("write p50", "writeP50Ms"),
    ]),
  ]);
}
