import { assert, assertEquals } from "@std/assert";
import { type CachedKv, cacheRows } from "../../kv/cached.ts";
import { key } from "../../kv/keys.ts";
import { report } from "../../kv/reports.ts";
import type { Observed } from "../../kv/schema/task.ts";
import type { Kv } from "../../kv/store.ts";
import { liveTasks } from "../../scheduler/live_tasks.ts";
import { createTicker, type Ticker } from "../../scheduler/tick.ts";
import { createRandom } from "../sim/random.ts";
import { okValue, type TestApi, withApi } from "../support/api.ts";
import { createFakeClock, type FakeClock } from "../support/fake_clock.ts";
import { countingIds, idOf } from "../support/ids.ts";
import { seedNode, specOf } from "../support/seed.ts";

interface Scene extends TestApi {
  clock: FakeClock;
  ticker: Ticker;
  rows: CachedKv;
  /** Reads of the database so far. */
  reads(): number;
  /** From now on the database answers no read, or does again. */
  deaf(on: boolean): void;
}

/** The API as a server that is alone with its database has it, and its leader. */
async function withAnswers(run: (scene: Scene) => Promise<void>): Promise<void> {
  let rows: CachedKv | undefined;
  let ticker: Ticker | undefined;
  let reads = 0;
  let deaf = false;
  const read = () => {
    reads++;
    if (deaf) throw new Error("database: it does not answer");
  };
  const counted = (kv: Kv): Kv => ({
    ...{
      atomic: () => kv.atomic(),
      watch: (keys, o) => kv.watch(keys, o),
      close: () => kv.close(),
    },
    get: ((...args: Parameters<Kv["get"]>) => (read(), kv.get(...args))) as Kv["get"],
    getMany:
      ((...args: Parameters<Kv["getMany"]>) => (read(), kv.getMany(...args))) as Kv["getMany"],
    list: ((...args: Parameters<Kv["list"]>) => (read(), kv.list(...args))) as Kv["list"],
  });
  const clock = createFakeClock();
  await withApi(async (t) => {
    assert(rows);
    ticker = createTicker({
      ...{ kv: rows.direct, clock, newId: countingIds(5_000_000), log: () => {} },
      ...{ replicaId: idOf(9), exclusive: true, nodeTtlMs: 1e9, leaderTtlMs: 5000 },
      ...{ historyLimit: 2, logLimit: 1000 },
    });
    await seedNode(t.kv, idOf(1), "n1");
    await seedNode(t.kv, idOf(2), "n2");
    await ticker.tick();
    await run({ ...t, clock, ticker, rows, reads: () => reads, deaf: (on) => void (deaf = on) });
  }, {
    clock,
    wrapKv: (kv) => (rows = cacheRows(counted(kv))).cached,
    deps: {
      trackRows: () => rows?.track() ?? assert(false) as never,
      liveTasks: () => {
        const world = ticker?.world();
        return world && liveTasks(world);
      },
    },
  });
}

async function bodyOf(scene: Scene, path: string): Promise<unknown> {
  return await (await scene.send("GET", path)).json();
}

Deno.test("an object that is read again is answered without the database", () =>
  withAnswers(async (scene) => {
    okValue(await scene.client().createService(specOf({ name: "web" })));
    await scene.ticker.tick();
    const paths = ["/v1/services/web", "/v1/nodes/n1"];
    const first = await Promise.all(paths.map((path) => bodyOf(scene, path)));
    const before = scene.reads();
    assertEquals(await Promise.all(paths.map((path) => bodyOf(scene, path))), first);
    assertEquals(scene.reads(), before);
  }));

Deno.test("an answer that cannot be made anew is a problem, and an answer again once it can", () =>
  withAnswers(async (scene) => {
    const client = scene.client();
    const { spec } = okValue(await client.getNode("n1"));
    const cordoned = { ...spec, availability: "cordon" };
    await scene.rows.direct.atomic().set(key.nodeSpec(idOf(1)), cordoned).commit();
    scene.deaf(true);
    const answer = await scene.send("GET", "/v1/nodes/n1");
    assertEquals(answer.status, 503);
    assertEquals((await answer.json()).type, "/problems/unavailable");
    scene.deaf(false);
    assertEquals(okValue(await client.getNode("n1")).spec.availability, "cordon");
  }));

Deno.test("a kept answer is for admins only, and for GET", () =>
  withAnswers(async (scene) => {
    assertEquals((await scene.send("GET", "/v1/nodes/n1")).status, 200);
    for (
      const [token, status] of [[null, 401], ["berth_admin_wrong", 401], [scene.join, 403]] as const
    ) {
      const answer = await scene.send("GET", "/v1/nodes/n1", { token });
      assertEquals(answer.status, status);
      await answer.body?.cancel();
    }
    assertEquals((await scene.send("DELETE", "/v1/nodes/n1")).status, 204);
    assertEquals((await scene.client().getNode("n1")).ok, false);
  }));

Deno.test("whatever changes, a kept answer is what would be answered anew", () =>
  withAnswers(async (scene) => {
    const { ticker, rows, clock } = scene;
    const random = createRandom(1, "answers");
    const client = scene.client();
    const changes: (() => Promise<unknown>)[] = [
      () =>
        client.createService(specOf({ name: "web", mode: { type: "replicated", replicas: 2 } })),
      () => client.deleteService("web"),
      async () => {
        const web = await client.getService("web");
        if (!web.ok) return;
        const replicas = random.int(5);
        const { name, project, template } = web.value;
        const spec = specOf({ name, project, template, mode: { type: "replicated", replicas } });
        await client.putService("web", spec, { ifMatch: web.value.version });
      },
      async () => {
        const node = okValue(await client.getNode("n1"));
        const availability = random.pick(["active", "cordon", "drain"] as const);
        await client.putNodeSpec("n1", { labels: {}, availability }, { ifMatch: node.version });
      },
      ...Array.from({ length: 6 }, () => async () => {
        const tasks = okValue(await client.listTasks({ limit: 50 })).items;
        const placed = tasks.filter(({ nodeId, ended }) => nodeId !== undefined && !ended);
        if (placed.length === 0) return;
        const { id, nodeId, desired } = random.pick(placed);
        const states = desired === "stop"
          ? ["stopped"] as const
          : ["preparing", "starting", "running", "failed"] as const;
        const seen: Observed = {
          ...{ taskId: id, attempt: 1, state: random.pick(states), health: "none", ports: [] },
        };
        const deps = { kv: rows.cached, clock, newId: scene.newId };
        await report(deps, nodeId ?? "", { tasks: [seen] });
      }),
    ];
    const seen = new Set<string>();
    for (let step = 0; step < 150; step++) {
      await random.pick(changes)();
      await clock.advance(random.int(2000));
      if (random.chance(0.7)) await ticker.tick();
      const tasks = okValue(await client.listTasks({ limit: 50 })).items;
      for (const { id } of tasks) seen.add(`/v1/tasks/${id}`);
      for (const path of ["/v1/services/web", "/v1/nodes/n1", "/v1/nodes/n2", ...seen]) {
        assertEquals(await bodyOf(scene, path), await bodyOf(scene, `${path}?anew=${step}`), path);
      }
    }
    assert(seen.size > 10, `${seen.size} tasks`);
  }));
