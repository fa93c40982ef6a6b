import { assert, assertEquals } from "@std/assert";
import type { RunView } from "../../kv/schema/run.ts";
import { okValue } from "../support/api.ts";
import { watchContainers } from "../support/observer.ts";
import { engineTest } from "../support/engine.ts";
import { inRig, type Rig, sideBySide, SLEEPER, type SpecInput } from "../support/rig.ts";

type Cron = Partial<Extract<NonNullable<SpecInput["mode"]>, { type: "cron" }>>;

const cron = (name: string, command: string[], mode: Cron): SpecInput => ({
  name,
  mode: { type: "cron", schedule: "* * * * * *", ...mode },
  template: { command, stopGraceMs: 0, restart: { condition: "none" } },
});

async function runs(rig: Rig, name: string): Promise<RunView[]> {
  return okValue(await rig.server.client.listRuns(name, { project: rig.project })).items;
}

/** Waits until a run of the service is such; stops the service then. */
async function untilRun(rig: Rig, name: string, what: string, is: (run: RunView) => boolean) {
  return await rig.until(
    `a run of ${name} that ${what}`,
    async () => (await runs(rig, name)).find(is),
  );
}

/** This time of the day in Tokyo, which is nine hours ahead of UTC. */
function inTokyo(ms: number): Cron {
  const there = new Date(ms + 9 * 3600_000);
  const [hour, minute, second] = there.toISOString().slice(11, 19).split(":");
  return { schedule: `${second} ${minute} ${hour} * * *`, timeZone: "Asia/Tokyo" };
}

/** From so long on a time counts as missed. */
const MISSED_MS = 10_000;

engineTest("cron and jobs on real containers", async (connection, t) => {
  await inRig(connection, { workers: ["c1"] }, async (rig) => {
    await sideBySide(t, {
      "allow: runs go on side by side": async () => {
        const observer = await watchContainers(connection, "allow", rig.project);
        try {
          await rig.run(cron("allow", ["sleep", "5"], { concurrency: "allow" }));
          await rig.until("two at once", () => observer.mostAtOnce() >= 2);
        } finally {
          await observer.close();
        }
        await rig.remove("allow");
      },
      "forbid: what is due while a run goes on is skipped, and said so": async () => {
        const observer = await watchContainers(connection, "forbid", rig.project);
        try {
          await rig.run(cron("forbid", ["sleep", "2"], { concurrency: "forbid" }));
          await rig.until("a second run", () => observer.startsMs().length >= 2);
          assertEquals(observer.mostAtOnce(), 1, observer.history().join("\n"));
        } finally {
          await observer.close();
        }
        const { items } = okValue(await rig.server.client.listEvents({ last: 500 }));
        assert(
          items.some(({ type, service }) =>
            type === "run.skipped" && service === `${rig.project}/forbid`
          ),
        );
        await rig.remove("forbid");
      },
      "replace: the run before is stopped for the new one": async () => {
        await rig.run(cron("replace", SLEEPER.command, { concurrency: "replace" }));
        const run = await untilRun(rig, "replace", "was replaced", ({ ended }) => ended);
        assert(run.why?.startsWith("replaced by the run for "), run.why);
        await rig.remove("replace");
      },
      "a run out of time is stopped, and has failed": async () => {
        await rig.run(cron("overdue", SLEEPER.command, { concurrency: "allow", deadlineMs: 1000 }));
        const run = await untilRun(rig, "overdue", "ran out of time", ({ ended }) => ended);
        assertEquals([run.why, run.tries], ["its deadline of 1 s has passed", 1]);
        await rig.remove("overdue");
      },
      "a failed run is tried again as often as its retries say": async () => {
        await rig.run(cron("retried", ["false"], { schedule: "@yearly", retries: 1 }));
        const asked = okValue(await rig.server.client.createRun("retried", {}, rig.project));
        const run = await untilRun(
          rig,
          "retried",
          "has failed",
          ({ id, ended }) => id === asked.id && ended,
        );
        assertEquals([run.state, run.tries], ["failed", 2]);
      },
      "scale starts and stops tasks, and leaves the others alone": async () => {
        const scaled = (replicas: number): SpecInput => ({
          ...{ name: "scaled", mode: { type: "replicated", replicas } },
        });
        await rig.run(scaled(1));
        const [first] = await rig.running("scaled", 1);
        await rig.put(scaled(3));
        assertEquals((await rig.running("scaled", 3))[0]?.id, first?.id);
        await rig.put(scaled(1));
        assertEquals((await rig.running("scaled", 1))[0]?.id, first?.id);
      },
    });
    await t.step(
      "a time missed while nobody led is made up for within the window, once",
      async () => {
        const dueMs = Date.now() + 2500;
        await rig.run(cron("made-up", ["true"], { ...inTokyo(dueMs), catchUpMs: 60_000 }));
        await rig.run(cron("let-go", ["true"], inTokyo(dueMs)));
        await rig.killServer();
        await rig.until("the time to be missed", () => Date.now() > dueMs + MISSED_MS + 1000);
        await rig.reviveServer();
        const run = await untilRun(
          rig,
          "made-up",
          "succeeded",
          ({ state }) => state === "succeeded",
        );
        const lateMs = Date.now() - Date.parse(run.scheduledAt ?? "");
        assert(lateMs > MISSED_MS, `it was ${lateMs} ms late`);
        assertEquals((await runs(rig, "made-up")).length, 1);
        assertEquals(await runs(rig, "let-go"), []);
      },
    );
  });
});
