import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { type Client, describeError, type Result } from "../../api/client.ts";
import type { TaskView } from "../../kv/schema/task.ts";
import { connectEngine } from "../../worker/docker/client.ts";
import { LABEL } from "../../worker/runtime.ts";
import { engineTest } from "../support/engine.ts";
import { eventually } from "../support/eventually.ts";
import { contentsOf } from "../support/contents.ts";
import { type ChildProcess, startServer, startWorker } from "../support/processes.ts";
import { startRegistry, type TestRegistry } from "../support/registry.ts";

const PATIENCE = { timeoutMs: 15_000 };
const PROJECT = "registry-e2e";
const CANARIES = ["canary-token-9c51", "canary-basic-77e0", "canary-wrong-31aa"] as const;

function ok<T>(result: Result<T>): T {
  if (result.ok) return result.value;
  throw new Error(describeError(result.error));
}

/** The running tasks of a service, once there are as many of that revision. */
async function running(client: Client, name: string, wanted: { revision: number; count: number }) {
  return await eventually(async () => {
    const tasks = ok(await client.listTasks({ service: name, project: PROJECT })).items
      .filter((task) => task.state === "running" && task.desired === "run");
    const fits = tasks.length === wanted.count &&
      tasks.every((task) => task.revision === wanted.revision);
    return fits ? tasks : undefined;
  }, { ...PATIENCE, what: `${wanted.count} tasks of revision ${wanted.revision} of ${name}` });
}

/** What `why` says of a service's first task, once it says something like that. */
async function whySays(client: Client, name: string, pattern: RegExp): Promise<string> {
  return await eventually(async () => {
    const [task] = ok(await client.listTasks({ service: name, project: PROJECT })).items;
    const { summary } = task ? ok(await client.why(task.id)) : { summary: "" };
    return pattern.test(summary) ? summary : undefined;
  }, { ...PATIENCE, what: `why ${name} to say ${pattern}` });
}

