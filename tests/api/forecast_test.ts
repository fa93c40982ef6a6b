import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Kv } from "../../kv/store.ts";
import { createService } from "../../kv/services.ts";
import { systemClock } from "../../kv/schema/time.ts";
import { loadWorld } from "../../scheduler/load.ts";
import { okValue, problemOf, type TestApi, withApi } from "../support/api.ts";
import { idOf } from "../support/ids.ts";
import { AT, seedNode, seedService, seedTask, specOf } from "../support/seed.ts";

const READY = { state: "ready" as const, since: AT, why: "seen" };
const WEB = specOf({
  name: "web",
  mode: { type: "replicated", replicas: 2 },
  template: { image: "nginx", reserve: { cpus: 3, memoryMiB: 0 } },
});

/** Two nodes of 4 cores, each with a task of web. */
async function prepare({ kv }: TestApi): Promise<void> {
  await seedNode(kv, idOf(1), "n1", READY);
  await seedNode(kv, idOf(2), "n2", READY);
  await seedService(kv, idOf(5), WEB);
  await seedTask(kv, { id: idOf(11), serviceId: idOf(5), nodeId: idOf(1), slot: 1 });
  await seedTask(kv, { id: idOf(12), serviceId: idOf(5), nodeId: idOf(2), slot: 2 });
}

async function dump(kv: Kv): Promise<string> {
  const rows: unknown[] = [];
  for await (const { key, value, versionstamp } of kv.list({ prefix: [] })) {
    rows.push([key, value, versionstamp]);
  }
  return JSON.stringify(rows);
}

Deno.test("plan tells of each spec whether it is created, changed or unchanged, and writes nothing", () =>
  withApi(async (t) => {
    await prepare(t);
    const before = await dump(t.kv);
    const specs = [
      WEB,
      specOf({ name: "small" }),
      specOf({ name: "big", template: { image: "x", reserve: { cpus: 2, memoryMiB: 0 } } }),
    ];
    const told = okValue(await t.client().plan({ specs }));
    assertEquals(told.services.map(({ name, result }) => [name, result]), [
      ["web", "unchanged"],
      ["small", "created"],
      ["big", "created"],
    ]);
    assertEquals(told.changes.map(({ kind, name, to }) => [kind, name, to]), [
      ["unplaceable", "big.1", undefined],
      ["new", "small.1", "n1"],
    ]);
    assertEquals([told.counts.new, told.counts.unplaceable, told.settled], [1, 1, true]);
    const smaller = { ...WEB, mode: { type: "replicated" as const, replicas: 1 } };
    const [change] = okValue(await t.client().plan({ specs: [smaller] })).changes;
    assertEquals([change?.kind, change?.name, change?.from], ["stopped", "web.2", "n2"]);
    assertEquals(await dump(t.kv), before);
  }));

Deno.test("plan refuses a published port as applying one service after the other would, with its place", () =>
  withApi(async (t) => {
    await prepare(t);
    const { kv, newId } = t;
    const publishing = (name: string, published: number | { from: number; to: number }) =>
      specOf({ name, template: { image: "x", ports: [{ target: 80, published }] } });
    const both = { from: 8080, to: 8081 };
    for (const spec of [publishing("api", 8080), publishing("pool", both)]) {
      assert((await createService({ kv, newId, clock: systemClock }, spec)).ok);
    }
    const before = await dump(kv);
    const client = t.client();
    const cases = [
      { specs: [specOf({ name: "a" }), publishing("b", 8080)], owner: /by service default\/api/ },
      { specs: [publishing("a", 9090), publishing("b", 9090)], owner: /by service default\/a$/ },
      {
        specs: [specOf({ name: "a" }), publishing("b", both)],
        owner: /8080 to 8081 are all taken/,
      },
    ];
    for (const { specs, owner } of cases) {
      for (const answer of [await client.plan({ specs }), await client.simulate({ specs })]) {
        const { status, detail = "", errors } = problemOf(answer);
        assertEquals([status, errors?.map(({ field }) => field)], [409, [
          "specs.1.template.ports.0.published",
        ]]);
        assertMatch(detail, /^service default\/b: /);
        assertMatch(detail, owner);
      }
    }
    const swapped = [publishing("api", 8082), publishing("b", 8080), publishing("pool", both)];
    const told = okValue(await client.plan({ specs: swapped })).services.slice(0, 3);
    assertEquals(told.map(({ result }) => result), ["changed", "created", "unchanged"]);
    assertEquals(await dump(kv), before);
  }));

Deno.test("plan refuses a route as applying one service after the other would, with its place", () =>
  withApi(async (t) => {
    await prepare(t);
    const { kv, newId } = t;
    const routed = (name: string, ...places: [host: string, path?: string][]) =>
      specOf({
        name,
        template: { image: "x", ports: [{ target: 80 }] },
        routes: places.map(([host, path = "/"]) => ({ host, path })),
      });
    assert((await createService({ kv, newId, clock: systemClock }, routed("api", ["a.test"]))).ok);
    const before = await dump(kv);
    const client = t.client();
    const cases = [
      {
        specs: [routed("a"), routed("b", ["b.test"], ["a.test"])],
        owner: /a\.test\/ .* service default\/api$/,
      },
      {
        specs: [routed("a", ["b.test", "/x"]), routed("b", ["c.test"], ["b.test", "/X"])],
        owner: /to service default\/a$/,
      },
    ];
    for (const { specs, owner } of cases) {
      for (const answer of [await client.plan({ specs }), await client.simulate({ specs })]) {
        const { status, detail = "", errors } = problemOf(answer);
        assertEquals([status, errors?.map(({ field }) => field)], [409, ["specs.1.routes.1.host"]]);
        assertMatch(detail, /^service default\/b: /);
        assertMatch(detail, owner);
      }
    }
    const swapped = [routed("api", ["c.test"]), routed("b", ["a.test"])];
    const told = okValue(await client.plan({ specs: swapped })).services.slice(0, 2);
    assertEquals(told.map(({ result }) => result), ["changed", "created"]);
    assertEquals(await dump(kv), before);
  }));

