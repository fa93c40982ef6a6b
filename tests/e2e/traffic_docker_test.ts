import { assertEquals, assertStringIncludes } from "@std/assert";
import type { Client } from "../../api/client.ts";
import type { ServiceSpecInput } from "../../kv/schema/service.ts";
import type { EngineConnection } from "../../worker/docker/connect.ts";
import { okValue, problemOf } from "../support/api.ts";
import { berthCommand, ranBerth } from "../support/berth.ts";
import { clearNode, engineTest, ensureTestImage, TEST_IMAGE } from "../support/engine.ts";
import { eventually } from "../support/eventually.ts";
import { steadyClient } from "../support/http_clients.ts";
import { keepAliveCommand } from "../support/keepalive_server.ts";
import {
  type ChildProcess,
  type ServerProcess,
  startServer,
  startWorker,
} from "../support/processes.ts";
import { freePort } from "../support/traffic.ts";

interface Scene {
  dir: string;
  server: ServerProcess;
  client: Client;
  workers: ChildProcess[];
  port: number;
}

/** A control plane and workers on the real engine; what they started is gone afterwards. */
async function inCluster(
  connection: EngineConnection,
  workers: number,
  run: (scene: Scene) => Promise<void>,
): Promise<void> {
  await ensureTestImage(connection);
  const dir = await Deno.makeTempDir();
  const server = await startServer({ dataDir: `${dir}/server` });
  const scene: Scene = { dir, server, client: server.client, workers: [], port: freePort() };
  const nodeIds: string[] = [];
  try {
    for (let i = 1; i <= workers; i++) {
      scene.workers.push(await startWorker(server, { name: `n${i}`, stateDir: dir }));
      nodeIds.push(okValue(await server.client.getNode(`n${i}`)).id);
    }
    await run(scene);
  } finally {
    for (const worker of scene.workers) await worker.stop();
    await scene.server.stop();
    for (const nodeId of nodeIds) {
      await clearNode(connection, nodeId);
    }
    await Deno.remove(dir, { recursive: true });
  }
}

function specOf(
  port: number,
  page: string,
  { replicas = 2, ...update }: { replicas?: number } & ServiceSpecInput["update"] = {},
): ServiceSpecInput {
  return {
    name: "web",
    mode: { type: "replicated", replicas },
    template: {
      image: TEST_IMAGE,
      command: keepAliveCommand(page),
      ports: [{ target: 80, published: port }],
      readiness: { probe: { type: "tcp", port: 80 }, startIntervalMs: 100 },
      stopGraceMs: 5_000,
    },
    update: { monitorMs: 500, ...update },
  };
}

