/**
 * What Berth costs when nothing happens: resident memory and CPU of a server and a worker on a real
 * engine, without any service.
 *
 * @module
 */
import { onBed, pause } from "./bed.ts";
import { type Bench, type BenchOptions, type BenchResult, intFlag, round } from "./harness.ts";
import { cpuSeconds, residentMiB } from "./processes.ts";

export const idle: Bench = {
  name: "idle",
  summary: "resident memory and CPU of an idle server and worker over 30 s",
  goals: "serverMiB ≤ 100, workerMiB ≤ 85, cpuPercent ≤ 0.5",
  run,
};

const SETTLE_MS = 5000;

async function run(options: BenchOptions): Promise<BenchResult> {
  const seconds = intFlag(options, "seconds", 30);
  return await onBed({ names: ["idle"] }, async ({ server, workers }) => {
    await pause(SETTLE_MS);
    const pids = [server, ...workers].map(({ pid }) => pid);
    const before = await cpuSeconds(pids);
    const beginMs = performance.now();
    await pause(seconds * 1000);
    const cpu = await cpuSeconds(pids) - before;
    const tookSeconds = (performance.now() - beginMs) / 1000;
    const [serverMiB = NaN, workerMiB = NaN] = await Promise.all(pids.map(residentMiB));
    return {
      figures: { serverMiB, workerMiB, cpuPercent: round(cpu / tookSeconds * 100, 2) },
      samples: 1,
    };
  });
}
