/**
 * From the death of a container to its next start, by the engine's own clock: Berth's first restart in
 * place beside a bare `start` that follows the engine's `die` event at once, in turn.
 *
 * @module
 */
import { ServiceSpec } from "../../kv/schema/service.ts";
import { connectEngine, type EngineClient, readable } from "../../worker/docker/client.ts";
import { LABEL } from "../../worker/runtime.ts";
import { bytesOf, jsonLines } from "../../worker/docker/streams.ts";
import { eventually } from "../support/eventually.ts";
import { idOf } from "../support/ids.ts";
import type { ServerProcess } from "../support/processes.ts";
import { inPairs, onBed, pause, removeBare, SLEEPER, startBare } from "./bed.ts";
import type { Bench, BenchOptions, BenchResult } from "./harness.ts";

export const heal: Bench = {
  name: "heal",
  summary: "a killed container running again, against a bare engine start, interleaved",
  goals: "ratio ≤ 1.3",
  run,
};

/** Every restart is the first one: the window forgets at once. */
const TEMPLATE = { ...SLEEPER, restart: { windowMs: 1 } };
const CALL_MS = 30_000;
const NANOSECONDS = 1_000_000;

async function run(options: BenchOptions): Promise<BenchResult> {
  return await onBed({ names: ["bench"] }, async ({ connection, server, bare }) => {
    const client = connectEngine(connection);
    const bareTask = idOf(1);
    try {
      const berthTask = await startTask(server);
      await startBare(bare, bareTask);
      return await inPairs(options, {
        berth: () => heals(client, berthTask, () => Promise.resolve()),
        bare: () =>
          heals(client, bareTask, async () => {
            const started = await bare.start(bareTask, AbortSignal.timeout(CALL_MS));
            if (!started.ok) throw new Error(started.message);
          }),
      });
    } finally {
      await removeBare(bare, bareTask);
      client.close();
    }
  });
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
    await pause(300);
  }
}
