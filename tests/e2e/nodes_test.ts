import { assert, assertEquals } from "@std/assert";
import type { ServiceSpecInput } from "../../kv/schema/service.ts";
import { engineTest, ensureTestImage } from "../support/engine.ts";
import { eventually } from "../support/eventually.ts";
import {
  type ChildProcess,
  type ServerProcess,
  startServer,
  startWorker,
} from "../support/processes.ts";
import { TEST_IMAGE } from "../support/engine.ts";
import { watchContainers } from "../support/observer.ts";
import type { EngineConnection } from "../../worker/docker/connect.ts";

const TTL_MS = 4000;

interface Rig {
  server: ServerProcess;
  workers: Map<string, ChildProcess>;
  /** The name of the node of each live task of the service, by slot. */
  places(service: string): Promise<(string | undefined)[]>;
  run(spec: Partial<ServiceSpecInput> & { name: string }): Promise<void>;
  running(service: string, count: number): Promise<void>;
  /** Starts the worker of that name again. */
  revive(name: string): Promise<void>;
}

async function rig(
  connection: EngineConnection,
  names: string[],
  body: (rig: Rig) => Promise<void>,
): Promise<void> {
  await ensureTestImage(connection);
  const dir = await Deno.makeTempDir({ prefix: "berth-nodes-" });
  const server = await startServer({
    dataDir: `${dir}/server`,
    args: ["--node-ttl-ms", String(TTL_MS)],
  });
  const workers = new Map<string, ChildProcess>();
  for (const name of names) {
    workers.set(name, await startWorker(server, { name, stateDir: dir }));
  }
  const live = async (service: string) => {
    const listed = await server.client.listTasks({ service });
    if (!listed.ok) throw new Error(JSON.stringify(listed.error));
    return listed.value.items.filter((t) =>
      ["pending", "assigned", "preparing", "starting", "running"].includes(t.state)
    );
  };
  try {
    await body({
      server,
      workers,
      places: async (service) => (await live(service)).map((task) => task.node),
      async run(spec) {
        const made = await server.client.createService({
          template: {
            image: TEST_IMAGE,
            command: ["sleep", "3600"],
            pullPolicy: "never",
            stopGraceMs: 0,
          },
          ...spec,
        });
        assert(made.ok, JSON.stringify(made));
      },
      async revive(name) {
        workers.set(name, await startWorker(server, { name, stateDir: dir }));
      },
      running: async (service, count) => {
        await eventually(async () => {
          const tasks = await live(service);
          return tasks.length === count && tasks.every((t) => t.state === "running");
        }, { timeoutMs: 30_000, what: `${count} running tasks of ${service}` });
      },
    });
  } finally {
    for (const worker of workers.values()) worker.signal("SIGCONT");
    const services = await server.client.listServices();
    for (const { name } of services.ok ? services.value.items : []) {
      await server.client.deleteService(name);
    }
    await eventually(async () => {
      const left = await server.client.listServices();
      return left.ok && left.value.items.length === 0;
    }, { timeoutMs: 30_000, what: "all services to be gone" });
    await Promise.all([...workers.values()].map((worker) => worker.stop()));
    await server.stop();
    await Deno.remove(dir, { recursive: true });
  }
}

engineTest(
  "a strict singleton on a frozen worker is dead before its replacement starts, and stays single",
  async (connection) => {
    await rig(connection, ["a", "b"], async ({ server, workers, places, run, running }) => {
      await run({ name: "one", singleton: "strict" });
      await running("one", 1);
      const observer = await watchContainers(connection, "one");
      try {
        const [first = ""] = await places("one");
        workers.get(first)?.signal("SIGSTOP");
        await eventually(async () => {
          const [now] = await places("one");
          return now !== undefined && now !== first;
        }, { timeoutMs: 30_000, what: "the replacement on the other node" });
        await running("one", 1);
        workers.get(first)?.signal("SIGCONT");
        await eventually(async () => {
          const node = await server.client.getNode(first);
          return node.ok && node.value.status.state === "ready";
        }, { timeoutMs: 15_000, what: "the thawed node to be ready" });
        await running("one", 1);
        await observer.settle();
        assertEquals(observer.mostAtOnce(), 1, observer.history().join("\n"));
      } finally {
        await observer.close();
      }
    });
  },
);

