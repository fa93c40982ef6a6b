/**
 * From `POST /v1/services` to a running container, beside the same container made by two bare engine
 * calls (create, start), in turn. Both end with the engine's own `start` event.
 *
 * @module
 */
import { idOf } from "../support/ids.ts";
import { createDockerRuntime } from "../../worker/docker/docker.ts";
import type { Runtime } from "../../worker/runtime.ts";
import { inPairs, onBed, removeBare, removeService, SLEEPER, startBare } from "./bed.ts";
import type { Bench, BenchOptions, BenchResult } from "./harness.ts";

export const firstRun: Bench = {
  name: "first-run",
  summary: "POST to container running, against a bare engine create+start, interleaved",
  goals: "ratio ≤ 1.15",
  run,
};

const CALL_MS = 30_000;

async function run(options: BenchOptions): Promise<BenchResult> {
  return await onBed({ names: ["bench"] }, async ({ connection, server, bare }) => {
    const node = await server.client.getNode("bench");
    if (!node.ok) throw new Error("the worker's node is gone");
    const watched = createDockerRuntime({ connection, nodeId: node.value.id });
    try {
      return await inPairs(options, {
        async berth(pair) {
          const name = `first-run-${pair}`;
          const tookMs = await startEvent(watched, async () => {
            const created = await server.client.createService({ name, template: SLEEPER });
            if (!created.ok) throw new Error(JSON.stringify(created.error));
          });
          await removeService(server, name);
          return tookMs;
        },
        async bare(pair) {
          const tookMs = await startEvent(bare, () => startBare(bare, idOf(pair + 1)));
          await removeBare(bare, idOf(pair + 1));
          return tookMs;
        },
      });
    } finally {
      await watched.close();
    }
  });
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
