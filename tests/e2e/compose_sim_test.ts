import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { type ServerProcess, startServer, startWorker } from "../support/processes.ts";
import { eventually } from "../support/eventually.ts";
import { okValue } from "../support/api.ts";
import { berthCommand, type Ran, ranBerth } from "../support/berth.ts";

interface World {
  server: ServerProcess;
  dir: string;
  write(name: string, text: string): Promise<void>;
  berth(...args: string[]): Promise<Ran>;
  start(...args: string[]): Deno.ChildProcess;
}

/** A server, two simulated workers and a directory called shop. */
async function inWorld(run: (world: World) => Promise<void>): Promise<void> {
  const root = await Deno.makeTempDir();
  const dir = `${root}/shop`;
  await Deno.mkdir(dir);
  const server = await startServer({ dataDir: `${root}/server` });
  const workers = await Promise.all(
    ["n1", "n2"].map((name) => startWorker(server, { name, stateDir: root, args: ["--sim"] })),
  );
  const options = { server, configDir: root, cwd: dir, env: { USER: "ann" } };
  try {
    await run({
      server,
      dir,
      write: (name, text) => Deno.writeTextFile(`${dir}/${name}`, text),
      berth: (...args) => ranBerth(options, args),
      start: (...args) => berthCommand(options, args).spawn(),
    });
  } finally {
    await Promise.all(workers.map((worker) => worker.stop()));
    await server.stop();
    await Deno.remove(root, { recursive: true });
  }
}

const SHOP = `
services:
  db:
    image: postgres:17
    healthcheck: {test: [CMD, "true"], interval: 1s, start_interval: 200ms, start_period: 5s}
    deploy: {placement: {constraints: [node.name==n1]}}
  migrate:
    image: shop
    command: echo migrated
    depends_on: {db: {condition: service_healthy}}
    deploy: {placement: {constraints: [node.name==n2]}}
  api:
    image: shop
    environment: {SECRET: hush}
    depends_on: {migrate: {condition: service_completed_successfully}}
    deploy: {replicas: 2, placement: {constraints: [node.name==n1]}}
  web:
    image: nginx
    ports: ["18080:80"]
    depends_on: {api: {condition: service_started}}
    deploy: {placement: {constraints: [node.name==n2]}}
`;

const results = (out: string) =>
  Object.fromEntries(
    out.trim().split("\n").slice(1).map((line) => line.split(/\s+/)).map((
      [a = "", b = ""],
    ) => [a, b]),
  );

Deno.test("up creates in order, leaves what is unchanged, changes one, removes orphans; down removes all", () =>
  inWorld(async (w) => {
    await w.write("compose.yaml", SHOP);
    const dry = await w.berth("up", "--dry-run");
    assertEquals([dry.code, okValue(await w.server.client.listServices()).items], [0, []]);
    assertEquals(results(dry.out), {
      db: "create",
      migrate: "create",
      api: "create",
      web: "create",
    });

    const first = await w.berth("up", "--wait");
    assertEquals(first.code, 0, first.err);
    assertEquals(results(first.out), {
      ...{ db: "created", migrate: "created", api: "created", web: "created" },
    });
    const services = okValue(await w.server.client.listServices({ project: "shop" })).items;
    assertEquals(services.map((s) => `${s.name} ${s.phase}`), [
      ...["api running", "db running", "migrate finished", "web running"],
    ]);
    const tasks = okValue(await w.server.client.listTasks({ project: "shop" })).items;
    assertEquals(
      Object.fromEntries(tasks.map(({ service, node }) => [service, node])),
      { db: "n1", migrate: "n2", api: "n1", web: "n2" },
    );
    // Each was made after what it depends on, on the other machine, was as far as it asks.
    const made = [...services].sort((a, b) => a.id < b.id ? -1 : 1).map((s) => s.name);
    assertEquals(made, ["db", "migrate", "api", "web"]);

    const again = await w.berth("up");
    assertEquals(new Set(Object.values(results(again.out))), new Set(["unchanged"]), again.err);
    assertEquals((await w.berth("diff")).code, 0);

    await w.write("compose.yaml", SHOP.replace("hush", "quiet").replace("nginx", "nginx:2"));
    const diff = await w.berth("diff");
    assertEquals(diff.code, 1);
    assertStringIncludes(diff.out, "template.image");
    assertMatch(diff.out, /template\.env\.SECRET +… +…/);
    assert(!diff.out.includes("quiet") && !diff.out.includes("hush"), "a value is shown");
    const changed = await w.berth("up");
    assertEquals(changed.code, 0, changed.err);
    assertEquals(results(changed.out), {
      ...{ db: "unchanged", migrate: "unchanged", api: "changed", web: "changed" },
    });

    await w.write("compose.yaml", SHOP.slice(0, SHOP.indexOf("  web:")));
    const left = await w.berth("up");
    assertStringIncludes(left.err, "in no file any more: web");
    const pruned = await w.berth("up", "--remove-orphans");
    assertEquals(pruned.code, 0, pruned.err);
    assert(!(await w.server.client.getService("web", "shop")).ok);

    const down = await w.berth("down");
    assertEquals([down.code, Object.keys(results(down.out))], [0, ["api", "migrate", "db"]]);
    assertEquals(okValue(await w.server.client.listServices({ project: "shop" })).items, []);
  }));

