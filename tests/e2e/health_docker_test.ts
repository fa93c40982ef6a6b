import { createNoGuard } from "../../worker/guard_client.ts";
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { ExecOptions } from "../../kv/schema/agent.ts";
import { isReady, type Observed } from "../../kv/schema/task.ts";
import { systemClock } from "../../kv/schema/time.ts";
import { createAgent } from "../../worker/agent.ts";
import type { EngineConnection } from "../../worker/docker/connect.ts";
import { createDockerRuntime } from "../../worker/docker/docker.ts";
import { factsOf, removeAll } from "../../worker/join.ts";
import type { Runtime } from "../../worker/runtime.ts";
import { createMemoryStore } from "../../worker/state_file.ts";
import { engineTest, ensureTestImage, TEST_IMAGE } from "../support/engine.ts";
import { eventually } from "../support/eventually.ts";
import { assignmentOf, createFakeServer, type FakeServer } from "../support/fake_server.ts";
import { idOf } from "../support/ids.ts";
import { startServer, startWorker } from "../support/processes.ts";

interface Bench {
  fake: FakeServer;
  runtime: Runtime;
  taskId: string;
  row(): Observed | undefined;
  /** Makes the task the only one; probes come every 200 ms. */
  assign(template: Parameters<typeof assignmentOf>[1]): void;
  /** Runs a shell command in the container; it must succeed. */
  sh(command: string): Promise<void>;
  told(what: string, condition: (row: Observed) => boolean): Promise<Observed>;
}

let benches = 0;

/** An agent in this process on the real engine, with a stub of the API. */
async function onAgent(
  connection: EngineConnection,
  body: (bench: Bench) => Promise<void>,
): Promise<void> {
  await ensureTestImage(connection);
  const first = 3_000_000_000 + (Deno.pid % 30_000) * 1_000 + ++benches * 10;
  const [nodeId, taskId] = [idOf(first), idOf(first + 1)];
  const fake = createFakeServer(systemClock);
  const runtime = createDockerRuntime({ connection, nodeId });
  const stop = new AbortController();
  const agent = createAgent({
    runtime,
    client: fake,
    clock: systemClock,
    random: Math.random,
    state: createMemoryStore(),
    log: () => {},
    guard: createNoGuard(),
    config: {
      nodeId,
      facts: (info) => factsOf(info, { name: "n1", address: "127.0.0.1", labels: {} }),
    },
  });
  const ended = agent.run(stop.signal);
  ended.catch(() => {});
  const row = () => fake.rows.get(taskId);
  try {
    await body({
      fake,
      runtime,
      taskId,
      row,
      assign: (template) =>
        fake.assign({
          ...assignmentOf(1, { image: TEST_IMAGE, init: true, stopGraceMs: 0, ...template }),
          taskId,
        }),
      sh: (command) => shell(runtime, taskId, command),
      told: (what, condition) =>
        eventually(() => {
          const now = row();
          return now && condition(now) ? now : undefined;
        }, { timeoutMs: 30_000, what: () => `${what}; it is ${JSON.stringify(row())}` }),
    });
  } finally {
    stop.abort();
    await ended;
    await removeAll(runtime, { log: () => {}, timeoutMs: 60_000 });
    await runtime.close();
  }
}

async function shell(runtime: Runtime, taskId: string, command: string): Promise<void> {
  const options = ExecOptions.parse({ command: ["sh", "-c", command] });
  const opened = await runtime.exec(taskId, options, AbortSignal.timeout(10_000));
  assert(opened.ok, opened.ok ? "" : opened.message);
  for await (const _ of opened.value.output) { /* to its end */ }
  assertEquals(await opened.value.exitCode(), 0, command);
  await opened.value.close();
}

const often = { intervalMs: 200, timeoutMs: 2_000, retries: 2 };
const idle = "while :; do sleep 0.2; done";
const running = (attempt: number, health: Observed["health"]) => (row: Observed) =>
  row.attempt === attempt && row.state === "running" && row.health === health;

/** Breaks a healthy task and follows it until it is healthy again, in the same container. */
async function breaksAndHeals(bench: Bench, breaking: string): Promise<Observed> {
  const healthy = await bench.told("healthy", running(1, "healthy"));
  assert(isReady(healthy.state, healthy));
  await bench.sh(breaking);
  const restarting = await bench.told("the restart", (row) => row.attempt === 2);
  const again = await bench.told("healthy again", running(2, "healthy"));
  assertEquals(again.containerId, healthy.containerId);
  const reports = bench.fake.reports.flat().filter((row) => row.taskId === bench.taskId);
  return reports.find((row) => row.health === "unhealthy") ?? restarting;
}

engineTest(
  "an HTTP probe that fails restarts the container in place, and says why",
  (c) =>
    onAgent(c, async (bench) => {
      bench.assign({
        command: ["sh", "-c", "mkdir -p /www; echo ok >/www/up; exec httpd -f -p 8080 -h /www"],
        health: { probe: { type: "http", port: 8080, path: "/up" }, ...often },
      });
      const sick = await breaksAndHeals(bench, "rm /www/up");
      assertStringIncludes(sick.message ?? "", "unhealthy: HTTP 404");
    }),
);

