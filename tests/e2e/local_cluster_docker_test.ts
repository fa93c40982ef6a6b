import { assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { createClient } from "../../api/client.ts";
import { startCluster } from "../../cli/local/cluster.ts";
import { systemClock } from "../../kv/schema/time.ts";
import { okValue } from "../support/api.ts";
import { engineTest, ensureTestImage } from "../support/engine.ts";
import { eventually } from "../support/eventually.ts";
import { SLEEPER } from "../support/rig.ts";

const ROOT = new URL("../..", import.meta.url).pathname;
const PATIENCE = { timeoutMs: 60_000 };

engineTest(
  "a worker of dev that is killed with -9 is started again and adopts its containers",
  async (connection) => {
    await ensureTestImage(connection);
    const dir = await Deno.makeTempDir({ prefix: "berth-dev-" });
    const news: string[] = [];
    const started = await startCluster(
      { clock: systemClock, connect: (target) => Promise.resolve(connectTo(target)) },
      {
        ...{ root: ROOT, dir, prefix: "devtest", workers: 1, sim: false, port: 0 },
        ...{ cpus: 1, memoryMiB: 256, onNews: (line) => news.push(line) },
      },
    );
    if (!started.ok) throw new Error(started.message);
    const { cluster } = started;
    const { client, workers: [worker] } = cluster;
    const task = async () => okValue(await client.listTasks({ service: "kept" })).items[0];
    try {
      okValue(
        await client.createService({
          name: "kept",
          template: SLEEPER,
        }),
      );
      const before = await eventually(async () => {
        const found = await task();
        return found?.state === "running" && found.observed?.containerId ? found : undefined;
      }, { ...PATIENCE, what: "the task to run" });
      const firstPid = worker?.pid();
      Deno.kill(firstPid ?? 0, "SIGKILL");
      await eventually(() => ![undefined, firstPid].includes(worker?.pid()), {
        ...PATIENCE,
        what: "another process",
      });
      assertMatch(news.join("\n"), /devtest-1 ended with code 137: starting it again/);
      // Placed and running only if the new process polls.
      okValue(
        await client.createService({
          name: "later",
          template: SLEEPER,
        }),
      );
      await eventually(async () => {
        const { items } = okValue(await client.listTasks({ service: "later" }));
        return items[0]?.state === "running";
      }, { ...PATIENCE, what: "the new worker to run a task" });
      const after = await task();
      assertEquals(
        [after?.id, after?.observed?.containerId, after?.observed?.attempt],
        [before.id, before.observed?.containerId, 1],
      );
      assertNotEquals(worker?.pid(), firstPid);
    } finally {
      for (const name of ["kept", "later"]) await client.deleteService(name);
      await eventually(
        async () => okValue(await client.listServices()).items.length === 0,
        { ...PATIENCE, what: "the services to be gone" },
      );
      await cluster.stop();
      await Deno.remove(dir, { recursive: true });
    }
  },
);

function connectTo({ server, token }: { server: string; token?: string | undefined }) {
  return createClient({ url: server, ...(token === undefined ? {} : { token }) });
}
