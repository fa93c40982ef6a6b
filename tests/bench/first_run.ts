/**
 * From `POST /v1/services` to a running container, beside the same container made by two bare engine
 * calls (create, start), in turn. Both end with the engine's own `start` event.
 *
 * @module
 */
import { idOf } from "../support/ids.ts";
import { engine, ensureTestImage, TEST_IMAGE } from "../support/engine.ts";
import { eventually } from "../support/eventually.ts";
import { type ServerProcess, startServer, startWorker } from "../support/processes.ts";
import { TaskTemplate } from "../../kv/schema/service.ts";
import { createDockerRuntime } from "../../worker/docker/docker.ts";
import type { Runtime } from "../../worker/runtime.ts";
import {
  type Bench,
  type BenchOptions,
  type BenchResult,
  intFlag,
  median,
  round,
} from "./harness.ts";

export const firstRun: Bench = {
  name: "first-run",
  summary: "POST to container running, against a bare engine create+start, interleaved",
  goals: "ratio ≤ 1.15",
  run,
};

const TEMPLATE = {
  image: TEST_IMAGE,
  command: ["sleep", "3600"],
  pullPolicy: "never" as const,
  stopGraceMs: 0,
};
const CALL_MS = 30_000;

async function run(options: BenchOptions): Promise<BenchResult> {
  const pairs = intFlag(options, "pairs", 20);
  const found = await engine();
  if (!found.available) throw new Error(found.reason);
  await ensureTestImage(found.connection);
  const dir = await Deno.makeTempDir({ prefix: "berth-bench-" });
  const server = await startServer({ dataDir: `${dir}/server` });
  const worker = await startWorker(server, { name: "bench", stateDir: dir });
  const node = await server.client.getNode("bench");
  if (!node.ok) throw new Error("the worker's node is gone");
  const bare = createDockerRuntime({ connection: found.connection, nodeId: "bench-bare" });
  const watched = createDockerRuntime({ connection: found.connection, nodeId: node.value.id });
  try {
    const berthMs: number[] = [], bareMs: number[] = [], ratios: number[] = [];
    // The first pair warms both up and does not count.
    for (let pair = 0; pair <= pairs; pair++) {
      const a = await runBerth(server, watched, pair);
      const b = await runBare(bare, pair);
      options.say(
        `  ${pair === 0 ? "warm-up" : `pair ${pair}`}: berth ${round(a, 1)} ms, bare ${
          round(b, 1)
        } ms`,
      );
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
    await bare.close();
    await watched.close();
    await worker.stop();
    await server.stop();
    await Deno.remove(dir, { recursive: true });
  }
}

/** When the engine says that a container of this runtime's node started. */
async function startEvent(runtime: Runtime, begin: () => Promise<void>): Promise<number> {
  const stop = new AbortController();
  const events = runtime.events(stop.signal)[Symbol.asyncIterator]();
  // The stream is open once the engine has answered; an inspect after it orders the two.
  const first = events.next();
  await runtime.info(AbortSignal.timeout(CALL_MS));
  const beginMs = performance.now();
  let next = first;
  const begun = begin();
  while (true) {
    const event = await next;
    if (event.done) throw new Error("the engine's events ended");
    if (event.value.type === "start") break;
    next = events.next();
  }
  const tookMs = performance.now() - beginMs;
  await begun;
  stop.abort();
  await events.return?.(undefined);
  return tookMs;
}

async function runBerth(server: ServerProcess, watched: Runtime, n: number): Promise<number> {
  const name = `first-run-${n}`;
  const tookMs = await startEvent(watched, async () => {
    const created = await server.client.createService({ name, template: TEMPLATE });
    if (!created.ok) throw new Error(JSON.stringify(created.error));
  });
  await server.client.deleteService(name);
  await eventually(async () => !(await server.client.getService(name)).ok, {
    timeoutMs: 30_000,
    what: `${name} to be gone`,
  });
  return tookMs;
}

async function runBare(bare: Runtime, n: number): Promise<number> {
  const taskId = idOf(n + 1);
  const tookMs = await startEvent(bare, async () => {
    const created = await bare.create({
      ...{ taskId, serviceId: idOf(1), service: "bare", project: "default" },
      ...{ slot: 1, revision: 1, desired: "run" },
      template: TaskTemplate.parse(TEMPLATE),
    }, AbortSignal.timeout(CALL_MS));
    if (!created.ok) throw new Error(created.message);
    const started = await bare.start(taskId, AbortSignal.timeout(CALL_MS));
    if (!started.ok) throw new Error(started.message);
  });
  await bare.remove(taskId, AbortSignal.timeout(CALL_MS));
  return tookMs;
}