engineTest(
  "an exec probe that fails restarts the container in place, and says why",
  (c) =>
    onAgent(c, async (bench) => {
      bench.assign({
        command: ["sh", "-c", `touch /up; ${idle}`],
        health: {
          probe: { type: "exec", command: ["sh", "-c", "echo looked; test -e /up"] },
          ...often,
        },
      });
      const sick = await breaksAndHeals(bench, "rm /up");
      assertStringIncludes(sick.message ?? "", "unhealthy: exit code 1: looked");
    }),
);

engineTest(
  "a TCP probe that fails restarts the container in place, and says why",
  (c) =>
    onAgent(c, async (bench) => {
      bench.assign({
        command: ["sh", "-c", `httpd -p 8080 -h /; ${idle}`],
        health: { probe: { type: "tcp", port: 8080 }, ...often },
      });
      const sick = await breaksAndHeals(bench, "killall httpd");
      assertStringIncludes(sick.message ?? "", "unhealthy: ");
    }),
);

engineTest(
  "the engine's HEALTHCHECK counts, and its last output is told",
  (c) =>
    onAgent(c, async (bench) => {
      const command = ["sh", "-c", "echo looked; test -e /up"];
      bench.assign({
        command: ["sh", "-c", `touch /up; ${idle}`],
        health: { probe: { type: "engine", command }, ...often },
      });
      const sick = await breaksAndHeals(bench, "rm /up");
      assertStringIncludes(sick.message ?? "", "unhealthy: looked");
    }),
);

engineTest(
  "a task is ready only while its readiness probe passes, and runs on meanwhile",
  (c) =>
    onAgent(c, async (bench) => {
      const { intervalMs, retries } = often;
      bench.assign({
        command: ["sh", "-c", idle],
        readiness: {
          ...{ intervalMs, retries, startIntervalMs: 200 },
          probe: { type: "exec", command: ["test", "-e", "/ready"] },
        },
      });
      const started = await bench.told("a reason", (row) => row.message !== undefined);
      assertEquals([started.state, started.ready], ["running", false]);
      assertStringIncludes(started.message ?? "", "not ready: exit code 1");
      await bench.sh("touch /ready");
      await bench.told("ready", (row) => row.ready === true && row.message === undefined);
      await bench.sh("rm /ready");
      const back = await bench.told("not ready", (row) => row.ready === false);
      assertEquals([back.attempt, back.state, back.health], [1, "running", "none"]);
    }),
);

engineTest(
  "a service converges, and its tasks get traffic, once they are ready; the API says how many are",
  async (c) => {
    await ensureTestImage(c);
    const dir = await Deno.makeTempDir();
    const server = await startServer({ dataDir: `${dir}/server` });
    const worker = await startWorker(server, { name: "n1", stateDir: dir });
    try {
      const { client } = server;
      const created = await client.createService({
        name: "gated",
        template: {
          ...{ image: TEST_IMAGE, command: ["sh", "-c", idle], stopGraceMs: 0 },
          ports: [{ target: 80 }],
          readiness: {
            startIntervalMs: 200,
            probe: { type: "exec", command: ["test", "-e", "/ready"] },
          },
        },
      });
      assert(created.ok);
      const view = async () => {
        const service = await client.getService("gated");
        assert(service.ok);
        return service.value;
      };
      await eventually(async () => (await view()).counts.running === 1, { timeoutMs: 20_000 });
      const states = async () => {
        const found = await client.getEndpoints("gated");
        assert(found.ok);
        return found.value.endpoints.map(({ state }) => state);
      };
      const before = await view();
      assertEquals(await states(), ["starting"]);
      assertEquals([before.counts.ready, before.phase], [0, "converging"]);
      const tasks = await client.listTasks({ service: "gated" });
      assert(tasks.ok);
      const [task] = tasks.value.items;
      assert(task?.nodeId);
      assertEquals(task.ready, false);
      const runtime = createDockerRuntime({ connection: c, nodeId: task.nodeId });
      await shell(runtime, task.id, "touch /ready");
      await eventually(async () => (await view()).phase === "running", { timeoutMs: 20_000 });
      assertEquals((await view()).counts.ready, 1);
      await eventually(async () => (await states()).join() === "ready", { timeoutMs: 20_000 });
      await client.deleteService("gated");
      await eventually(async () => !(await client.getService("gated")).ok, { timeoutMs: 20_000 });
      await eventually(async () => {
        const left = await runtime.list(AbortSignal.timeout(10_000));
        return left.ok && left.value.length === 0;
      }, { timeoutMs: 20_000, what: "the container to be removed" });
      await runtime.close();
    } finally {
      await worker.stop();
      await server.stop();
      await Deno.remove(dir, { recursive: true });
    }
  },
);
