/**
 * What Berth costs when nothing happens: resident memory and CPU of a server and a worker on a real
 * engine, with one running service.
 *
 * @module
 */
import { startServer, startWorker } from "../support/processes.ts";
import { type Bench, type BenchOptions, type BenchResult, intFlag, round } from "./harness.ts";

export const idle: Bench = {
  name: "idle",
  summary: "resident memory and CPU of an idle server and worker over 30 s",
  goals: "serverMiB ≤ 100, workerMiB ≤ 85, cpuPercent ≤ 0.5",
  run,
};

/** Clock ticks a second of /proc/PID/stat on Linux. */
const TICKS_PER_SECOND = 100;
const SETTLE_MS = 5000;

async function run(options: BenchOptions): Promise<BenchResult> {
  const seconds = intFlag(options, "seconds", 30);
  const dir = await Deno.makeTempDir({ prefix: "berth-bench-" });
  const server = await startServer({ dataDir: `${dir}/server` });
  const worker = await startWorker(server, { name: "idle", stateDir: dir });
  try {
    await pause(SETTLE_MS);
    const pids = [server.pid, worker.pid];
    const before = await cpuSeconds(pids);
    const beginMs = performance.now();
    await pause(seconds * 1000);
    const cpu = await cpuSeconds(pids) - before;
    const tookSeconds = (performance.now() - beginMs) / 1000;
    return {
      figures: {
        serverMiB: await residentMiB(server.pid),
        workerMiB: await residentMiB(worker.pid),
        cpuPercent: round(cpu / tookSeconds * 100, 2),
      },
      samples: 1,
    };
  } finally {
    await worker.stop();
    await server.stop();
    await Deno.remove(dir, { recursive: true });
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function residentMiB(pid: number): Promise<number> {
  const status = await readProc(pid, "status");
  return round(Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) / 1024, 1);
}

async function cpuSeconds(pids: readonly number[]): Promise<number> {
  let ticks = 0;
  for (const pid of pids) {
    const stat = await readProc(pid, "stat");
    // Fields after the command's closing parenthesis; utime and stime are fields 14 and 15 of all.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks / TICKS_PER_SECOND;
}

/** Deno lets nobody but `--allow-all` read another process's /proc; `cat` may. */
async function readProc(pid: number, file: string): Promise<string> {
  const { stdout } = await new Deno.Command("cat", { args: [`/proc/${pid}/${file}`] }).output();
  return new TextDecoder().decode(stdout);
}
