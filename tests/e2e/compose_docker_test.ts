import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { EngineConnection } from "../../worker/docker/connect.ts";
import { importBusyboxImage } from "../../worker/docker/offline_image.ts";
import { okValue } from "../support/api.ts";
import { engineTest, ensureTestImage, TEST_IMAGE } from "../support/engine.ts";
import { eventually } from "../support/eventually.ts";
import { type ServerProcess, startServer, startWorker } from "../support/processes.ts";

const ROOT = new URL("../..", import.meta.url).pathname;
const WEB_IMAGE = "berth-test/page:1";

interface World {
  server: ServerProcess;
  berth(...args: string[]): Promise<{ code: number; out: string; err: string }>;
}

/** A server and a worker on the real engine; commands run in `dir` with these variables. */
async function inExample(
  connection: EngineConnection,
  { dir, env }: { dir: string; env: Record<string, string> },
  run: (world: World) => Promise<void>,
): Promise<void> {
  await ensureTestImage(connection);
  const temporary = await Deno.makeTempDir();
  const server = await startServer({ dataDir: `${temporary}/server` });
  const worker = await startWorker(server, {
    name: `compose-${Deno.pid}`,
    stateDir: temporary,
  });
  const berth: World["berth"] = async (...args) => {
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--quiet",
        `--config=${ROOT}deno.json`,
        "-P=cli",
        `${ROOT}cli/main.ts`,
        ...args,
      ],
      cwd: `${ROOT}examples/${dir}`,
      env: {
        BERTH_SERVER: server.url,
        BERTH_TOKEN: server.token,
        XDG_CONFIG_HOME: temporary,
        ...env,
      },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).output();
    const decoder = new TextDecoder();
    return { code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
  };
  try {
    await run({ server, berth });
  } finally {
    await berth("down", "--remove-orphans");
    await worker.stop();
    await server.stop();
    await Deno.remove(temporary, { recursive: true });
  }
}

engineTest(
  "example web: a page three times behind Redis, each after its turn",
  async (connection) => {
    const made = await importBusyboxImage(connection, {
      tag: WEB_IMAGE,
      cmd: ["/start.sh"],
      files: {
        "/start.sh":
          "#!/bin/sh\nmkdir -p /www; echo hello > /www/index.html\nexec httpd -f -p 80 -h /www\n",
      },
      signal: AbortSignal.timeout(60_000),
    });
    assert(made.ok, JSON.stringify(made));
    const env = {
      WEB_IMAGE,
      WEB_PORT: String(21_000 + Deno.pid % 8_000),
      REDIS_IMAGE: WEB_IMAGE,
      REDIS_CHECK: "true",
    };
    // The stand-in for Redis writes outside /data, which the real one does not.
    await inExample(connection, { dir: "web", env: { ...env, COMPOSE_FILE: "" } }, async (w) => {
      const over = await Deno.makeTempFile({ suffix: ".yaml" });
      await Deno.writeTextFile(over, "services: {redis: {read_only: false, cap_drop: !reset []}}");
      const ran = await w.berth("up", "--wait", "-f", "compose.yaml", "-f", over);
      await Deno.remove(over);
      assertEquals(ran.code, 0, ran.err);
      const tasks = okValue(await w.server.client.listTasks({ project: "web" })).items;
      assertEquals(tasks.map((task) => `${task.name} ${task.state} ${task.ready}`).sort(), [
        "redis.1 running true",
        ...[1, 2, 3].map((slot) => `web.${slot} running true`),
      ]);
      const page = tasks.find((task) => task.name === "web.1");
      const port = page?.observed?.ports.find(({ target }) => target === 80);
      const answer = await fetch(`http://${page?.nodeAddress}:${port?.published}/`);
      assertEquals(await answer.text(), "hello\n");
    });
  },
);

engineTest(
  "example worker: prepared first, working, and cleaning up on request",
  async (connection) => {
    const env = { APP_IMAGE: TEST_IMAGE };
    await inExample(connection, { dir: "worker", env }, async (w) => {
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
    const made = await importBusyboxImage(connection, {
      tag: "berth-test/db:1",
      cmd: ["/start.sh"],
      files: {
        "/start.sh": "#!/bin/sh\ncat /run/secrets/password >> /var/lib/postgresql/data/log\n" +
          "echo >> /var/lib/postgresql/data/log\nexec sleep 100000\n",
      },
      signal: AbortSignal.timeout(60_000),
    });
    assert(made.ok, JSON.stringify(made));
    const password = await Deno.makeTempFile();
    const write = (text: string) => Deno.writeTextFile(password, text);
    const env = {
      POSTGRES_IMAGE: "berth-test/db:1",
      POSTGRES_CHECK: "test -s /var/lib/postgresql/data/log",
      PASSWORD_FILE: password,
    };
    await inExample(connection, { dir: "postgres", env }, async (w) => {
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
      assertEquals((await w.berth("up", "--wait")).code, 0);
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
      const down = await w.berth("down", "-v");
      assertEquals([down.code, await volumes()], [0, []], down.err);
    });
    await Deno.remove(password);
  },
);
