import { assert, assertEquals } from "@std/assert";
import { engineTest } from "../support/engine.ts";
import { eventually } from "../support/eventually.ts";
import { watchContainers } from "../support/observer.ts";
import { inRig } from "../support/rig.ts";
import type { EngineConnection } from "../../worker/docker/connect.ts";

const TTL_MS = 4000;
/** Within it a worker must be killed, start again and be heard of, on a busy machine too. */
const RESTART_TTL_MS = 10_000;

const rig = (
  connection: EngineConnection,
  workers: string[],
  body: Parameters<typeof inRig>[2],
) => inRig(connection, { workers, ttlMs: TTL_MS }, body);

engineTest(
  "a strict singleton on a frozen worker is dead before its replacement starts, and stays single",
  async (connection) => {
    await rig(
      connection,
      ["a", "b"],
      async ({ server, workers, places, run, running, project }) => {
        await run({ name: "one", singleton: "strict" });
        await running("one", 1);
        const observer = await watchContainers(connection, "one", project);
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
      },
    );
  },
);

engineTest(
  "a worker that dies and comes back keeps its strict singleton; one that stays away loses it to its guard",
  async (connection) => {
    await inRig(
      connection,
      { workers: ["a", "b"], ttlMs: RESTART_TTL_MS },
      async ({ server, workers, places, run, running, revive, project }) => {
        await run({ name: "one", singleton: "strict" });
        await running("one", 1);
        const observer = await watchContainers(connection, "one", project);
        try {
          const [first = ""] = await places("one");
          await workers.get(first)?.stop("SIGKILL");
          await revive(first);
          // The guard of the dead worker would have killed it by now, were it still in charge.
          const beganMs = performance.now();
          await eventually(() => performance.now() - beganMs > 1.2 * RESTART_TTL_MS, {
            timeoutMs: 3 * RESTART_TTL_MS,
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
      },
    );
  },
);

engineTest("a thawed worker kills what was replaced meanwhile", async (connection) => {
  await rig(connection, ["a", "b"], async ({ workers, places, run, running, project }) => {
    await run({ name: "web", mode: { type: "replicated", replicas: 4 } });
    await running("web", 4);
    const observer = await watchContainers(connection, "web", project);
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
    await rig(connection, ["a", "b"], async ({ server, places, run, running, project }) => {
      await run({
        name: "web",
        mode: { type: "replicated", replicas: 6 },
        disruption: { maxUnavailable: 2 },
      });
      await running("web", 6);
      const observer = await watchContainers(connection, "web", project);
      try {
        const put = await server.client.putNodeSpec("a", { labels: {}, availability: "drain" });
        assert(put.ok && put.value.drain?.left === 3, JSON.stringify(put));
        const { since = "", deadlineAt = "" } = put.value.drain;
        assertEquals(Date.parse(deadlineAt) - Date.parse(since), 3600_000);
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
