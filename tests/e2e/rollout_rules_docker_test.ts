import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { ServiceSpecInput, ServiceView } from "../../kv/schema/service.ts";
import { okValue } from "../support/api.ts";
import { watchContainers } from "../support/observer.ts";
import { engineTest } from "../support/engine.ts";
import { inRig, type Rig, sideBySide, SLEEPER, type SpecInput } from "../support/rig.ts";

type Update = NonNullable<ServiceSpecInput["update"]>;

const QUICK = { monitorMs: 300, drainMs: 0 };

/** Revisions differ in a variable; `broken` ones in what their containers do. */
function version(
  name: string,
  tag: string,
  { replicas = 2, update = {}, broken }: {
    replicas?: number;
    update?: Update;
    broken?: "fails" | "is never ready";
  } = {},
): SpecInput {
  const never = { probe: { type: "exec" as const, command: ["false"] }, startIntervalMs: 200 };
  return {
    name,
    mode: { type: "replicated", replicas },
    template: {
      env: { TAG: tag },
      restart: { maxAttempts: 0 },
      command: broken === "fails" ? ["sh", "-c", "exit 3"] : SLEEPER.command,
      ...(broken ? { readiness: never } : {}), // So that it fails before it serves.
    },
    update: { ...QUICK, ...update },
  };
}

/** Waits until the rollout is in this state; one that is over has left no old task behind. */
async function until(rig: Rig, name: string, state: string): Promise<ServiceView> {
  const over = state === "done" || state === "rolled-back";
  let last: ServiceView | undefined;
  return await rig.until(`${name} to be ${state}`, async () => {
    last = await rig.view(name);
    const { rollout, phase } = last;
    if (over && (rollout?.retiring !== 0 || phase !== "running")) return undefined;
    return rollout?.state === state && last;
  }).catch((error) => {
    throw new Error(`${error.message}; it is ${last?.phase}, ${JSON.stringify(last?.rollout)}`);
  });
}

/** How many running tasks each revision has, as `1×2 2×1`. */
async function revisions(rig: Rig, name: string): Promise<string> {
  return counted((await rig.live(name)).filter(({ state }) => state === "running"));
}

/** The same of the tasks that get connections. */
async function serving(rig: Rig, name: string): Promise<string> {
  const { endpoints } = okValue(await rig.server.client.getEndpoints(name, rig.project));
  const ready = new Set(endpoints.flatMap((e) => e.state === "ready" ? [e.taskId] : []));
  return counted((await rig.live(name)).filter(({ id }) => ready.has(id)));
}

function counted(tasks: readonly { revision: number }[]): string {
  const counts = new Map<number, number>();
  for (const { revision } of tasks) counts.set(revision, (counts.get(revision) ?? 0) + 1);
  return [...counts].sort(([a], [b]) => a - b).map(([r, n]) => `${r}×${n}`).join(" ");
}

async function revisionsAre(rig: Rig, name: string, expected: string): Promise<void> {
  let last = "";
  await rig.until(`${name} to run ${expected}`, async () => {
    last = await revisions(rig, name);
    return last === expected;
  }).catch((error) => {
    throw new Error(`${error.message}; it runs ${last}`);
  });
}

