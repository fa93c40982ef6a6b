import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { Assignment } from "../../kv/schema/agent.ts";
import { createAnswerer } from "../../worker/dns/answerer.ts";
import { DEFAULT_POOL, parsePool } from "../../worker/dns/pool.ts";
import { listenForQueries } from "../../worker/dns/responder.ts";
import { createZone } from "../../worker/dns/zone.ts";
import { connectEngine, type Engine } from "../../worker/docker/client.ts";
import type { EngineConnection } from "../../worker/docker/connect.ts";
import { createDockerRuntime } from "../../worker/docker/docker.ts";
import { LABEL, type ProjectNetworks, type Runtime } from "../../worker/runtime.ts";
import { newId, ok, soon, text } from "../contract/runtime_bench.ts";
import { engineTest, ensureTestImage, TEST_IMAGE } from "../support/engine.ts";
import { createFakeClock, type FakeClock } from "../support/fake_clock.ts";
import { service } from "./dns/support.ts";

interface Node {
  id: string;
  runtime: Runtime;
  networks: ProjectNetworks;
  clock: FakeClock;
  /** Starts a container of `service.project` and answers its task. */
  start(fullName: string): Promise<string>;
  /** What a command in the task's container says, and how it ends. */
  run(taskId: string, ...command: string[]): Promise<{ code: number; said: string }>;
}

interface Engines {
  docker: Engine;
  node(pool?: string): Node;
}

function networkTest(name: string, body: (at: Engines) => Promise<void>): void {
  engineTest(name, async (connection) => {
    await ensureTestImage(connection);
    const client = connectEngine(connection);
    const nodes: Node[] = [];
    try {
      await body({
        docker: client.docker,
        node(pool) {
          const node = createNode(connection, pool);
          nodes.push(node);
          return node;
        },
      });
    } finally {
      for (const { id, runtime } of nodes) {
        await clear(client.docker, id);
        await runtime.close();
      }
      client.close();
    }
  });
}

function createNode(connection: EngineConnection, poolText = DEFAULT_POOL): Node {
  const id = newId();
  const clock = createFakeClock();
  const pool = parsePool(poolText);
  assert(!("problem" in pool));
  const interfaces = () => Deno.networkInterfaces();
  const runtime = createDockerRuntime({
    ...{ connection, nodeId: id, clock, networks: { pool, interfaces } },
  });
  const { networks } = runtime;
  assert(networks);
  return {
    ...{ id, runtime, networks, clock },
    async start(fullName) {
      const assignment = assignmentOf(fullName);
      ok(await runtime.create(assignment, soon()));
      ok(await runtime.start(assignment.taskId, soon()));
      return assignment.taskId;
    },
    async run(taskId, ...command) {
      const options = { command, tty: false, stdin: false, env: {} };
      const session = ok(await runtime.exec(taskId, options, soon()));
      try {
        const { stdout, stderr } = await text(session.output);
        return { code: await session.exitCode(), said: stdout + stderr };
      } finally {
        await session.close();
      }
    },
  };
}

function assignmentOf(fullName: string): Assignment {
  const [name = "", project = ""] = fullName.split(".");
  const serve = "mkdir /w; echo $HOSTNAME > /w/index.html; exec httpd -f -p 80 -h /w";
  return Assignment.parse({
    ...{ taskId: newId(), serviceId: newId(), service: name, project, slot: 1, revision: 1 },
    desired: "run",
    template: { image: TEST_IMAGE, command: ["sh", "-c", serve], init: true },
  });
}

async function clear(docker: Engine, nodeId: string): Promise<void> {
  const filters = { label: [`${LABEL.node}=${nodeId}`] };
  for (const { Id } of await docker.listContainers({ all: true, filters })) {
    await docker.getContainer(Id).remove({ force: true });
  }
  for (const { Id } of await docker.listNetworks({ filters })) await docker.getNetwork(Id).remove();
}

async function addressOf(node: Node, project: string, taskId: string): Promise<string> {
  const address = ok(await node.networks.addresses(project, soon())).get(taskId);
  assert(address);
  return address;
}

networkTest(
  "containers reach those of their project on the node, and no others; not even on the same engine",
  async ({ node }) => {
    const [one, other] = [node(), node()];
    const client = await one.start("web.shop");
    const server = await one.start("api.shop");
    const stranger = await one.start("api.bank");
    const elsewhere = await other.start("api.shop");
    const reach = async (at: Node, project: string, taskId: string) => {
      const address = await addressOf(at, project, taskId);
      return (await one.run(client, "nc", "-w", "1", address, "80")).code;
    };
    assertEquals(await reach(one, "shop", server), 0);
    assertNotEquals(await reach(one, "bank", stranger), 0);
    assertNotEquals(await reach(other, "shop", elsewhere), 0);
  },
);

