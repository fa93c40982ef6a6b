import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { type Client, describeError, type Result } from "../../api/client.ts";
import type { ServiceSpecInput } from "../../kv/schema/service.ts";
import type { TaskView } from "../../kv/schema/task.ts";
import { connectEngine } from "../../worker/docker/client.ts";
import { LABEL, VOLUME_LABEL } from "../../worker/runtime.ts";
import { engineTest, ensureTestImage, TEST_IMAGE } from "../support/engine.ts";
import { eventually } from "../support/eventually.ts";
import { type ChildProcess, startServer, startWorker } from "../support/processes.ts";

const PATIENCE = { timeoutMs: 60_000 };
const ROOT = new URL("../..", import.meta.url).pathname;

function ok<T>(result: Result<T>): T {
  if (result.ok) return result.value;
  throw new Error(describeError(result.error));
}

const FOREVER = 'trap "exit 0" TERM; while :; do sleep 0.1; done';

function service(
  name: string,
  command: string,
  mounts: ServiceSpecInput["template"]["mounts"],
): ServiceSpecInput {
  return {
    name,
    template: {
      image: TEST_IMAGE,
      command: ["sh", "-c", `${command}; ${FOREVER}`],
      mounts,
      stopGraceMs: 1000,
    },
  };
}

async function running(client: Client, name: string): Promise<TaskView> {
  return await eventually(async () => {
    const { items } = ok(await client.listTasks({ service: name, project: "default" }));
    return items.find((task) => task.state === "running");
  }, { ...PATIENCE, what: `a task of ${name} to run` });
}

async function removed(client: Client, name: string): Promise<void> {
  ok(await client.deleteService(name));
  await eventually(async () => !(await client.getService(name)).ok, PATIENCE);
}

async function berth(
  args: string[],
  server: { url: string; token: string },
  input?: Uint8Array,
): Promise<{ code: number; stdout: Uint8Array; stderr: string }> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-q", "-P=cli", "cli/main.ts", ...args],
    cwd: ROOT,
    env: { BERTH_SERVER: server.url, BERTH_TOKEN: server.token },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  if (input) await writer.write(input);
  await writer.close();
  const { code, stdout, stderr } = await child.output();
  return { code, stdout, stderr: new TextDecoder().decode(stderr) };
}