engineTest("rules of rollouts on real containers", async (connection, t) => {
  await inRig(connection, { workers: ["n1"] }, async (rig) => {
    await sideBySide(t, {
      "stopping first, parallelism slots change at a time, with the delay in between": async () => {
        const update = { parallelism: 2, delayMs: 1500 };
        await rig.run(version("steps", "one", { replicas: 4, update }));
        await until(rig, "steps", "done");
        const observer = await watchContainers(connection, "steps", rig.project);
        try {
          await rig.put(version("steps", "two", { replicas: 4, update }));
          await until(rig, "steps", "done");
          await observer.settle();
          assertEquals([observer.mostAtOnce(), observer.fewestAtOnce()], [4, 2]);
          const [, second = 0, third = 0] = observer.startsMs();
          assert(third - second >= 1400, `${third - second} ms lie between`);
        } finally {
          await observer.close();
        }
      },
      "starting first, the new task joins the old one before that is stopped": async () => {
        const update = { order: "start-first" as const, drainMs: 200 };
        await rig.run(version("joins", "one", { update }));
        await until(rig, "joins", "done");
        const observer = await watchContainers(connection, "joins", rig.project);
        try {
          await rig.put(version("joins", "two", { update }));
          await until(rig, "joins", "done");
          await observer.settle();
          assertEquals([observer.mostAtOnce(), observer.fewestAtOnce()], [3, 2]);
        } finally {
          await observer.close();
        }
      },
      "a failure pauses it by default; the ratio tolerates some, continue goes on": async () => {
        await rig.run(version("breaks", "one"));
        await until(rig, "breaks", "done");
        await rig.put(version("breaks", "two", { broken: "fails" }));
        const paused = await until(rig, "breaks", "paused");
        assertStringIncludes(paused.rollout?.why ?? "", "1 of 2 slots failed");
        assertEquals(await revisions(rig, "breaks"), "1×1");
        const onwards = { failureAction: "continue" as const };
        await rig.put(version("breaks", "three", { broken: "fails", update: onwards }));
        await rig.until(
          "the last good task to be replaced",
          async () => await revisions(rig, "breaks") === "",
        );
        assertEquals((await rig.view("breaks")).rollout?.state, "progressing");
        const lenient = { maxFailureRatio: 1 };
        await rig.put(version("breaks", "four", { broken: "fails", update: lenient }));
        await rig.until("both slots to be tried", async () => {
          const slots = (await rig.history("breaks")).filter(({ revision }) => revision === 4);
          return new Set(slots.map(({ slot }) => slot)).size === 2;
        });
        assertEquals((await rig.view("breaks")).rollout?.state, "progressing");
      },
      "only ready tasks count: without progress within the deadline it pauses": async () => {
        const update = { progressDeadlineMs: 3000 };
        await rig.run(version("stuck", "one", { update }));
        await until(rig, "stuck", "done");
        await rig.put(version("stuck", "two", { update, broken: "is never ready" }));
        const paused = await until(rig, "stuck", "paused");
        assertStringIncludes(paused.rollout?.why ?? "", "no progress for 3 s");
        assertEquals(paused.rollout?.updated, 0, "none of the new ones counts");
        assertStringIncludes(await revisions(rig, "stuck"), "1×");
      },
      "a canary waits to be promoted; undo --to goes back to any revision": async () => {
        const update = { strategy: "canary" as const, canary: 1 };
        await rig.run(version("bird", "one", { update }));
        await until(rig, "bird", "done");
        await rig.put(version("bird", "two", { update }));
        await until(rig, "bird", "waiting-promote");
        assertEquals(await revisions(rig, "bird"), "1×1 2×1");
        okValue(await rig.server.client.steerRollout("bird", { action: "promote" }, rig.project));
        await until(rig, "bird", "done");
        await rig.put(version("bird", "three", { update: { strategy: "rolling" } }));
        await until(rig, "bird", "done");
        assertEquals(await revisions(rig, "bird"), "3×2");
        okValue(
          await rig.server.client.steerRollout("bird", { action: "undo", to: 1 }, rig.project),
        );
        await revisionsAre(rig, "bird", "1×2");
        const history =
          okValue(await rig.server.client.listRevisions("bird", { project: rig.project })).items;
        const current = history.filter((row) => row.current).map(({ revision }) => revision);
        assertEquals([history.length, current], [3, [1]]);
      },
      "blue/green runs a second set and turns over by itself, or when promoted": async () => {
        const auto = { strategy: "bluegreen" as const };
        await rig.run(version("twin", "one", { update: auto }));
        await until(rig, "twin", "done");
        const observer = await watchContainers(connection, "twin", rig.project);
        try {
          await rig.put(version("twin", "two", { update: auto }));
          await until(rig, "twin", "done");
          await observer.settle();
          assertEquals([observer.mostAtOnce(), observer.fewestAtOnce()], [4, 2]);
        } finally {
          await observer.close();
        }
        const manual = { ...auto, promote: "manual" as const };
        await rig.put(version("twin", "three", { update: manual }));
        await until(rig, "twin", "waiting-promote");
        assertEquals(await revisions(rig, "twin"), "2×2 3×2");
        await rig.until("the first set alone to serve", async () => {
          return await serving(rig, "twin") === "2×2";
        });
        okValue(await rig.server.client.steerRollout("twin", { action: "undo" }, rig.project));
        await revisionsAre(rig, "twin", "2×2");
        await rig.put(version("twin", "four", { update: manual }));
        await until(rig, "twin", "waiting-promote");
        okValue(await rig.server.client.steerRollout("twin", { action: "promote" }, rig.project));
        await rig.until("the second set alone to serve", async () => {
          return await serving(rig, "twin") === "4×2";
        });
        await until(rig, "twin", "done");
      },
      "a pause holds it, resume goes on; scaling and settings are no rollout": async () => {
        const update = { delayMs: 1000 };
        await rig.run(version("held", "one", { update }));
        await until(rig, "held", "done");
        await rig.put(version("held", "two", { update }));
        await rig.until(
          "the first slot to change",
          async () => (await rig.view("held")).rollout?.updated === 1,
        );
        okValue(await rig.server.client.steerRollout("held", { action: "pause" }, rig.project));
        await until(rig, "held", "paused");
        await revisionsAre(rig, "held", "1×1 2×1");
        okValue(await rig.server.client.steerRollout("held", { action: "resume" }, rig.project));
        await until(rig, "held", "done");
        const before = (await rig.live("held")).map(({ id }) => id);
        await rig.put(version("held", "two", { replicas: 3, update: { delayMs: 0 } }));
        const after = (await rig.running("held", 3)).map(({ id }) => id);
        assertEquals(after.slice(0, 2), before);
        assertEquals((await rig.view("held")).revision, 2);
      },
    });
  });
});
