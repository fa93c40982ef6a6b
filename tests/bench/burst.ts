/**
 * Many containers at once: one request for 200 tasks on one worker, beside the bare engine making as many
 * with the same concurrency, in turn; with `--peer swarm` also Docker Swarm on the same engine.
 *
 * @module
 */
import { TaskTemplate } from "../../kv/schema/service.ts";
import { createDockerRuntime } from "../../worker/docker/docker.ts";
import type { Runtime } from "../../worker/runtime.ts";
import { engine, ensureTestImage, TEST_IMAGE } from "../support/engine.ts";
import { eventually } from "../support/eventually.ts";
import { idOf } from "../support/ids.ts";
import { type ServerProcess, startServer, startWorker } from "../support/processes.ts";
import {
  type Bench,
  type BenchOptions,
  type BenchResult,
  intFlag,
  median,
  round,
} from "./harness.ts";

export const burst: Bench = {
  name: "burst",
  summary: "200 containers from one request, against the bare engine's pace",
  goals: "paceRatio ≥ 0.95",
  run,
};

const TEMPLATE = {
  image: TEST_IMAGE,
  command: ["sleep", "3600"],
  pullPolicy: "never" as const,
  stopGraceMs: 0,
};
const CALL_MS = 60_000;
const POLL_MS = 100;
const PATIENCE_MS = 300_000;
/** Engine operations at a time: what the agent allows itself too. */
const CONCURRENCY = 8;

async function run(options: BenchOptions): Promise<BenchResult> {
  const count = intFlag(options, "count", 200);
  const rounds = intFlag(options, "rounds", 2);
  const found = await engine();
  if (!found.available) throw new Error(found.reason);
  await ensureTestImage(found.connection);
  const dir = await Deno.makeTempDir({ prefix: "berth-bench-" });
  const server = await startServer({ dataDir: `${dir}/server` });
  const worker = await startWorker(server, { name: "bench", stateDir: dir });
  const bare = createDockerRuntime({ connection: found.connection, nodeId: "bench-bare" });
  const pace = { berth: [] as number[], bare: [] as number[], swarm: [] as number[] };
  try {
    for (let n = 1; n <= rounds; n++) {
      pace.berth.push(count / await berthSeconds(server, `burst-${n}`, count));
      pace.bare.push(count / await bareSeconds(bare, count));
      if (options.flags.peer === "swarm") pace.swarm.push(count / await swarmSeconds(count));
      options.say(`  round ${n}: ${JSON.stringify(pace)} containers a second`);
    }
  } finally {
    await bare.close();
    await worker.stop();
    await server.stop();
    await Deno.remove(dir, { recursive: true });
  }
  const ratios = pace.berth.map((value, i) => value / (pace.bare[i] ?? NaN));
  return {
    figures: {
      paceRatio: round(median(ratios)),
      berthPerSecond: round(median(pace.berth), 2),
      barePerSecond: round(median(pace.bare), 2),
      ...(pace.swarm.length > 0 ? { swarmPerSecond: round(median(pace.swarm), 2) } : {}),
    },
    samples: rounds * count,
  };
}

async function berthSeconds(server: ServerProcess, name: string, count: number): Promise<number> {
  const beginMs = performance.now();
  const mode = { type: "replicated" as const, replicas: count };
  const created = await server.client.createService({ name, mode, template: TEMPLATE });
  if (!created.ok) throw new Error(JSON.stringify(created.error));
  // Seldom enough that asking costs the machine nothing.
  while (true) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    const service = await server.client.getService(name);
    if (service.ok && service.value.counts.running === count) break;
    if (performance.now() - beginMs > PATIENCE_MS) throw new Error(`no ${count} running tasks`);
  }
  const seconds = (performance.now() - beginMs) / 1000;
  await server.client.deleteService(name);
  await eventually(async () => !(await server.client.getService(name)).ok, {
    timeoutMs: 300_000,
    what: `${name} to be gone`,
  });
  return seconds;
}

async function bareSeconds(bare: Runtime, count: number): Promise<number> {
  const ids = Array.from({ length: count }, (_, i) => idOf(i + 1));
  const beginMs = performance.now();
  await concurrently(ids, async (taskId) => {
    const created = await bare.create({
      ...{ taskId, serviceId: idOf(1), service: "bare", project: "default" },
      ...{ slot: 1, revision: 1, desired: "run" },
      template: TaskTemplate.parse(TEMPLATE),
    }, AbortSignal.timeout(CALL_MS));
    const started = created.ok && await bare.start(taskId, AbortSignal.timeout(CALL_MS));
    if (!started || !started.ok) throw new Error("the bare engine did not start a container");
  });
  const seconds = (performance.now() - beginMs) / 1000;
  await concurrently(ids, async (taskId) => {
    await bare.remove(taskId, AbortSignal.timeout(CALL_MS));
  });
  return seconds;
}

async function concurrently(
  ids: readonly string[],
  work: (id: string) => Promise<void>,
): Promise<void> {
  const left = [...ids];
  await Promise.all(Array.from({ length: CONCURRENCY }, async () => {
    for (let id = left.pop(); id !== undefined; id = left.pop()) await work(id);
  }));
}

/** Docker Swarm on the same engine, by the docker command: a swarm of one that is left again. */
async function swarmSeconds(count: number): Promise<number> {
  await docker("swarm", "init", "--advertise-addr", "127.0.0.1");
  try {
    const beginMs = performance.now();
    await docker(
      ...["service", "create", "--detach", "--no-resolve-image", "--name", "berth-bench"],
      ...["--replicas", String(count), TEST_IMAGE, "sleep", "3600"],
    );
    await eventually(
      async () =>
        await docker("service", "ls", "--format", "{{.Replicas}}") === `${count}/${count}`,
      { timeoutMs: 300_000, what: "the swarm's replicas" },
    );
    return (performance.now() - beginMs) / 1000;
  } finally {
    await docker("service", "rm", "berth-bench");
    const filter = "label=com.docker.swarm.service.name=berth-bench";
    await eventually(async () => await docker("ps", "-aq", "--filter", filter) === "", {
      timeoutMs: 300_000,
      what: "the swarm's containers to be gone",
    });
    await docker("swarm", "leave", "--force");
  }
}

async function docker(...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command("docker", { args }).output();
  if (!success) throw new Error(`docker ${args[0]}: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout).trim();
}