engineTest(
  "a named volume outlives its service, goes to a file and comes back, owners and modes included",
  async (connection) => {
    await ensureTestImage(connection);
    const dir = await Deno.makeTempDir();
    const engine = connectEngine(connection);
    const children: ChildProcess[] = [];
    try {
      const server = await startServer({ dataDir: `${dir}/server` });
      children.push(server);
      for (const name of ["v1", "v2"]) {
        children.push(await startWorker(server, { name, stateDir: dir }));
      }
      const { client } = server;
      const logOf = async (task: TaskView) => {
        const label = [`${LABEL.task}=${task.id}`];
        const [found] = await engine.docker.listContainers({ all: true, filters: { label } });
        const options = { stdout: true, stderr: true, follow: false } as const;
        return (await engine.docker.getContainer(found?.Id ?? "").logs(options)).toString("latin1");
      };
      const said = (task: TaskView, word: string) =>
        eventually(async () => {
          const log = await logOf(task);
          return log.includes(word) ? log : undefined;
        }, { ...PATIENCE, what: `${task.name} to say ${word}` });
      const DATA = [{ type: "volume" as const, source: "db.data", target: "/data" }];

      const fill =
        "echo one > /data/a; mkdir /data/d; dd if=/dev/zero of=/data/d/big bs=1M count=24; " +
        "chown 33:34 /data/a; chmod 640 /data/a; ln -s a /data/l; sync; echo filled";
      const filling = service(
        "fill",
        fill.replace("dd ", "head -c 25165824 /dev/zero > /data/d/big; : "),
        DATA,
      );
      ok(await client.createService({ ...filling, mode: { type: "replicated", replicas: 2 } }));
      const first = await running(client, "fill");
      await said(first, "filled");
      const tasks = ok(await client.listTasks({ service: "fill", project: "default" })).items;
      assertEquals(new Set(tasks.map(({ node }) => node)).size, 1, "the second task follows");
      const volume = ok(await client.getVolume("db.data"));
      assertEquals(volume.nodes.map(({ node }) => node), [first.node]);

      const file = `${dir}/backup.tar`;
      const saved = await berth(["volume", "backup", "db.data", file], server);
      assertEquals([saved.code, saved.stderr], [0, ""]);
      const tar = await Deno.readFile(file);
      assert(tar.length > 24 * 1024 * 1024, `${tar.length} bytes`);
      assertEquals((await Deno.stat(file)).mode! & 0o777, 0o600);

      const refused = await client.deleteVolume("db.data");
      assert(!refused.ok && describeError(refused.error).includes("in use by service fill"));
      await removed(client, "fill");
      const engineVolumes = async () => {
        const filters = JSON.stringify({ label: [`${VOLUME_LABEL}=${volume.id}`] });
        return (await engine.docker.listVolumes({ filters } as object)).Volumes ?? [];
      };
      assertEquals((await engineVolumes()).map(({ Name }) => Name), [volume.engineName]);

      // It is still there, and its task still goes to its node.
      const look = "ls -ln /data /data/d; cat /data/a; readlink /data/l; echo looked";
      ok(await client.createService(service("look", look, DATA)));
      const second = await running(client, "look");
      assertEquals(second.node, first.node);
      const before = await said(second, "looked");
      assertStringIncludes(before, "one");
      await removed(client, "look");
      ok(await client.deleteVolume("db.data"));
      assertEquals(await engineVolumes(), []);

      // A new, empty one of the same name gets what was saved.
      ok(await client.createService(service("empty", "ls /data | wc -l; echo counted", DATA)));
      const third = await running(client, "empty");
      assertStringIncludes(await said(third, "counted"), "0\n");
      const restored = await berth(["volume", "restore", "db.data", "-"], server, tar);
      assertEquals([restored.code, restored.stderr], [0, ""]);
      await removed(client, "empty");
      ok(await client.createService(service("look", look, DATA)));
      assertEquals(await said(await running(client, "look"), "looked"), before);

      const broken = await berth(
        ["volume", "restore", "db.data", "-"],
        server,
        tar.subarray(0, 5000),
      );
      assertEquals(broken.code, 1, broken.stderr);
      await removed(client, "look");
      ok(await client.deleteVolume("db.data"));
      assertEquals(await engineVolumes(), []);
    } finally {
      for (const child of children.reverse()) await child.stop();
      engine.close();
      await Deno.remove(dir, { recursive: true });
    }
  },
);

engineTest(
  "binds, memory and volumes without a name: made at need, read-only if asked, gone with the container",
  async (connection) => {
    await ensureTestImage(connection);
    const dir = await Deno.makeTempDir();
    const engine = connectEngine(connection);
    const children: ChildProcess[] = [];
    try {
      const server = await startServer({ dataDir: `${dir}/server` });
      children.push(server, await startWorker(server, { name: "v3", stateDir: dir }));
      const { client } = server;
      const look = "touch /ro/x 2>&1; touch /rw/x; df -m /mem | tail -1; ls -ld /mem; echo looked";
      ok(
        await client.createService(
          service("mounts", look.replace(/df[^;]*;/, "grep /mem /proc/mounts;"), [
            { type: "bind", source: `${dir}/made`, target: "/rw" },
            { type: "bind", source: dir, target: "/ro", readOnly: true, createHostPath: false },
            { type: "tmpfs", target: "/mem", sizeMiB: 3, mode: 0o700 },
            { type: "volume", target: "/own" },
          ]),
        ),
      );
      const task = await running(client, "mounts");
      const label = [`${LABEL.task}=${task.id}`];
      const [found] = await engine.docker.listContainers({ all: true, filters: { label } });
      const container = engine.docker.getContainer(found?.Id ?? "");
      const log = await eventually(async () => {
        const options = { stdout: true, stderr: true, follow: false } as const;
        const text = (await container.logs(options)).toString("latin1");
        return text.includes("looked") ? text : undefined;
      }, PATIENCE);
      assertStringIncludes(log, "Read-only file system");
      assertStringIncludes(log, "size=3072k");
      assertStringIncludes(log, "drwx------");
      assert(await Deno.stat(`${dir}/made/x`));
      const own = (await container.inspect()).Mounts.find((m) => m.Destination === "/own")?.Name;
      assert(own);
      await removed(client, "mounts");
      await eventually(async () => {
        const { Volumes } = await engine.docker.listVolumes();
        return !Volumes.some(({ Name }) => Name === own);
      }, { ...PATIENCE, what: "the volume to go with its container" });
    } finally {
      for (const child of children.reverse()) await child.stop();
      engine.close();
      await Deno.remove(dir, { recursive: true });
    }
  },
);
