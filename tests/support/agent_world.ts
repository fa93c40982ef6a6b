/**
 * One node under test: a simulated engine, a fake server, a fake clock, and agents that come and go.
 *
 * @module
 */
import { type Agent, createAgent } from "../../worker/agent.ts";
import { factsOf } from "../../worker/join.ts";
import { createNoGuard, type Guard } from "../../worker/guard_client.ts";
import type { LogFields } from "../../worker/log.ts";
import type { Runtime } from "../../worker/runtime.ts";
import { createSimEngine, createSimRuntime, type SimControl } from "../../worker/sim.ts";
import { createMemoryStore, type StateStore } from "../../worker/state_file.ts";
import { createFakeClock, type FakeClock } from "./fake_clock.ts";
import { createFakeServer, type FakeServer } from "./fake_server.ts";
import { idOf } from "./ids.ts";

export const NODE_ID = idOf(7);

export interface AgentWorld {
  clock: FakeClock;
  server: FakeServer;
  control: SimControl;
  store: ReturnType<typeof createMemoryStore>;
  logs: { level: string; message: string; fields: LogFields }[];
  runtime(nodeId?: string): Runtime;
  /** A new process of the agent, on the same engine, server and state. */
  agent(
    parts?: Partial<{ runtime: Runtime; state: StateStore; client: FakeServer; guard: Guard }>,
  ): Agent;
  /** Polls, reconciles, reports, once each; time passes as the engine needs it. */
  round(agent: Agent): Promise<void>;
  /** Runs an agent freely while `body` does, then stops it. */
  running(body: (agent: Agent) => Promise<void>, agent?: Agent): Promise<void>;
  /** Moves time on in small steps until the condition holds. */
  until(condition: () => boolean, what: string, maxMs?: number): Promise<void>;
}

export function createAgentWorld(): AgentWorld {
  const clock = createFakeClock();
  const server = createFakeServer(clock);
  const random = () => 0.5;
  const engine = createSimEngine({
    clock,
    random,
    hostname: "n1",
    capacity: { cpus: 4, memoryMiB: 4096 },
    images: ["busybox:1"],
  });
  const store = createMemoryStore();
  const logs: AgentWorld["logs"] = [];
  const runtime = (nodeId = NODE_ID) => createSimRuntime({ engine, nodeId });
  const config = {
    nodeId: NODE_ID,
    facts: (info: Parameters<typeof factsOf>[0]) =>
      factsOf(info, { name: "n1", address: "127.0.0.1", labels: {} }),
  };

  const world: AgentWorld = {
    clock,
    server,
    control: createSimRuntime({ engine, nodeId: NODE_ID }).control,
    store,
    logs,
    runtime,
    agent: (parts = {}) =>
      createAgent({
        runtime: parts.runtime ?? runtime(),
        client: parts.client ?? server,
        clock,
        random,
        state: parts.state ?? store,
        log: (level, message, fields = {}) => logs.push({ level, message, fields }),
        guard: parts.guard ?? createNoGuard(),
        config,
      }),
    async round(agent) {
      const { signal } = new AbortController();
      await clock.until(agent.pollOnce(signal));
      await clock.until(agent.reconcileOnce(signal));
      await clock.until(agent.reportOnce(signal));
    },
    async running(body, agent = world.agent()) {
      const stop = new AbortController();
      const ended = agent.run(stop.signal);
      ended.catch(() => {});
      try {
        await body(agent);
      } finally {
        stop.abort();
        await ended;
      }
    },
    async until(condition, what, maxMs = 60_000) {
      const limitMs = clock.monoMs() + maxMs;
      while (!condition()) {
        if (clock.monoMs() > limitMs) throw new Error(`waited ${maxMs} ms for ${what}`);
        await clock.advance(10);
      }
    },
  };
  return world;
}
