import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { connectEngine } from "../../worker/docker/client.ts";
import { okValue } from "../support/api.ts";
import { ranBerth } from "../support/berth.ts";
import { watchContainers } from "../support/observer.ts";
import { engineTest, TEST_IMAGE } from "../support/engine.ts";
import { inRig, sideBySide } from "../support/rig.ts";

const BRIEF = ["sh", "-c", "sleep 0.2"];
const FAILING = ["sh", "-c", "sleep 0.2; exit 3"];

engineTest("restart policies and probes on real containers", async (connection, t) => {
  await inRig(connection, { workers: ["h1"] }, async (rig) => {
    const attempts = async (service: string) =>
      (await rig.history(service)).map(({ observed }) => observed?.attempt ?? 0);
    await sideBySide(t, {
      "none: what ends stays ended, whatever its code": async () => {
        const restart = { condition: "none" } as const;
        await rig.run({ name: "once", template: { command: BRIEF, restart } });
        await rig.run({ name: "once-bad", template: { command: FAILING, restart } });
        for (const [name, state] of [["once", "succeeded"], ["once-bad", "failed"]] as const) {
          await rig.until(
            `${name} to end`,
            async () => (await rig.history(name)).some((task) => task.state === state),
          );
        }
        // Long enough for a replacement: the others go on meanwhile.
        await rig.until(
          "another service's third attempt",
          async () => (await attempts("always"))[0] === 3,
        );
        assertEquals([await attempts("once"), await attempts("once-bad")], [[1], [1]]);
      },
      "on-failure: a success is the end, a failure starts again until the budget is spent":
        async () => {
          const restart = { condition: "on-failure", maxAttempts: 2, delayMs: 100 } as const;
          await rig.run({ name: "fine", template: { command: BRIEF, restart } });
          await rig.run({ name: "spent", template: { command: FAILING, restart } });
          const tasks = await rig.until("the leader to replace it", async () => {
            const history = await rig.history("spent");
            return history.length > 1 && history;
          });
          const [first] = tasks;
          assertEquals([first?.state, first?.observed?.attempt], ["failed", 3]);
          assertStringIncludes(first?.observed?.message ?? "", "exited with 3");
          assertEquals([tasks[1]?.failures, await attempts("fine")], [1, [1]]);
        },
      "any: also a success starts again, in place, in the same container": async () => {
        const restart = { condition: "any", maxAttempts: 50 } as const;
        await rig.run({ name: "always", template: { command: BRIEF, restart } });
        const observer = await watchContainers(connection, "always", rig.project);
        try {
          await rig.until("the third attempt", async () => (await attempts("always"))[0] === 3);
          await observer.settle();
          assertEquals((await rig.history("always")).length, 1);
          assert(observer.mostAtOnce() <= 1, observer.history().join("\n"));
        } finally {
          await observer.close();
        }
      },
      "the back-off doubles from its delay up to its cap": async () => {
        const restart = { maxAttempts: 50, delayMs: 400, maxDelayMs: 800 };
        const observer = await watchContainers(connection, "slower", rig.project);
        try {
          await rig.run({ name: "slower", template: { command: ["false"], restart } });
          await rig.until("five starts", () => observer.startsMs().length >= 5);
          const gaps = observer.startsMs().map((ms, i, all) => ms - (all[i - 1] ?? ms)).slice(1, 5);
          const least = [360, 720, 720, 720]; // Less a tenth of jitter.
          assert(gaps.every((gap, i) => gap >= (least[i] ?? 0) - 20), `gaps ${gaps}`);
        } finally {
          await observer.close();
        }
      },
      "an unhealthy container follows the restart policy: none gives it up": async () => {
        const health = {
          probe: { type: "exec" as const, command: ["test", "!", "-e", "/sick"] },
          ...{ intervalMs: 200, retries: 1 },
        };
        const restart = { condition: "none" } as const;
        const command = ["sh", "-c", "sleep 1; touch /sick; while :; do sleep 0.1; done"];
        await rig.run({ name: "sick", template: { command, health, restart } });
        const task = await rig.until(
          "it to be given up",
          async () => (await rig.history("sick")).find(({ state }) => state === "failed"),
        );
        assertStringIncludes(task.observed?.message ?? "", "unhealthy");
      },
      "flags of the command line reach the engine: probes, limits beside reservations":
        async () => {
          const flags = [
            ...[
              "--name",
              "flagged",
              "--project",
              rig.project,
              "--health-cmd",
              "test -e /up",
              "--health-interval",
              "300ms",
            ],
            ...["--health-start-period", "30s", "--health-start-interval", "300ms"],
            ...[
              "--ready-http",
              "8080/up",
              "--ready-interval",
              "200ms",
              "--restart-max-attempts",
              "7",
            ],
            ...["--memory", "64m", "--reserve-memory", "16m"],
            ...[
              "--constraint",
              "node.name==h1",
              "--label",
              "rig=flags",
              "--stop-grace-period",
              "1s",
            ],
          ];
          const serve = "mkdir /www; touch /up /www/up; exec httpd -f -p 8080 -h /www";
          const command = [TEST_IMAGE, "sh", "-c", serve];
          const ran = await ranBerth(rig, ["run", "-d", ...flags, ...command]);
          assertEquals([ran.code, ran.err], [0, ""]);
          const task = await rig.until("it to be healthy and ready", async () => {
            const [first] = await rig.live("flagged");
            return first?.ready && first.observed?.health === "healthy" && first;
          });
          const engine = connectEngine(connection);
          const id = task.observed?.containerId ?? "";
          const { HostConfig } = await engine.docker.getContainer(id).inspect();
          engine.close();
          assertEquals(HostConfig.Memory, 64 * 1024 * 1024);
          const { template } = await rig.view("flagged");
          assertEquals(template.restart.maxAttempts, 7);
          const node = okValue(await rig.server.client.getNode("h1"));
          assertEquals(node.allocated.memoryMiB, 16, "what is set aside is not the limit");
        },
    });
  });
});
