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

/** From the scheduler's own count, in ns: ticks would charge a process that wakes on them for whole ones. */
async function cpuSeconds(pids: readonly number[]): Promise<number> {
  let ns = 0;
  for (const pid of pids) {
    for (const line of (await readProc(pid, "task/*/schedstat")).trim().split("\n")) {
      ns += Number(line.split(" ")[0]);
    }
  }
  return ns / 1e9;
}

/** Deno lets nobody but `--allow-all` read another process's /proc; `cat` may. */
async function readProc(pid: number, file: string): Promise<string> {
  const { stdout } = await new Deno.Command("sh", { args: ["-c", `cat /proc/${pid}/${file}`] })
    .output();
  return new TextDecoder().decode(stdout);
}
