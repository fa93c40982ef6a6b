import { assert, assertEquals } from "@std/assert";
import { connectEngine } from "../../worker/docker/client.ts";
import { okValue } from "../support/api.ts";
import { watchContainers } from "../support/observer.ts";
import { engineTest } from "../support/engine.ts";
import { inRig, type Rig } from "../support/rig.ts";

const TTL_MS = 4000;
const LOST = ["x", "y", "z"];

function signalAll(rig: Rig, names: readonly string[], signal: Deno.Signal): void {
  for (const name of names) rig.workers.get(name)?.signal(signal);
}

const events = async (rig: Rig) => okValue(await rig.server.client.listEvents({ last: 500 })).items;

engineTest("three of four nodes fall silent, and come back", async (connection, t) => {
  const options = { workers: { k: [], x: [], y: [], z: [] }, ttlMs: TTL_MS };
  await inRig(connection, options, async (rig) => {
    await rig.setNode("k", { availability: "cordon" });
    const count = (replicas: number) => ({ type: "replicated", replicas }) as const;
    await rig.run({ name: "many", mode: count(12) });
    await rig.run({ name: "patient", disconnect: { replaceAfterMs: 3600_000 } });
    await rig.run({ name: "loyal", disconnect: { reconcile: "keep-old" } });
    const [patient] = await rig.running("patient", 1);
    const [loyal] = await rig.running("loyal", 1);
    await rig.running("many", 12);
    const observer = await watchContainers(connection, "many", rig.project);
    try {
      await t.step("a cordoned node gets no task", async () => {
        assert(!(await rig.places("many")).includes("k"));
        await rig.setNode("k", {});
      });
      await t.step("they are down at once, and their tasks go at most ten a second", async () => {
        signalAll(rig, LOST, "SIGSTOP");
        await rig.until(
          "all tasks on the node that is left",
          async () => (await rig.places("many")).every((node) => node === "k"),
        );
        await rig.running("many", 12);
        const log = await events(rig);
        const down = log.filter(({ type }) => type === "node.down").map(({ node }) => node);
        assert(LOST.every((name) => down.includes(name)), `${down}`);
        const lostMs = log.filter(({ type, state, service }) =>
          type === "task.state" && state === "lost" && service === `${rig.project}/many`
        ).map(({ at }) => Date.parse(at)).sort((a, b) => a - b);
        assert(lostMs.length >= 12);
        for (const [i, atMs] of lostMs.slice(10).entries()) {
          const sinceMs = atMs - (lostMs[i] ?? 0);
          assert(sinceMs >= 900, `eleven were given up within ${sinceMs} ms`);
        }
      });
      await t.step(
        "a patient service waits for its node, a loyal one is replaced meanwhile",
        async () => {
          assertEquals((await rig.live("patient")).map(({ id }) => id), [patient?.id]);
          await rig.until(
            "a second task of loyal",
            async () =>
              (await rig.live("loyal")).some(({ node, state }) =>
                node === "k" && state === "running"
              ),
          );
        },
      );
      await t.step("back again, zombies end, and keep-old keeps the old task", async () => {
        signalAll(rig, LOST, "SIGCONT");
        await rig.until("the zombies to be gone", () => observer.running() === 12);
        const [kept] = await rig.running("loyal", 1);
        assertEquals(kept?.id, loyal?.id);
        const [same] = await rig.running("patient", 1);
        assertEquals([same?.id, same?.observed?.attempt], [patient?.id, 1]);
        assert((await rig.places("many")).every((node) => node === "k"), "nothing moved back");
      });
    } finally {
      await observer.close();
    }
  });
});

engineTest("workers without their control plane, and a restarted agent", async (connection, t) => {
  await inRig(connection, { workers: { n1: [] }, ttlMs: TTL_MS }, async (rig) => {
    await rig.run({ name: "steady", mode: { type: "replicated", replicas: 2 } });
    await rig.run({ name: "leashed", disconnect: { stopAfterMs: 2000 } });
    const [first, second] = await rig.running("steady", 2);
    await rig.running("leashed", 1);
    const steady = await watchContainers(connection, "steady", rig.project);
    const short = await watchContainers(connection, "leashed", rig.project);
    try {
      await t.step(
        "an agent that is restarted on request leaves its containers alone",
        async () => {
          okValue(await rig.server.client.restartNode("n1"));
          await rig.until(
            "the agent to run for the second time",
            () => rig.workers.get("n1")?.log().split("agent runs").length === 3,
          );
          const ids = (await rig.running("steady", 2)).map(({ id }) => id);
          assertEquals(ids, [first?.id, second?.id]);
          assertEquals(steady.history(), ["2 at first"]);
        },
      );
      await t.step("cut off, the agent heals in place and stops what asked for it", async () => {
        // `running` is told when the engine has answered the start, the container's id with the next look.
        const containerId = await rig.until(
          "the container's id",
          async () => (await rig.live("steady"))[0]?.observed?.containerId,
        );
        await rig.killServer();
        const engine = connectEngine(connection);
        await engine.docker.getContainer(containerId).kill();
        engine.close();
        await rig.until("the killed container to run again", () => steady.startsMs().length === 1);
        await rig.until("the leashed one to stop", () => short.running() === 0);
        assertEquals(steady.running(), 2);
      });
      await t.step(
        "a leader that takes over gives grace: nothing is lost for its absence",
        async () => {
          await rig.reviveServer();
          await rig.until(
            "the restart to be known",
            async () => (await rig.running("steady", 2))[0]?.observed?.attempt === 2,
          );
          const ids = (await rig.live("steady")).map(({ id }) => id);
          assertEquals(ids, [first?.id, second?.id]);
          await rig.running("leashed", 1);
          const lost = (await events(rig)).filter(({ type, state }) =>
            type === "node.down" || state === "lost"
          );
          assertEquals(lost, []);
        },
      );
    } finally {
      await steady.close();
      await short.close();
    }
  });
});
