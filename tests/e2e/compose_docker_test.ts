import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { connectEngine } from "../../worker/docker/client.ts";
import type { EngineConnection } from "../../worker/docker/connect.ts";
import { okValue } from "../support/api.ts";
import { engineTest, TEST_IMAGE } from "../support/engine.ts";
import { eventually } from "../support/eventually.ts";
import { inDirectory } from "../support/compose_world.ts";
import {
  makeStandIn,
  POSTGRES_FILES,
  POSTGRES_IMAGE,
  REDIS_FILES,
  REDIS_IMAGE,
  WEB_IMAGE,
} from "../support/stand_ins.ts";

const EXAMPLES = new URL("../../examples", import.meta.url).pathname;

engineTest(
  "example web: visits are counted in Redis, whichever task a node's port leads to",
  async (connection) => {
    await makeStandIn(connection, WEB_IMAGE, {});
    await makeStandIn(connection, REDIS_IMAGE, REDIS_FILES);
    const port = 21_000 + Deno.pid % 8_000;
    const env = { WEB_IMAGE, WEB_PORT: String(port), REDIS_IMAGE };
    await inDirectory(connection, { dir: `${EXAMPLES}/web`, env }, async (w) => {
      const ran = await w.berth("up", "--wait");
      assertEquals(ran.code, 0, ran.err);
      const tasks = okValue(await w.server.client.listTasks({ project: "web" })).items;
      assertEquals(tasks.map((task) => `${task.name} ${task.state} ${task.ready}`).sort(), [
        "redis.1 running true",
        ...[1, 2, 3].map((slot) => `web.${slot} running true`),
      ]);
      const url = `http://${tasks[0]?.nodeAddress}:${port}/`;
      const visit = async () => await (await fetch(url)).text();
      await eventually(async () => /^visit \d+\n$/.test(await visit()), {
        what: "the page with a count",
        timeoutMs: 10_000,
      });
      const first = Number((await visit()).replace(/\D/g, ""));
      const next = [await visit(), await visit(), await visit()];
      assertEquals(next, [1, 2, 3].map((more) => `visit ${first + more}\n`));
    });
  },
);

engineTest(
  "example worker: prepared first, working, and cleaning up on request",
  async (connection) => {
    const env = { APP_IMAGE: TEST_IMAGE };
    await inDirectory(connection, { dir: `${EXAMPLES}/worker`, env }, async (w) => {
      const ran = await w.berth("up", "--wait");
      assertEquals(ran.code, 0, ran.err);
      const services = okValue(await w.server.client.listServices({ project: "worker" })).items;
      assertEquals(services.map((s) => `${s.name} ${s.mode.type} ${s.phase}`), [
        ...["cleanup cron scheduled", "prepare job finished", "worker replicated running"],
      ]);
      okValue(await w.server.client.createRun("cleanup", {}, "worker"));
      await eventually(async () => {
        const runs = await w.server.client.listRuns("cleanup", { project: "worker" });
        return runs.ok && runs.value.items[0]?.state === "succeeded";
      }, { what: "the clean-up", timeoutMs: 20_000 });
      const again = await w.berth("up");
      assert(!/created|\bchanged/.test(again.out), again.out);
      const down = await w.berth("down");
      assertEquals(down.code, 0, down.err);
      assertStringIncludes(down.out, "worker");
      assertEquals(okValue(await w.server.client.listTasks({ project: "worker" })).items, []);
    });
  },
);

