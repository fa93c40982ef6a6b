import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { okValue } from "../support/api.ts";
import { eventually } from "../support/eventually.ts";
import { type ServerProcess, spawn, startServer, startWorker } from "../support/processes.ts";
import { diskTest } from "../support/small_disk.ts";

const TEMPLATE = { image: "sim" };
const replicas = (count: number) => ({ type: "replicated" as const, replicas: count });

function running({ client }: ServerProcess, name: string, count: number): Promise<boolean> {
  return eventually(async () => {
    const service = await client.getService(name);
    return service.ok && service.value.counts.running === count;
  }, { timeoutMs: 30_000, what: `${count} running tasks of ${name}` });
}

/** Writes until one is refused since the disk is full; answers what was acknowledged before. */
async function fillByWriting({ client }: ServerProcess): Promise<string[]> {
  const acknowledged: string[] = [];
  const env = { FILL: "x".repeat(20_000) };
  const refused = await eventually(async () => {
    const name = `fill-${acknowledged.length}`;
    const made = await client.createService({
      ...{ name, mode: replicas(0), template: { ...TEMPLATE, env } },
    });
    if (!made.ok) return made.error;
    acknowledged.push(name);
    return undefined;
  }, { what: "a write that finds the disk full" });
  assert(refused.kind === "problem", JSON.stringify(refused));
  assertEquals(refused.problem.status, 507);
  assertStringIncludes(JSON.stringify(refused.problem), "disk is full");
  return acknowledged;
}

diskTest(
  "a server whose disk is full keeps its nodes and tasks, loses nothing that it acknowledged, and goes on when there is room",
  async (disk) => {
    const dir = await Deno.makeTempDir({ prefix: "berth-full-" });
    let server = await startServer({ dataDir: disk.path, args: ["--node-ttl-ms", "2000"] });
    const worker = await startWorker(server, { name: "n1", stateDir: dir, args: ["--sim"] });
    try {
      const { client } = server;
      await client.createService({ name: "web", mode: replicas(3), template: TEMPLATE });
      await running(server, "web", 3);
      const ids = okValue(await client.listTasks({ service: "web" })).items.map(({ id }) => id);
      await disk.fill();
      const acknowledged = await fillByWriting(server);
      const beganMs = performance.now();
      await eventually(() => performance.now() - beganMs > 4000);
      const node = okValue(await client.getNode("n1"));
      assertEquals(node.status.state, "ready", "a full disk is no reason to give a node up");
      await disk.free();
      await eventually(async () => {
        const scaled = await client.putService("web", {
          ...{ name: "web", mode: replicas(4), template: TEMPLATE },
        });
        return scaled.ok;
      }, { what: "writes to work again" });
      await running(server, "web", 4);

      await server.stop("SIGKILL");
      const port = Number(new URL(server.url).port);
      server = await startServer({ dataDir: disk.path, port });
      await running(server, "web", 4);
      const now = okValue(await client.listTasks({ service: "web" })).items.map(({ id }) => id);
      assertEquals(ids.filter((id) => !now.includes(id)), []);
      for (const name of acknowledged) okValue(await client.getService(name));
    } finally {
      await worker.stop();
      await server.stop();
      await Deno.remove(dir, { recursive: true });
    }
  },
);

diskTest("a server does not start on a full disk, and says so", async (disk) => {
  await disk.fill();
  const child = spawn("server", ["--listen", "127.0.0.1:0", "--data", disk.path]);
  await eventually(() => child.ended(), { what: "the server to give up" });
  assertEquals(await child.stop(), 1);
  assertStringIncludes(child.log(), "no space left");
  assert(!child.log().includes("    at "), child.log());
  await disk.free();
  const server = await startServer({ dataDir: disk.path });
  assert((await server.client.cluster()).ok);
  await server.stop();
});

diskTest(
  "a worker whose disk is full runs what it is given, and keeps its state when there is room",
  async (disk) => {
    const dir = await Deno.makeTempDir({ prefix: "berth-full-" });
    const server = await startServer({ dataDir: `${dir}/server` });
    const start = () => startWorker(server, { name: "n1", stateDir: disk.path, args: ["--sim"] });
    let worker = await start();
    try {
      await disk.fill();
      await server.client.createService({ name: "web", mode: replicas(2), template: TEMPLATE });
      await running(server, "web", 2);
      assertStringIncludes(worker.log(), "cannot save the agent's state");
      await disk.free();
      await server.client.putService("web", {
        ...{ name: "web", mode: replicas(3), template: TEMPLATE },
      });
      await running(server, "web", 3);
      const state = await Deno.readTextFile(`${disk.path}/n1/state.json`);
      const tasks = okValue(await server.client.listTasks({ service: "web" })).items;
      for (const { id } of tasks) assertStringIncludes(state, id);
      await worker.stop();
      worker = await start();
      assertEquals((await server.client.getNode("n1")).ok, true);
    } finally {
      await worker.stop();
      await server.stop();
      await Deno.remove(dir, { recursive: true });
    }
  },
);