networkTest("names are asked of who answers on the network's gateway", async ({ node }) => {
  const at = node();
  const answer = createAnswerer({
    project: "shop",
    zone: () => createZone([service(1, "api.shop")]),
    addresses: {
      ofService: () => Promise.resolve(["192.0.2.1"]),
      ofTask: () => Promise.resolve(undefined),
    },
    forwarder: { forward: () => Promise.resolve(undefined) },
    random: () => 0,
  });
  const responders: { close(): Promise<void> }[] = [];
  at.networks.onUse(async ({ gateway }) => {
    const listened = await listenForQueries({ address: gateway, answer, log: () => {} });
    assert(listened.ok, JSON.stringify(listened));
    responders.push(listened.responder);
    return [gateway];
  });
  try {
    const task = await at.start("web.shop");
    const found = async (name: string) => (await at.run(task, "nslookup", name)).said;
    assert((await found("api")).includes("192.0.2.1"));
    assert((await found("api.shop")).includes("192.0.2.1"));
    assert((await found("nothing")).includes("NXDOMAIN"));
    // The engine itself must not answer for what it knows on this machine alone.
    assert((await found("web")).includes("NXDOMAIN"));
  } finally {
    for (const responder of responders) await responder.close();
  }
});

networkTest("where nobody answers, the engine knows the services of the node", async ({ node }) => {
  const at = node();
  const task = await at.start("web.shop");
  await at.start("api.shop");
  assertEquals((await at.run(task, "wget", "-q", "-O", "-", "http://api")).code, 0);
});

networkTest(
  "a network is removed when no container is left and none was just asked for",
  async ({ node }) => {
    const [at, other] = [node(), node()];
    const names = async () => ok(await at.networks.list(soon())).map(({ project }) => project);
    const shop = await at.start("web.shop");
    await at.start("web.bank");
    await other.start("web.shop");
    await at.clock.advance(120_000);
    assertEquals(ok(await at.networks.prune(soon())), []);
    ok(await at.runtime.remove(shop, soon()));
    assertEquals(ok(await at.networks.prune(soon())), ["shop"]);
    assertEquals(await names(), ["bank"]);
    assertEquals(ok(await other.networks.list(soon())).length, 1, "another node's is left alone");

    const again = await at.start("web.shop");
    ok(await at.runtime.remove(again, soon()));
    assertEquals(ok(await at.networks.prune(soon())), [], "a container may be about to be made");
    await at.clock.advance(120_000);
    assertEquals(ok(await at.networks.prune(soon())), ["shop"]);
  },
);

networkTest(
  "a network that somebody removed is made again when a task starts",
  async ({ docker, node }) => {
    const at = node();
    const assignment = assignmentOf("web.shop");
    ok(await at.runtime.create(assignment, soon()));
    const [network] = ok(await at.networks.list(soon()));
    assert(network);
    await docker.getNetwork(network.id).remove();
    ok(await at.runtime.start(assignment.taskId, soon()));
    const [anew] = ok(await at.networks.list(soon()));
    assertEquals(anew?.subnet, network.subnet);
    assertNotEquals(anew?.id, network.id);
  },
);

networkTest("many that need the network at once make one", async ({ node }) => {
  const at = node();
  const all = [1, 2, 3].map((n) => at.start(`s${n}.shop`));
  await Promise.all(all);
  assertEquals(ok(await at.networks.list(soon())).length, 1);
});

networkTest(
  "when all subnets are taken, those of nodes that are gone are used again, and no others",
  async ({ node }) => {
    const ONE_SUBNET = "10.214.0.0/22";
    const [gone, here, late] = [node(ONE_SUBNET), node(ONE_SUBNET), node(ONE_SUBNET)];
    const left = await gone.start("web.shop");
    ok(await gone.runtime.remove(left, soon()));
    await here.start("web.shop");
    assertEquals(ok(await gone.networks.list(soon())), []);
    const refusal = await late.runtime.create(assignmentOf("web.shop"), soon());
    assert(!refusal.ok && refusal.kind === "refused");
    assert(refusal.message.startsWith("no subnet of 10.214.0.0/22 is free"), refusal.message);
    assertEquals(ok(await here.networks.list(soon())).length, 1);
  },
);