engineTest(
  "example postgres: a volume that stays and a password that only the container sees",
  async (connection) => {
    const canary = `canary-${Deno.pid}`;
    await makeStandIn(connection, POSTGRES_IMAGE, POSTGRES_FILES);
    const password = await Deno.makeTempFile();
    const write = (text: string) => Deno.writeTextFile(password, text);
    const env = { POSTGRES_IMAGE, PASSWORD_FILE: password };
    await inDirectory(connection, { dir: `${EXAMPLES}/postgres`, env }, async (w) => {
      await write(canary);
      const ran = await w.berth("up", "--wait");
      assertEquals(ran.code, 0, ran.err);
      const log = "/var/lib/postgresql/data/log";
      const seen = await w.berth("exec", "--project", "postgres", "db", "cat", log);
      assertEquals(seen.out, `${canary}\n`, seen.err);
      assert(
        !JSON.stringify([ran, await w.berth("config")]).includes(canary),
        "the password is shown",
      );

      // The same value is no change; another one is a new version, and the volume stays.
      assert(!/created|\bchanged/.test((await w.berth("up")).out));
      await write(`${canary}-2`);
      assertEquals((await w.berth("up")).code, 0);
      await eventually(async () => {
        const { out } = await w.berth("exec", "--project", "postgres", "db", "cat", log);
        return out === `${canary}\n${canary}-2\n`;
      }, { what: "the new password beside the old data", timeoutMs: 30_000 });

      const volumes = async () =>
        okValue(await w.server.client.listVolumes({ project: "postgres" })).items.map((v) =>
          v.name
        );
      assertEquals((await w.berth("down")).code, 0);
      assertEquals(await volumes(), ["data"]);
      assertEquals(okValue(await w.server.client.listSecrets({ project: "postgres" })).items, []);
      const unsure = await w.berth("down", "-v");
      assertEquals([unsure.code, await volumes()], [2, ["data"]], unsure.err);
      assertStringIncludes(unsure.err, "-v would remove volume data of postgres");
      const down = await w.berth("down", "-v", "--yes");
      assertEquals([down.code, await volumes()], [0, []], down.err);
    });
    await Deno.remove(password);
  },
);

async function removeImage(connection: EngineConnection, image: string): Promise<void> {
  const client = connectEngine(connection);
  await client.docker.getImage(image).remove({ force: true }).catch(() => {});
  client.close();
}

const BUILT = "services: {app: {build: {context: ., args: {GREETING: hello}}, init: true}}";
const DOCKERFILE =
  `FROM ${TEST_IMAGE}\nARG GREETING\nENV GREETING=$GREETING\nCOPY said /said\nCMD ["sleep", "9999"]\n`;

engineTest(
  "build: the engine of this machine builds, and what was built anew is rolled out",
  async (connection) => {
    const dir = await Deno.makeTempDir({ prefix: `berth-built-${Deno.pid}-` });
    const write = (name: string, text: string) => Deno.writeTextFile(`${dir}/${name}`, text);
    const project = `built-${Deno.pid}`;
    await write("compose.yaml", `name: ${project}\n${BUILT}`);
    await write("Dockerfile", DOCKERFILE);
    await write("said", "one");
    const image = `${project}-app`;
    try {
      await inDirectory(connection, { dir, env: {} }, async (w) => {
        const expected = await w.berth("up", "--no-build", "--dry-run");
        assertStringIncludes(expected.err, `the image ${image} is expected`);
        const broken = DOCKERFILE.replace("COPY said", "COPY gone");
        await write("Dockerfile", broken);
        const failed = await w.berth("up");
        assertEquals([failed.code, failed.out], [1, ""], failed.err);
        assertStringIncludes(failed.err, `cannot build ${image}: `);
        assertEquals(okValue(await w.server.client.listServices({ project })).items, []);

        await write("Dockerfile", DOCKERFILE);
        const ran = await w.berth("up", "--wait");
        assertEquals(ran.code, 0, ran.err);
        const said = async () => {
          const task = [
            "exec",
            "--project",
            project,
            "app",
            "sh",
            "-c",
            "cat /said; echo $GREETING",
          ];
          return (await w.berth(...task)).out;
        };
        assertEquals(await said(), "onehello\n");
        const again = await w.berth("up", "--build");
        assertStringIncludes(again.out, "unchanged");
        await write("said", "two");
        assertStringIncludes((await w.berth("up")).out, "unchanged");
        const anew = await w.berth("up", "--build", "--wait");
        assertStringIncludes(anew.out, "changed");
        assertEquals(await said(), "twohello\n");
      });
    } finally {
      await removeImage(connection, image);
      await Deno.remove(dir, { recursive: true });
    }
  },
);