Deno.test("simulate tells what fails, drains, joins and scales, and writes nothing", () =>
  withApi(async (t) => {
    await prepare(t);
    const before = await dump(t.kv);
    const client = t.client();
    const failed = okValue(await client.simulate({ fail: ["n1"] }));
    assertEquals(failed.changes.map(({ kind, name, from }) => [kind, name, from]), [
      ["unplaceable", "web.1", "n1"],
    ]);
    assertMatch(failed.changes[0]?.why ?? "", /^0 of 2 nodes fit: /);
    const capacity = { cpus: 4, memoryMiB: 1024 };
    const saved = okValue(
      await client.simulate({ drain: [idOf(1)], add: [{ count: 1, capacity }] }),
    );
    assertEquals(saved.changes.map(({ kind, name, to }) => [kind, name, to]), [
      ["moved", "web.1", "new-1"],
    ]);
    assertEquals(saved.nodes.map(({ node, after }) => [node, after.tasks]), [
      ["n1", 0],
      ["n2", 1],
      ["new-1", 1],
    ]);
    const scaled = okValue(
      await client.simulate({
        add: [{ count: 2, capacity, labels: { zone: "a" } }],
        scale: [{ service: "web", replicas: 4 }],
      }),
    );
    assertEquals(scaled.changes.map(({ kind, to }) => [kind, to]), [
      ["new", "new-1"],
      ["new", "new-2"],
    ]);
    assertEquals(await dump(t.kv), before);
  }));

Deno.test("a forecast leaves the leader's world as it is", async () => {
  let world: Awaited<ReturnType<typeof loadWorld>> | undefined;
  let kv: Kv | undefined;
  const load = async () => {
    if (!kv) throw new Error("no database");
    return world ??= await loadWorld(kv, systemClock.monoMs(), () => {});
  };
  await withApi(async (t) => {
    kv = t.kv;
    await prepare(t);
    const before = Deno.inspect(await load(), { depth: 12, iterableLimit: 1e6 });
    okValue(await t.client().simulate({ fail: ["n1"], scale: [{ service: "web", replicas: 9 }] }));
    okValue(await t.client().plan({ specs: [specOf({ name: "fresh" })] }));
    assertEquals(Deno.inspect(await load(), { depth: 12, iterableLimit: 1e6 }), before);
  }, { deps: { loadWorld: load } });
});

Deno.test("a request that names what is not there, or says things twice, is refused by name", () =>
  withApi(async (t) => {
    await prepare(t);
    const { kv, newId } = t;
    const job = specOf({
      name: "job",
      mode: { type: "job", completions: 1, parallelism: 1, retries: 0 },
    });
    await createService({ kv, newId, clock: systemClock }, job);
    const client = t.client();
    const cases: [Parameters<typeof client.simulate>[0], number, RegExp][] = [
      [{ fail: ["nosuch"] }, 404, /no node nosuch/],
      [{ drain: ["nosuch"] }, 404, /no node nosuch/],
      [
        { scale: [{ service: "nosuch", replicas: 1 }] },
        404,
        /no service nosuch in project default/,
      ],
      [{ scale: [{ service: "job", replicas: 1 }] }, 400, /mode job: it has no replicas/],
      [{ specs: [WEB, WEB] }, 400, /default\/web is there twice/],
    ];
    for (const [request, status, detail] of cases) {
      const problem = problemOf(await client.simulate(request));
      assertEquals(problem.status, status);
      assertMatch(problem.detail ?? "", detail);
    }
    const response = await t.send("POST", "/v1/plan", {
      body: { specs: [{ ...WEB, replicaz: 1 }] },
    });
    assertEquals(response.status, 400);
    assertEquals((await response.json()).errors[0].field, "specs.0.replicaz");
    assertEquals((await t.send("POST", "/v1/plan", { token: t.join, body: {} })).status, 403);
    assert((await t.send("POST", "/v1/simulate", { body: {} })).ok);
  }));

Deno.test("a forecast of more tasks than the planner does at once is refused, naming the field", () =>
  withApi(async (t) => {
    await prepare(t);
    const mode = { type: "replicated" as const, replicas: 120_000 };
    const specs = [specOf({ name: "a", mode }), specOf({ name: "b", mode })];
    for (
      const refused of [await t.client().plan({ specs }), await t.client().simulate({ specs })]
    ) {
      const { status, errors } = problemOf(refused);
      assertEquals([status, errors?.[0]?.field], [400, "specs"]);
    }
    const everywhere = specOf({ name: "c", mode: { type: "global" } });
    const add = Array.from({ length: 11 }, () => ({ count: 1000, capacity: { cpus: 4 } }));
    const specsOfAll = Array.from({ length: 20 }, (_, i) => ({ ...everywhere, name: `c${i}` }));
    const refused = await t.client().simulate({ specs: specsOfAll, add });
    assertEquals(problemOf(refused).errors?.[0]?.field, "specs");
  }));
