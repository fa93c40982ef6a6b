import { assert, assertEquals } from "@std/assert";
import type { Client } from "../../api/client.ts";
import type { RunView } from "../../kv/schema/run.ts";
import type { ServiceSpecInput } from "../../kv/schema/service.ts";
import type { TaskView } from "../../kv/schema/task.ts";
import type { EngineConnection } from "../../worker/docker/connect.ts";
import { okValue } from "../support/api.ts";
import { engineTest, TEST_IMAGE } from "../support/engine.ts";
import { eventually } from "../support/eventually.ts";
import { inRig, SLEEPER } from "../support/rig.ts";

const PATIENCE = { timeoutMs: 60_000 };

/** A real control plane and two real workers on the engine; all services are gone afterwards. */
function withCluster(
  connection: EngineConnection,
  body: (client: Client) => Promise<void>,
): Promise<void> {
  return inRig(connection, { workers: ["m1", "m2"] }, ({ server }) => body(server.client));
}

function service(
  name: string,
  mode: NonNullable<ServiceSpecInput["mode"]>,
  command: string[],
): ServiceSpecInput {
  const restart = { condition: mode.type === "global" ? "any" : "none" } as const;
  return { name, mode, template: { image: TEST_IMAGE, command, restart, stopGraceMs: 1000 } };
}

async function tasksOf(client: Client, name: string): Promise<TaskView[]> {
  return okValue(await client.listTasks({ service: name, project: "default" })).items;
}

async function runsOf(client: Client, name: string): Promise<RunView[]> {
  return okValue(await client.listRuns(name)).items;
}

engineTest("global: a task on each worker, none on one that is drained", async (connection) => {
  await withCluster(connection, async (client) => {
    okValue(await client.createService(service("agent", { type: "global" }, SLEEPER.command)));
    const nodes = async () =>
      (await tasksOf(client, "agent")).filter((task) => task.state === "running")
        .map((task) => task.node).sort().join();
    await eventually(async () => await nodes() === "m1,m2", { ...PATIENCE, what: "both" });
    const phase = async () => okValue(await client.getService("agent")).phase;
    await eventually(async () => await phase() === "running", { ...PATIENCE, what: "all ready" });
    okValue(await client.putNodeSpec("m2", { labels: {}, availability: "drain" }));
    await eventually(async () => await nodes() === "m1", { ...PATIENCE, what: "m1 alone" });
    okValue(await client.putNodeSpec("m2", { labels: {}, availability: "active" }));
    await eventually(async () => await nodes() === "m1,m2", { ...PATIENCE, what: "both again" });
  });
});

engineTest(
  "cron: a run each second, each time once; and a run on request with its own arguments",
  async (connection) => {
    await withCluster(connection, async (client) => {
      const mode = {
        type: "cron",
        schedule: "* * * * * *",
        concurrency: "allow",
        history: { succeeded: 4, failed: 1 },
      } as const;
      okValue(await client.createService(service("tick", mode, ["true"])));
      const asked = okValue(
        await client.createRun("tick", { command: ["sh", "-c", "exit $CODE"], env: { CODE: "7" } }),
      );
      const seen = new Map<string, number>();
      await eventually(async () => {
        for (const run of await runsOf(client, "tick")) {
          if (run.scheduledAt) seen.set(run.scheduledAt, run.slot ?? 0);
        }
        return seen.size >= 6;
      }, { ...PATIENCE, what: "six times of the schedule" });
      assertEquals(new Set(seen.values()).size, seen.size, "a time has one run");
      const own = await eventually(
        async () =>
          (await runsOf(client, "tick")).find(({ id, ended }) => id === asked.id && ended),
        { ...PATIENCE, what: "the run on request to end" },
      );
      assertEquals([own.state, own.exitCode, own.trigger], ["failed", 7, "request"]);
      const spec = { ...service("tick", mode, ["true"]), stopped: true };
      okValue(await client.putService("tick", spec));
      await eventually(async () => {
        const runs = await runsOf(client, "tick");
        return runs.every(({ ended }) => ended) &&
          runs.filter(({ state }) => state === "succeeded").length <= 4;
      }, { ...PATIENCE, what: "the history to be cut to four" });
    });
  },
);

engineTest(
  "job: two at a time, failures are tried again within the retries, and what takes too long is stopped",
  async (connection) => {
    await withCluster(connection, async (client) => {
      // Starting again in place keeps the container's files: its first attempt fails, the second does not.
      const flaky = ["sh", "-c", "sleep 0.3; [ -e /tried ] || { touch /tried; exit 1; }"];
      const mode = { type: "job", completions: 4, parallelism: 2 } as const;
      const calc = service("calc", mode, flaky);
      const restart = { condition: "on-failure", delayMs: 100 } as const;
      okValue(await client.createService({ ...calc, template: { ...calc.template, restart } }));
      let most = 0;
      await eventually(async () => {
        const live = (await tasksOf(client, "calc")).filter(({ state }) =>
          ["assigned", "preparing", "starting", "running"].includes(state)
        );
        most = Math.max(most, live.length);
        return okValue(await client.getService("calc")).phase === "finished";
      }, { timeoutMs: 120_000, what: "the job to finish" });
      assert(most <= 2, `${most} at once`);
      const succeeded = (await tasksOf(client, "calc")).filter(({ state }) =>
        state === "succeeded"
      );
      assertEquals(succeeded.map(({ slot }) => slot).sort(), [1, 2, 3, 4]);
      assertEquals(succeeded.map(({ observed }) => observed?.attempt), [2, 2, 2, 2]);

      const doomed = { type: "job", retries: 1 } as const;
      okValue(await client.createService(service("doomed", doomed, ["false"])));
      await eventually(
        async () => okValue(await client.getService("doomed")).phase === "failed",
        { ...PATIENCE, what: "the retries to be spent" },
      );
      const tries = (await tasksOf(client, "doomed")).map((
        { state, failures },
      ) => [state, failures]);
      assertEquals(tries, [["failed", 0], ["failed", 1]]);

      const slow = { type: "job", completions: 2, deadlineMs: 2000 } as const;
      okValue(await client.createService(service("slow", slow, SLEEPER.command)));
      await eventually(
        async () => okValue(await client.getService("slow")).phase === "failed",
        { ...PATIENCE, what: "the deadline to pass" },
      );
      const [late] = await tasksOf(client, "slow");
      assertEquals(late?.why, "the job's deadline of 2 s has passed");
    });
  },
);
