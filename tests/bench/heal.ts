/**
 * From the death of a container to its next start, by the engine's own clock: Berth's first restart in
 * place beside a bare `start` that follows the engine's `die` event at once, in turn.
 *
 * @module
 */
import { ServiceSpec, TaskTemplate } from "../../kv/schema/service.ts";
import { connectEngine, type EngineClient, readable } from "../../worker/docker/client.ts";
import { createDockerRuntime } from "../../worker/docker/docker.ts";
import { LABEL, type Runtime } from "../../worker/runtime.ts";
import { bytesOf, jsonLines } from "../../worker/docker/streams.ts";
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

export const heal: Bench = {
  name: "heal",
  summary: "a killed container running again, against a bare engine start, interleaved",
  goals: "ratio ≤ 1.3",
  run,
};

/** Every restart is the first one: the window forgets at once. */
const TEMPLATE = {
  image: TEST_IMAGE,
  command: ["sleep", "3600"],
  pullPolicy: "never" as const,
  stopGraceMs: 0,
  restart: { windowMs: 1 },
};
const CALL_MS = 30_000;
const BARE_NODE = "bench-bare";
const NANOSECONDS = 1_000_000;

async function run(options: BenchOptions): Promise<BenchResult> {
  const pairs = intFlag(options, "pairs", 20);
  const found = await engine();
  if (!found.available) throw new Error(found.reason);
  await ensureTestImage(found.connection);
  const dir = await Deno.makeTempDir({ prefix: "berth-bench-" });
  const server = await startServer({ dataDir: `${dir}/server` });
  const worker = await startWorker(server, { name: "bench", stateDir: dir });
  const bare = createDockerRuntime({ connection: found.connection, nodeId: BARE_NODE });
  const client = connectEngine(found.connection);
  try {
    const berthTask = await startTask(server);
    const bareTask = await startBare(bare);
    const berthMs: number[] = [], bareMs: number[] = [], ratios: number[] = [];
    // The first pair warms both up and does not count.
    for (let pair = 0; pair <= pairs; pair++) {
      const a = await heals(client, berthTask, () => Promise.resolve());
      const b = await heals(client, bareTask, async () => {
        const started = await bare.start(bareTask, AbortSignal.timeout(CALL_MS));
        if (!started.ok) throw new Error(started.message);
      });
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
  } finally {
    await server.client.deleteService("heal");
    const filters = { label: [`${LABEL.service}=heal`] };
    await eventually(
      async () => (await client.docker.listContainers({ all: true, filters })).length === 0,
      { timeoutMs: CALL_MS, what: "the container to be removed" },
    );
    await bare.remove(idOf(1), AbortSignal.timeout(CALL_MS));
    await bare.close();
    client.close();
    await worker.stop();
    await server.stop();
    await Deno.remove(dir, { recursive: true });
  }
}

async function startTask(server: ServerProcess): Promise<string> {
  const spec = ServiceSpec.parse({ name: "heal", template: TEMPLATE });
  const created = await server.client.createService(spec);
  if (!created.ok) throw new Error(JSON.stringify(created.error));
  return await eventually(async () => {
    const tasks = await server.client.listTasks({ service: "heal" });
    return tasks.ok ? tasks.value.items.find((task) => task.state === "running")?.id : undefined;
  }, { timeoutMs: CALL_MS, what: "the task to run" });
}

async function startBare(bare: Runtime): Promise<string> {
  const taskId = idOf(1);
  const signal = AbortSignal.timeout(CALL_MS);
  const created = await bare.create({
    ...{ taskId, serviceId: idOf(1), service: "bare", project: "default" },
    ...{ slot: 1, revision: 1, desired: "run" },
    template: TaskTemplate.parse(TEMPLATE),
  }, signal);
  const started = created.ok ? await bare.start(taskId, signal) : created;
  if (!started.ok) throw new Error(started.message);
  return taskId;
}

/** Kills the task's container; ms from the engine's `die` to its `start`, both stamped by the engine. */
async function heals(
  { docker }: EngineClient,
  taskId: string,
  onDeath: () => Promise<void>,
): Promise<number> {
  const stop = new AbortController();
  const label = [`${LABEL.task}=${taskId}`];
  const filters = { type: ["container" as const], label, event: ["die", "start"] };
  const stream = await docker.getEvents({ filters, abortSignal: stop.signal });
  const [container] = await docker.listContainers({ all: true, filters: { label } });
  if (!container) throw new Error(`task ${taskId} has no container`);
  const killed = docker.getContainer(container.Id).kill();
  let diedNs: number | undefined;
  let acted: Promise<void> | undefined;
  try {
    const lines = jsonLines<{ Action: string; timeNano: number }>(
      bytesOf(readable(stream), stop.signal),
    );
    for await (const { Action, timeNano } of lines) {
      if (Action === "die") {
        diedNs = timeNano;
        acted = onDeath();
      } else if (diedNs !== undefined) return (timeNano - diedNs) / NANOSECONDS;
    }
    throw new Error("the engine's events ended");
  } finally {
    await killed;
    await acted;
    stop.abort();
    // The next death must find the agent at rest.
    await eventually(async () => {
      const { State } = await docker.getContainer(container.Id).inspect();
      return State.Running;
    });
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
}
