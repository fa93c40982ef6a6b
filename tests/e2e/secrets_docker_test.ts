import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { type Client, describeError, type Result } from "../../api/client.ts";
import { encodeBase64 } from "../../kv/schema/base64.ts";
import type { TaskView } from "../../kv/schema/task.ts";
import { connectEngine } from "../../worker/docker/client.ts";
import { LABEL } from "../../worker/runtime.ts";
import { contentsOf } from "../support/contents.ts";
import { engineTest, ensureTestImage, TEST_IMAGE } from "../support/engine.ts";
import { eventually } from "../support/eventually.ts";
import {
  type ChildProcess,
  type ServerProcess,
  startServer,
  startWorker,
} from "../support/processes.ts";

const PATIENCE = { timeoutMs: 60_000 };
const CANARIES = ["canary-one-81f3", "canary-two-02bc"] as const;
const dataOf = (text: string) => encodeBase64(new TextEncoder().encode(text));

function ok<T>(result: Result<T>): T {
  if (result.ok) return result.value;
  throw new Error(describeError(result.error));
}

/** Tells its secret's length and its config's text, which are no secrets, at each start. */
const SAY =
  'trap "exit 0" TERM; echo "pw:$(cat /run/secrets/pw | md5sum) app:$(cat /etc/app.conf)"; ' +
  "while :; do sleep 0.1; done";

async function running(client: Client, revision: number): Promise<TaskView> {
  return await eventually(async () => {
    const tasks = ok(await client.listTasks({ service: "web", project: "default" })).items;
    return tasks.find((task) => task.state === "running" && task.revision === revision);
  }, { ...PATIENCE, what: `a task of revision ${revision} to run` });
}

engineTest(
  "a secret reaches its tasks, is rolled out when it changes, comes back with undo, and is nowhere else",
  async (connection) => {
    await ensureTestImage(connection);
    const dir = await Deno.makeTempDir();
    const engine = connectEngine(connection);
    const children: ChildProcess[] = [];
    let answers = "";
    try {
      const args = ["--log-level", "debug"];
      let server: ServerProcess = await startServer({ dataDir: `${dir}/server`, args });
      children.push(server);
      const worker = await startWorker(server, { name: "s1", stateDir: dir, args });
      children.push(worker);
      const { client } = server;
      const containerOf = async (task: TaskView) => {
        const label = [`${LABEL.task}=${task.id}`];
        const [found] = await engine.docker.listContainers({ all: true, filters: { label } });
        assert(found);
        return engine.docker.getContainer(found.Id);
      };
      const saidBy = async (task: TaskView, times: number) =>
        await eventually(async () => {
          const options = { stdout: true, stderr: true, follow: false } as const;
          const log = (await (await containerOf(task)).logs(options)).toString("latin1");
          const lines = log.split("\n").filter((line) => line.includes("pw:"));
          return lines.length === times ? lines.at(-1) : undefined;
        }, { ...PATIENCE, what: `what the task says ${times} times` });

      ok(await client.createSecret({ name: "pw", data: dataOf(CANARIES[0]) }));
      ok(await client.createConfig({ name: "app", data: dataOf("level=1") }));
      ok(
        await client.createService({
          name: "web",
          template: {
            image: TEST_IMAGE,
            command: ["sh", "-c", SAY],
            secrets: [{ source: "pw", uid: 33, mode: 0o400 }],
            configs: [{ source: "app", target: "/etc/app.conf" }],
            restart: { condition: "any", delayMs: 0 },
            stopGraceMs: 1000,
          },
          update: { monitorMs: 0 },
        }),
      );
      const first = await running(client, 1);
      const one = await saidBy(first, 1);
      assertStringIncludes(one, "app:level=1");
      const container = await containerOf(first);
      answers += JSON.stringify(await container.inspect());
      const layer: { Path: string }[] = await container.changes();
      assert(!layer.some(({ Path }) => Path.startsWith("/run/secrets/")), JSON.stringify(layer));

      // Started again in place, without the control plane.
      const { port } = new URL(server.url);
      await server.stop();
      await container.kill();
      assertEquals(await saidBy(first, 2), one);
      server = await startServer({ dataDir: `${dir}/server`, port: Number(port), args });
      children.push(server);

      ok(await client.rotateSecret("pw", { data: dataOf(CANARIES[1]) }));
      const second = await running(client, 2);
      const two = await saidBy(second, 1);
      assert(two !== one, "the new value");
      ok(await client.steerRollout("web", { action: "undo" }));
      const third = await running(client, 1);
      assertEquals(await saidBy(third, 1), one, "the value of before");

      answers += JSON.stringify([
        ok(await client.listSecrets()),
        ok(await client.listServices()),
        ok(await client.listTasks()),
        ok(await client.listEvents({ limit: 500 })),
        ok(await client.listRevisions("web")),
        ok(await client.why("web.1")),
        ok(await client.listNodes()),
      ]);
      ok(await client.deleteService("web"));
      await eventually(async () => !(await client.getService("web")).ok, PATIENCE);
      ok(await client.deleteSecret("pw"));
    } finally {
      // Killed, so that what was not moved into the database file stays in its log.
      for (const child of children.reverse()) await child.stop("SIGKILL");
      engine.close();
    }
    const logs = children.map((child) => child.log()).join("\n");
    assert(logs.includes("step"), "the debug log");
    const files = await contentsOf(dir);
    assert(files.includes("SQLite format 3"), "the database");
    assert(/berth\.db-wal\n./.test(files), "its log");
    for (const canary of CANARIES) {
      for (const form of [canary, dataOf(canary), new TextEncoder().encode(canary).toHex()]) {
        for (const [where, text] of Object.entries({ answers, logs, files })) {
          assert(!text.includes(form), `${form} is in ${where}`);
        }
      }
    }
    await Deno.remove(dir, { recursive: true });
  },
);