async function get(port: number): Promise<string | undefined> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/`, { headers: { connection: "close" } });
    return (await response.text()).trim();
  } catch {
    return undefined;
  }
}

const answers = (port: number, page: string) =>
  eventually(async () => await get(port) === page, {
    timeoutMs: 60_000,
    what: `port ${port} to answer ${page}`,
  });

for (const order of ["stop-first", "start-first"] as const) {
  engineTest(
    `a ${order} rollout through the published port loses no request and resets no connection`,
    (engine) =>
      inCluster(engine, 1, async ({ client, port }) => {
        okValue(await client.createService(specOf(port, "one", { replicas: 3, order })));
        await answers(port, "one");
        await eventually(async () => okValue(await client.getService("web")).counts.ready === 3, {
          timeoutMs: 60_000,
        });
        const stop = new AbortController();
        const steady = { port, signal: stop.signal };
        const clients = [
          ...[1, 2, 3].map(() => steadyClient({ ...steady, keepAlive: false })),
          ...[1, 2, 3].map(() => steadyClient({ ...steady, keepAlive: true })),
        ];
        const answered = (page: string) => clients.every(({ pages }) => (pages.get(page) ?? 0) > 5);
        try {
          await eventually(() => answered("one"), { timeoutMs: 60_000 });
          okValue(await client.putService("web", specOf(port, "two", { replicas: 3, order })));
          let last = "";
          await eventually(async () => {
            const { rollout, phase } = okValue(await client.getService("web"));
            last = JSON.stringify(rollout);
            return rollout?.revision === 2 && rollout.state === "done" && phase === "running";
          }, { timeoutMs: 120_000, what: `the rollout to be done: ${last}` });
          for (const { pages } of clients) pages.clear();
          await eventually(() => answered("two"), { timeoutMs: 60_000 });
        } finally {
          stop.abort();
          await Promise.all(clients.map(({ ended }) => ended));
        }
        assertEquals(clients.flatMap(({ lost }) => lost), []);
        assertEquals(clients.filter(({ pages }) => pages.has("one")), []);
      }),
  );
}

engineTest(
  "of two agents on one machine one listens for both; the other says so, and takes over",
  (engine) =>
    inCluster(engine, 2, async ({ client, port, workers }) => {
      okValue(await client.createService(specOf(port, "one")));
      await answers(port, "one");
      const endpoints = okValue(await client.getEndpoints("web"));
      assertEquals(endpoints.ports.map((p) => p.published), [port]);
      const unbound = async () => {
        const nodes = okValue(await client.listNodes()).items;
        return nodes.filter(({ unboundPorts = [] }) => unboundPorts[0]?.published === port);
      };
      const loser = (await eventually(async () => {
        const found = await unbound();
        return found.length === 1 ? found : undefined;
      }))[0]?.name;
      const winner = workers[loser === "n1" ? 1 : 0];
      await winner?.stop("SIGKILL");
      await answers(port, "one");
      await eventually(async () => (await unbound()).length === 0);
    }),
);

engineTest(
  "traffic goes on while the control plane is away, also with an agent that starts then",
  (engine) =>
    inCluster(engine, 1, async (scene) => {
      const { client, port, dir, server, workers } = scene;
      okValue(await client.createService(specOf(port, "one")));
      await answers(port, "one");
      await eventually(() => Deno.stat(`${dir}/n1/endpoints.json`).catch(() => undefined));
      const ready = () =>
        Deno.readTextFile(`${dir}/n1/endpoints.json`).then((text) =>
          text.split('"ready"').length === 3
        );
      await eventually(ready, { what: "the table with both tasks to be saved", timeoutMs: 30_000 });
      const { url } = server;
      await server.stop("SIGKILL");
      assertEquals(await get(port), "one");
      await workers[0]?.stop();
      assertEquals(await get(port), undefined);
      const away = new Deno.Command(Deno.execPath(), {
        args: [
          ...["run", "-q", "-P=worker", `--allow-run=${Deno.execPath()}`, "worker/main.ts"],
          ...["--server", url, "--name", "n1", "--state-dir", `${dir}/n1`],
        ],
        stdout: "null",
        stderr: "null",
      }).spawn();
      try {
        await answers(port, "one");
      } finally {
        away.kill("SIGTERM");
        await away.status;
      }
      scene.server = await startServer({
        dataDir: `${dir}/server`,
        port: Number(new URL(url).port),
      });
    }),
);

engineTest(
  "a published port that another program has is told to the user, and nothing else suffers",
  (engine) =>
    inCluster(engine, 1, async ({ client, port }) => {
      using stranger = Deno.listen({ hostname: "0.0.0.0", port });
      okValue(await client.createService(specOf(port, "one", { replicas: 1 })));
      const node = await eventually(async () => {
        const found = okValue(await client.getNode("n1"));
        return found.unboundPorts?.length === 1 ? found : undefined;
      });
      assertStringIncludes(node.unboundPorts?.[0]?.reason ?? "", "another program");
      await eventually(async () =>
        okValue(await client.listEvents({ last: 50 })).items.some(({ type, why = "" }) =>
          type === "node.changed" && why.includes(`tcp/${port}`)
        )
      );
      const other = freePort();
      okValue(
        await client.createService({ ...specOf(other, "api", { replicas: 1 }), name: "api" }),
      );
      await answers(other, "api");
      assertEquals(
        problemOf(await client.createService({ ...specOf(other, "x"), name: "x" })).status,
        409,
      );
      stranger.close();
      await answers(port, "one");
    }),
);

engineTest(
  "a service that publishes nothing is reached with curl and port-forward, and listed",
  (engine) =>
    inCluster(engine, 1, async ({ client, server, dir }) => {
      const { template, ...rest } = specOf(1, "hidden", { replicas: 2 });
      okValue(await client.createService({ ...rest, template: { ...template, ports: [] } }));
      await eventually(async () => okValue(await client.getService("web")).counts.ready === 2, {
        timeoutMs: 60_000,
      });
      const options = { server, configDir: dir };
      const berth = (...args: string[]) => ranBerth(options, args);
      const plain = await berth("curl", "-i", "web/some/path");
      assertEquals([plain.code, plain.err], [0, ""]);
      assertStringIncludes(plain.out, "HTTP 200");
      assertStringIncludes(plain.out, "hidden");
      const wrong = await berth("curl", "-p", "81", "web.1/");
      assertEquals(wrong.code, 1);
      assertStringIncludes(wrong.err, "port 81");
      const listed = await berth("endpoints", "web", "-o", "json");
      const { endpoints, ports } = JSON.parse(listed.out);
      assertEquals([endpoints.length, ports], [2, []]);
      assertStringIncludes((await berth("endpoints", "web")).out, "ready");
      const local = freePort();
      const forwarding = berthCommand(options, ["port-forward", "web", `${local}:80`]).spawn();
      await answers(local, "hidden");
      forwarding.kill("SIGINT");
      assertEquals((await forwarding.output()).code, 0);
    }),
);