engineTest(
  "a worker that dies and comes back keeps its strict singleton; one that stays away loses it to its guard",
  async (connection) => {
    await rig(connection, ["a", "b"], async ({ server, workers, places, run, running, revive }) => {
      await run({ name: "one", singleton: "strict" });
      await running("one", 1);
      const observer = await watchContainers(connection, "one");
      try {
        const [first = ""] = await places("one");
        await workers.get(first)?.stop("SIGKILL");
        await revive(first);
        // The guard of the dead worker would have killed it by now, were it still in charge.
        const beganMs = performance.now();
        await eventually(() => performance.now() - beganMs > 2 * TTL_MS, {
          timeoutMs: 3 * TTL_MS,
        });
        assertEquals(observer.history(), ["1 at first"]);
        await workers.get(first)?.stop("SIGKILL");
        await eventually(async () => {
          const [now] = await places("one");
          return now !== undefined && now !== first;
        }, { timeoutMs: 30_000, what: "the replacement on the other node" });
        await running("one", 1);
        await observer.settle();
        assertEquals(observer.mostAtOnce(), 1, observer.history().join("\n"));
        await revive(first);
        const node = await server.client.getNode(first);
        assert(node.ok);
      } finally {
        await observer.close();
      }
    });
  },
);

engineTest("a thawed worker kills what was replaced meanwhile", async (connection) => {
  await rig(connection, ["a", "b"], async ({ workers, places, run, running }) => {
    await run({ name: "web", mode: { type: "replicated", replicas: 4 } });
    await running("web", 4);
    const observer = await watchContainers(connection, "web");
    try {
      workers.get("a")?.signal("SIGSTOP");
      await eventually(async () => (await places("web")).every((node) => node === "b"), {
        timeoutMs: 30_000,
        what: "all tasks on the other node",
      });
      await running("web", 4);
      assertEquals(observer.running(), 6, "the frozen worker's two live on");
      workers.get("a")?.signal("SIGCONT");
      await eventually(() => observer.running() === 4, {
        timeoutMs: 10_000,
        what: "the zombies to be gone",
      });
    } finally {
      await observer.close();
    }
  });
});

engineTest(
  "a drain keeps the budget, empties the node, and reports its progress",
  async (connection) => {
    await rig(connection, ["a", "b"], async ({ server, places, run, running }) => {
      await run({
        name: "web",
        mode: { type: "replicated", replicas: 6 },
        disruption: { maxUnavailable: 2 },
      });
      await running("web", 6);
      const observer = await watchContainers(connection, "web");
      try {
        const put = await server.client.putNodeSpec("a", { labels: {}, availability: "drain" });
        assert(put.ok && put.value.drain?.left === 3, JSON.stringify(put));
        await eventually(async () => (await places("web")).every((node) => node === "b"), {
          timeoutMs: 30_000,
          what: "the node to be empty",
        });
        await running("web", 6);
        await observer.settle();
        assert(observer.fewestAtOnce() >= 4, observer.history().join("\n"));
      } finally {
        await observer.close();
      }
    });
  },
);

engineTest(
  "a node with tasks is removed only by force: its credential ends, its tasks move",
  async (connection) => {
    await rig(connection, ["a", "b"], async ({ server, workers, places, run, running }) => {
      await run({ name: "web", mode: { type: "replicated", replicas: 2 } });
      await running("web", 2);
      const refused = await server.client.deleteNode("a");
      assert(!refused.ok && refused.error.kind === "problem");
      assertEquals(refused.error.problem.status, 409);
      const worker = workers.get("a");
      worker?.signal("SIGSTOP"); // So that it does not join again at once.
      assert((await server.client.deleteNode("a", { force: true })).ok);
      await eventually(async () => (await places("web")).join() === "b,b", {
        timeoutMs: 20_000,
        what: "both tasks on the other node",
      });
      worker?.signal("SIGCONT");
      // It has a join token: it comes back as another node, and removes what it no longer owns.
      await eventually(async () => (await server.client.getNode("a")).ok, {
        timeoutMs: 20_000,
        what: "the machine to join anew",
      });
    });
  },
);