Deno.test("a file that is wrong is one message with its place, exit code 2, and changes nothing", () =>
  inWorld(async (w) => {
    for (
      const [text, message] of [
        [
          "services:\n  web:\n    image: nginx\n    prots: []\n",
          "compose.yaml:4:5: services.web.prots",
        ],
        [
          "services:\n  web:\n    image: n\n    deploy:\n      replicas: 999999\n",
          "compose.yaml:5:17: services.web.deploy.replicas:",
        ],
        [
          "services:\n  web:\n    image: n\n    x-berth:\n      stratgy: spread\n",
          "compose.yaml:5:7: services.web.x-berth.stratgy: there is no such setting",
        ],
        [`x-a: "${"a".repeat(10_000_000)}"\n`, "compose.yaml:1:1: the file has 9.5 MiB"],
      ] as const
    ) {
      await w.write("compose.yaml", text);
      const ran = await w.berth("up");
      assertEquals([ran.code, ran.out], [2, ""], ran.err);
      assertStringIncludes(ran.err.replaceAll(`${w.dir}/`, ""), message);
      assertEquals(ran.err.split("\n").filter((line) => line.startsWith("berth:")).length, 1);
    }
    assertEquals(okValue(await w.server.client.listServices()).items, []);
  }));

Deno.test("a dependency that fails stops what waits for it, and says so", () =>
  inWorld(async (w) => {
    await w.write(
      "compose.yaml",
      `
services:
  migrate: {image: shop, command: "false"}
  web: {image: nginx, depends_on: {migrate: {condition: service_completed_successfully}}}
`,
    );
    const ran = await w.berth("up");
    assertEquals(ran.code, 1, ran.err);
    assertStringIncludes(ran.err, "web was not applied: migrate failed");
    assert(!(await w.server.client.getService("web", "shop")).ok);
    await w.write(
      "compose.yaml",
      (await Deno.readTextFile(`${w.dir}/compose.yaml`)).replace('"false"', '"true"'),
    );
    assertEquals(results((await w.berth("up")).out), { migrate: "recreated", web: "created" });
  }));

Deno.test("a project is changed by one at a time: a second up names who holds the lock", () =>
  inWorld(async (w) => {
    await w.write("compose.yaml", "services: {web: {image: nginx}}");
    const holder = { id: "test-holder", holder: "ben@lap (berth up)", ttlMs: 60_000 };
    okValue(await w.server.client.lockProject("shop", holder));
    const refused = await w.berth("up", "--timeout", "1s");
    assertEquals(refused.code, 4, refused.err);
    assertStringIncludes(refused.err, "project shop is being changed by ben@lap (berth up)");
    const waiting = w.start("up", "--timeout", "20s");
    let said = "";
    const reading = (async () => {
      for await (const text of waiting.stderr.pipeThrough(new TextDecoderStream())) said += text;
    })();
    const out = new Response(waiting.stdout).text();
    await eventually(() => said.includes("is being changed by ben@lap"), { what: "the wait" });
    okValue(await w.server.client.unlockProject("shop", holder.id));
    assertEquals((await waiting.status).code, 0, said);
    await reading;
    assertEquals(results(await out), { web: "created" });
    assertEquals((await w.server.client.readLock("shop")).ok, false, "the lock was released");
  }));

Deno.test("Ctrl-C leaves what was applied, tries no more, and releases the lock", () =>
  inWorld(async (w) => {
    await w.write(
      "compose.yaml",
      `
services:
  slow: {image: shop, command: sleep 1000}
  web: {image: nginx, depends_on: {slow: {condition: service_completed_successfully}}}
`,
    );
    const child = w.start("up");
    const said = new Response(child.stderr).text();
    const out = new Response(child.stdout).text();
    await eventually(async () => (await w.server.client.getService("slow", "shop")).ok, {
      what: "the first service",
    });
    child.kill("SIGINT");
    assertEquals((await child.status).code, 130, await said);
    assertStringIncludes(await said, "interrupted: what was applied stays");
    assertEquals(results(await out), { slow: "created", web: "skipped" });
    assertEquals((await w.server.client.readLock("shop")).ok, false);
    assert(!(await w.server.client.getService("web", "shop")).ok);
  }));