engineTest(
  "all tasks run what the tag stood for at first, until it is pulled anew; credentials go nowhere else",
  async (connection) => {
    const dir = await Deno.makeTempDir();
    const engine = connectEngine(connection);
    const children: ChildProcess[] = [];
    const registries: TestRegistry[] = [];
    let answers = "";
    try {
      const token = await startRegistry({ auth: "token", password: CANARIES[0] });
      registries.push(token);
      const basic = await startRegistry({ auth: "basic", password: CANARIES[1] });
      registries.push(basic);
      const one = await token.push("shop/app", "1", { VERSION: "one" });
      await basic.push("app", "1", { VERSION: "basic" });

      const args = ["--log-level", "debug"];
      const server = await startServer({ dataDir: `${dir}/server`, args });
      children.push(server);
      for (const name of ["g1", "g2"]) {
        await Deno.mkdir(`${dir}/${name}`);
        children.push(await startWorker(server, { name, stateDir: `${dir}/${name}`, args }));
      }
      const { client } = server;
      const spec = (name: string, image: string, replicas = 1) => ({
        ...{ name, project: PROJECT, mode: { type: "replicated" as const, replicas } },
        template: { image, stopGraceMs: 2000, placement: { strategy: "spread" as const } },
        update: { monitorMs: 0 },
      });
      const versionOf = async ({ id }: TaskView) => {
        const filters = { label: [`${LABEL.task}=${id}`] };
        const [found] = await engine.docker.listContainers({ all: true, filters });
        assert(found, "the task's container");
        const info = await engine.docker.getContainer(found.Id).inspect();
        answers += JSON.stringify(info);
        return info.Config.Env.find((pair) => pair.startsWith("VERSION="))?.slice(8);
      };

      const image = `${token.host}/shop/app:1`;
      ok(await client.createService(spec("none", image)));
      const none = `there are no credentials for ${token.host}: berth login ${token.host}`;
      assertStringIncludes(await whySays(client, "none", /berth login/), none);
      ok(await client.deleteService("none", PROJECT));
      for (const { host, username } of registries) {
        ok(await client.putRegistry(host, { username, password: CANARIES[2] }));
      }
      ok(await client.createService(spec("wrong", `${basic.host}/app:1`)));
      const wrong = `the credentials of ann for ${basic.host} do not do`;
      assertStringIncludes(await whySays(client, "wrong", /berth login/), wrong);
      ok(await client.deleteService("wrong", PROJECT));
      for (const { host, username, password } of registries) {
        ok(await client.putRegistry(host, { username, password }));
      }

      token.pauseMs = 100;
      const made = ok(await client.createService(spec("web", image)));
      assertStringIncludes(made.imagePin?.note ?? "", "not settled");
      await whySays(client, "web", /^preparing on g\d: pulling \d+ of \d+ KiB$/);
      ok(await client.createService(spec("other", `${basic.host}/app:1`)));
      const [first] = await running(client, "web", { revision: 1, count: 1 });
      assert(first);
      token.pauseMs = 0;
      assertEquals(await versionOf(first), "one");
      const view = ok(await client.getService("web", PROJECT));
      assertEquals(view.imagePin, { digest: one });

      const two = await token.push("shop/app", "1", { VERSION: "two" });
      // As on a machine that never had it.
      await engine.docker.getImage(image).remove({ force: true });
      ok(await client.putService("web", spec("web", image, 2)));
      const both = await running(client, "web", { revision: 1, count: 2 });
      assertEquals(new Set(both.map((task) => task.node)).size, 2, "on both nodes");
      assertEquals(await Promise.all(both.map(versionOf)), ["one", "one"]);

      ok(await client.putService("web", spec("web", image, 2), { pull: true }));
      const anew = await running(client, "web", { revision: 2, count: 2 });
      assertEquals(await Promise.all(anew.map(versionOf)), ["two", "two"]);
      const { items: [newest] } = ok(await client.listRevisions("web", { project: PROJECT }));
      assertEquals([newest?.digest, newest?.changes.length], [two, 1]);
      const [other] = await running(client, "other", { revision: 1, count: 1 });
      assertEquals(other && await versionOf(other), "basic");

      const wide = { limit: 500 } as const;
      answers += JSON.stringify([
        ok(await client.listRegistries()),
        ok(await client.listServices()),
        ok(await client.listTasks(wide)),
        ok(await client.listEvents(wide)),
        ok(await client.listNodes()),
        ok(await client.why(first.id)),
      ]);
      for (const name of ["web", "other"]) ok(await client.deleteService(name, PROJECT));
      await eventually(async () => {
        const { items } = ok(await client.listServices({ project: PROJECT }));
        return items.length === 0;
      }, PATIENCE);
    } finally {
      // Killed, so that what was not moved into the database file stays in its log.
      for (const child of children.reverse()) await child.stop("SIGKILL");
      const { docker } = engine;
      const filters = { label: [`${LABEL.project}=${PROJECT}`] };
      for (const { Id } of await docker.listContainers({ all: true, filters })) {
        await docker.getContainer(Id).remove({ force: true, v: true }).catch(() => {});
      }
      for (const { RepoTags, RepoDigests } of await docker.listImages()) {
        for (const name of [...RepoTags ?? [], ...RepoDigests ?? []]) {
          const isOurs = registries.some(({ host }) => name.startsWith(`${host}/`));
          if (isOurs) await docker.getImage(name).remove({ force: true }).catch(() => {});
        }
      }
      engine.close();
      for (const registry of registries) await registry.close();
    }
    const logs = children.map((child) => child.log()).join("\n");
    assert(logs.includes("step"), "the debug log");
    const files = await contentsOf(dir);
    assert(files.includes("SQLite format 3"), "the database");
    assert(/berth\.db-wal\n./.test(files), "its log");
    for (const canary of CANARIES) {
      const forms = [
        canary,
        btoa(canary),
        btoa(`ann:${canary}`),
        new TextEncoder().encode(canary).toHex(),
      ];
      for (const form of forms) {
        for (const [where, text] of Object.entries({ answers, logs, files })) {
          assert(!text.includes(form), `${form} is in ${where}`);
        }
      }
    }
    await Deno.remove(dir, { recursive: true });
  },
);
