import { assert, assertEquals, assertMatch } from "@std/assert";
import type { ClassNode, ClassPod } from "../../kv/schema/playground.ts";
import { type Ran, ranBerth } from "../support/berth.ts";
import { eventually } from "../support/eventually.ts";
import { type ChildProcess, type ServerProcess, spawn, startServer } from "../support/processes.ts";

interface Playground {
  dir: string;
  server: ServerProcess;
  call<T>(method: string, path: string, body?: unknown): Promise<{ status: number; body: T }>;
  nodes(): Promise<ClassNode[]>;
  startHost(count: number): Promise<ChildProcess>;
  berth(...args: string[]): Promise<Ran>;
}

/** A server with a playground, and hosts of simulated nodes: processes of their own. */
async function inPlayground(run: (playground: Playground) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  const server = await startServer({ dataDir: `${dir}/server`, args: ["--playground"] });
  const hosts: ChildProcess[] = [];
  const call: Playground["call"] = async (method, path, body) => {
    const response = await fetch(new URL(path, server.url), {
      method,
      headers: { authorization: `Bearer ${server.token}`, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: await response.json() };
  };
  try {
    await run({
      dir,
      server,
      call,
      nodes: async () => (await call<ClassNode[]>("GET", "/nodes")).body,
      async startHost(count) {
        const join = await server.client.createJoinToken();
        if (!join.ok) throw new Error("no join token");
        const child = spawn("worker", [
          ...["--server", server.url, "--join", join.value.token],
          ...["--sim", String(count), "--state-dir", `${dir}/sim`],
        ]);
        hosts.push(child);
        return await Promise.resolve(child);
      },
      berth: (...args) => ranBerth({ server, configDir: dir }, args),
    });
  } finally {
    await Promise.all(hosts.filter((host) => !host.ended()).map((host) => host.stop()));
    await server.stop();
    await Deno.remove(dir, { recursive: true });
  }
}

const ready = (nodes: ClassNode[]) => nodes.filter(({ status }) => status === "ready");
const names = (nodes: ClassNode[]) => nodes.map(({ name }) => name);

Deno.test("the lesson of docs/playground.md: add nodes and pods, restart, delete", async () => {
  await inPlayground(async ({ call, nodes, startHost }) => {
    await startHost(2);
    await eventually(async () => ready(await nodes()).length === 2, { what: "two nodes" });
    const added = await call<ClassNode>("POST", "/add_node", { cpus: 8 });
    assertEquals([added.status, added.body.name, added.body.status], [201, "sim-3", "ready"]);

    const place = async (body: Record<string, unknown>) => {
      const { status, body: pod } = await call<ClassPod>("POST", "/add_pod", body);
      assertEquals([status, pod.status], [201, "placed"], JSON.stringify(pod));
      return pod.node ?? "";
    };
    const spread = [await place({ cpus: 1 }), await place({ cpus: 1 }), await place({ cpus: 1 })];
    assertEquals(new Set(spread).size, 3, `spread over ${spread}`);
    const packed = [await place({ cpus: 1, strategy: "binpack" })];
    packed.push(await place({ cpus: 1, strategy: "binpack" }));
    assertEquals(new Set(packed).size, 1, `packed on ${packed}`);
    const big = await call<ClassPod>("POST", "/add_pod", { cpus: 64 });
    assertEquals(big.body.status, "waiting");
    assertMatch(big.body.why ?? "", /^0 of 3 nodes fit: 3 lack CPU/);

    const [victim = ""] = packed;
    const before = (await nodes()).find(({ name }) => name === victim);
    assertEquals(before?.pods.length, 3);
    assertEquals(before?.available_cpus, (before?.cpus ?? 0) - 3);
    assertEquals((await call("PUT", "/restart_node", { node: before?.id })).status, 200);
    assertEquals((await call("DELETE", "/delete_node", { node: victim })).status, 200);
    assert(!names(await nodes()).includes(victim));
    await eventually(
      async () => (await nodes()).reduce((sum, { pods }) => sum + pods.length, 0) === 5,
      { what: "the pods of the deleted node to be elsewhere" },
    );
  });
});

Deno.test("a restarted node starts its pods anew, in place", async () => {
  await inPlayground(async ({ call, server, startHost, nodes }) => {
    await startHost(1);
    await eventually(async () => ready(await nodes()).length === 1, { what: "the node" });
    const { body: pod } = await call<ClassPod>("POST", "/add_pod", { cpus: 1 });
    const startedAt = async () => {
      const task = await server.client.getTask(`${pod.pod}.1`);
      const running = task.ok && task.value.observed?.state === "running";
      return running ? task.value.observed?.startedAt : undefined;
    };
    const first = await eventually(startedAt, { what: "the pod to run" });
    await call("PUT", "/restart_node", { node: "sim-1" });
    const again = async () => (await startedAt() ?? first) > first;
    await eventually(again, { timeoutMs: 15_000, what: "the pod to run again" });
  });
});

Deno.test("a host that is killed comes back as the same nodes, and deleted ones stay deleted", async () => {
  await inPlayground(async ({ call, nodes, startHost }) => {
    const host = await startHost(3);
    await eventually(async () => ready(await nodes()).length === 3, { what: "three nodes" });
    await call("DELETE", "/delete_node", { node: "sim-2" });
    const ids = (await nodes()).map(({ id }) => id);
    await host.stop("SIGKILL");
    await call("POST", "/add_node", {});
    assertEquals((await nodes()).find(({ name }) => name === "sim-4")?.status, "waiting");
    await startHost(3);
    await eventually(async () => ready(await nodes()).length === 3, {
      what: "the nodes to be back",
    });
    assertEquals(names(await nodes()), ["sim-1", "sim-3", "sim-4"]);
    assertEquals((await nodes()).slice(0, 2).map(({ id }) => id), ids);
  });
});

Deno.test("what was planned is what applying does, and simulating writes nothing", async () => {
  await inPlayground(async ({ dir, berth, nodes, server, startHost }) => {
    await startHost(4);
    await eventually(async () => ready(await nodes()).length === 4, { what: "four nodes" });
    const file = `${dir}/web.yaml`;
    const write = (replicas: number, image: string) =>
      Deno.writeTextFile(
        file,
        `services:
  - name: web
    mode: {type: replicated, replicas: ${replicas}}
    template:
      image: ${image}
      reserve: {cpus: 3, memoryMiB: 64}
`,
      );
    await write(5, "sim/web:1");
    const planned = JSON.parse((await berth("plan", file, "-o", "json")).out);
    assertEquals(planned.counts.new, 4);
    assertEquals([(await berth("plan", file)).code, (await berth("services", "-q")).out], [7, ""]);
    assertEquals((await berth("apply", file)).code, 0);
    const placed = async () => {
      const tasks = await server.client.listTasks({ service: "web" });
      return tasks.ok ? tasks.value.items : [];
    };
    await eventually(
      async () => (await placed()).filter(({ state }) => state === "running").length === 4,
      { what: "four tasks to run" },
    );
    const predicted = planned.changes.map((c: { name: string; to?: string }) =>
      `${c.name} ${c.to}`
    );
    const real = (await placed()).map(({ name, node }) => `${name} ${node}`);
    assertEquals(real.sort(), predicted.sort());
    assertMatch((await berth("apply", file)).out, /web +unchanged +1\n/);

    const simulated = await berth("simulate", "--fail", "sim-1,sim-2", "--add", "3", "-o", "json");
    assertEquals([simulated.code, JSON.parse(simulated.out).counts], [0, {
      new: 0,
      placed: 1,
      moved: 2,
      replaced: 0,
      stopped: 0,
      unplaceable: 0,
    }]);
    assertEquals((await placed()).map(({ name, node }) => `${name} ${node}`).sort(), real);
    await write(2, "sim/web:2");
    const change = JSON.parse((await berth("plan", file, "-o", "json")).out);
    assertEquals([change.counts.stopped, change.counts.unplaceable], [3, 0]);
    assertEquals(change.counts.replaced + change.counts.moved, 2);
    await Deno.writeTextFile(file, "services:\n  web:\n    image: nginx\n");
    const compose = await berth("apply", file);
    assertEquals([compose.code, compose.out], [2, ""]);
    assertMatch(compose.err, /web\.yaml:2:3: this looks like a Compose file/);
  });
});

Deno.test("against a server without a playground, a host has as many nodes as asked for", async () => {
  const dir = await Deno.makeTempDir();
  const server = await startServer({ dataDir: `${dir}/server` });
  const join = await server.client.createJoinToken();
  const host = spawn("worker", [
    ...["--server", server.url, "--join", join.ok ? join.value.token : ""],
    ...["--sim", "3", "--cpus", "2", "--state-dir", `${dir}/sim`],
  ]);
  try {
    const nodes = await eventually(async () => {
      const page = await server.client.listNodes();
      const items = page.ok ? page.value.items : [];
      const up = items.filter(({ status }) => status.state === "ready");
      return up.length === 3 ? up : undefined;
    }, { what: "three nodes" });
    assertEquals(nodes.map(({ name, capacity, runtime }) => [name, capacity.cpus, runtime]), [
      ["sim-1", 2, "sim"],
      ["sim-2", 2, "sim"],
      ["sim-3", 2, "sim"],
    ]);
  } finally {
    assertEquals(await host.stop(), 0);
    await server.stop();
    await Deno.remove(dir, { recursive: true });
  }
});
