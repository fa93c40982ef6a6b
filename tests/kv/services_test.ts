import { ServiceSpec } from "../../kv/schema/service.ts";
import { assert, assertEquals, assertNotEquals, assertStringIncludes } from "@std/assert";
import { key } from "../../kv/keys.ts";
import { readQueue } from "../../kv/queue.ts";
import { systemClock } from "../../kv/schema/time.ts";
import type { TaskState } from "../../kv/schema/task_state.ts";
import type { TaskSummary } from "../../kv/schema/tasks_known.ts";
import { countTasks, phaseOf } from "../../kv/service_view.ts";
import { getService, listServices } from "../../kv/service_reads.ts";
import { createService, deleteService, putService, type ServiceDeps } from "../../kv/services.ts";
import type { Kv } from "../../kv/store.ts";
import { countingIds, idOf } from "../support/ids.ts";
import { assertOk } from "../support/outcome.ts";
import { dump, withKv } from "../support/kv.ts";
import { seedObserved, seedTask, seen, specOf } from "../support/seed.ts";

function depsOf(kv: Kv): ServiceDeps {
  return { kv, clock: systemClock, newId: countingIds() };
}

const WEB = { ref: "web", project: "default" };

Deno.test("a created service, its name, its revision and one wake-up are one commit", () =>
  withKv(async (kv) => {
    const { value } = assertOk(await createService(depsOf(kv), specOf()));
    const stamps = new Set<string | null>();
    for (
      const row of [
        key.service(value.id),
        key.serviceName("default", "web"),
        key.revision(value.id, 1),
        key.queueHead(),
      ]
    ) stamps.add((await kv.get(row)).versionstamp);
    assertEquals([...stamps], [value.version]);
    assertEquals((await readQueue(kv, 10)).map((m) => m.message), [
      { kind: "service", id: value.id },
    ]);
  }));

Deno.test("of many creations under one name exactly one succeeds", () =>
  withKv(async (kv) => {
    const deps = depsOf(kv);
    const all = await Promise.all(Array.from({ length: 12 }, () => createService(deps, specOf())));
    assertEquals(all.filter((outcome) => outcome.ok).length, 1);
    assertEquals(
      new Set(all.flatMap((outcome) => outcome.ok ? [] : [outcome.refusal.kind])),
      new Set(["name-taken" as const]),
    );
  }));

Deno.test("priority and disruption budget change without a new revision, a placement rule with one", () =>
  withKv(async (kv) => {
    const deps = depsOf(kv);
    assertOk(await createService(deps, specOf()));
    const raised = { priority: 7, disruption: { maxUnavailable: 2 } };
    const { value } = assertOk(await putService(deps, WEB, specOf(raised)));
    assertEquals([value.priority, value.disruption.maxUnavailable, value.revision], [7, 2, 1]);
    assertEquals((await readQueue(kv, 10)).length, 2, "the leader is woken");
    const template = { image: "nginx:1.27", placement: { constraints: ["node.name!=n1"] } };
    const moved = assertOk(await putService(deps, WEB, specOf({ ...raised, template })));
    assertEquals(moved.value.revision, 2);
  }));

Deno.test("an unchanged spec writes nothing; a changed template is a new revision, a changed mode not", () =>
  withKv(async (kv) => {
    const deps = depsOf(kv);
    assertOk(await createService(deps, specOf({ labels: { a: "1", b: "2" } })));
    const before = await dump(kv);
    const same = assertOk(
      await putService(deps, WEB, specOf({ labels: { b: "2", a: "1" } })),
    );
    assertEquals(await dump(kv), before);
    assertEquals(same.value.revision, 1);
    const scaled = assertOk(
      await putService(deps, WEB, specOf({ mode: { type: "replicated", replicas: 5 } })),
    );
    assertEquals(scaled.value.revision, 1);
    assertNotEquals(scaled.value.version, same.value.version);
    const changed = assertOk(await putService(deps, WEB, specOf({ template: { image: "b:2" } })));
    assertEquals(changed.value.revision, 2);
    assertEquals(changed.value.template.image, "b:2");
    const old = await kv.get<{ template: { image: string } }>(key.revision(changed.value.id, 1));
    assertEquals(old.value?.template.image, "nginx:1.27");
  }));

Deno.test("a write based on an older version is refused, and changes nothing", () =>
  withKv(async (kv) => {
    const deps = depsOf(kv);
    const { value: first } = assertOk(await createService(deps, specOf()));
    assertOk(await putService(deps, WEB, specOf({ stopped: true })));
    const before = await dump(kv);
    for (
      const outcome of [
        await putService(deps, WEB, specOf(), { ifMatch: first.version }),
        await deleteService(deps, WEB, { ifMatch: first.version }),
      ]
    ) assertEquals(outcome.ok ? undefined : outcome.refusal.kind, "changed");
    assertEquals(await dump(kv), before);
  }));

Deno.test("concurrent writers without If-Match all get through, and the last one's spec stands", () =>
  withKv(async (kv) => {
    const deps = depsOf(kv);
    assertOk(await createService(deps, specOf()));
    const all = await Promise.all(
      [1, 2, 3, 4].map((replicas) =>
        putService(deps, WEB, specOf({ mode: { type: "replicated", replicas } }))
      ),
    );
    const newest = all.map((outcome) => assertOk(outcome).value)
      .sort((a, b) => a.version < b.version ? 1 : -1)[0];
    assertEquals(assertOk(await getService(kv, WEB)), newest);
  }));

Deno.test("a service that is being removed keeps its name, takes no change, and may be removed again", () =>
  withKv(async (kv) => {
    const deps = depsOf(kv);
    assertOk(await createService(deps, specOf()));
    assertEquals(assertOk(await deleteService(deps, WEB)).value.phase, "removing");
    const before = await dump(kv);
    const put = await putService(deps, WEB, specOf({ stopped: true }));
    assertEquals(put.ok ? undefined : put.refusal.kind, "busy");
    const again = await createService(deps, specOf());
    assert(!again.ok);
    assertEquals(again.refusal.kind, "name-taken");
    assertStringIncludes(again.refusal.hint ?? "", "last container");
    assertEquals(assertOk(await deleteService(deps, WEB)).value.deleting, true);
    assertEquals(await dump(kv), before);
  }));

Deno.test("a spec that does not fit into a row is refused by name, and leaves nothing behind", () =>
  withKv(async (kv) => {
    const env = Object.fromEntries(
      Array.from({ length: 3 }, (_, i) => [`V${i}`, "x".repeat(30_000)]),
    );
    const outcome = await createService(
      depsOf(kv),
      specOf({ template: { image: "nginx", env } }),
    );
    assert(!outcome.ok);
    assertEquals(outcome.refusal.kind, "too-large");
    assertEquals(outcome.refusal.errors?.[0]?.field, "template");
    assertEquals((await dump(kv)).size, 0);
  }));

Deno.test("pages hold every service once, whatever is added or removed in between", () =>
  withKv(async (kv) => {
    const deps = depsOf(kv);
    for (let n = 10; n < 20; n++) assertOk(await createService(deps, specOf({ name: `s${n}` })));
    const names: string[] = [];
    let cursor: string | undefined;
    do {
      const page = assertOk(
        await listServices(kv, { limit: 3, ...(cursor === undefined ? {} : { cursor }) }),
      );
      names.push(...page.items.map((item) => item.name));
      if (names.length === 3) {
        assertOk(await createService(deps, specOf({ name: "s00" })));
        await kv.atomic().delete(key.serviceName("default", "s13")).commit();
      }
      cursor = page.next;
    } while (cursor !== undefined);
    assertEquals(names, [10, 11, 12, 14, 15, 16, 17, 18, 19].map((n) => `s${n}`));
  }));

Deno.test("a view counts the tasks by what they mean", () =>
  withKv(async (kv) => {
    const mode = { type: "replicated", replicas: 3 } as const;
    const { value } = assertOk(await createService(depsOf(kv), specOf({ mode })));
    const of = (n: number) => ({ id: idOf(n), serviceId: value.id, slot: n % 10 });
    await seedTask(kv, { ...of(101), nodeId: idOf(1) });
    await seedObserved(kv, seen(idOf(101)));
    await seedTask(kv, { ...of(102), nodeId: idOf(1) });
    await seedTask(kv, of(103));
    await seedTask(kv, { ...of(104), nodeId: idOf(1), ended: "lost" });
    assertEquals(assertOk(await getService(kv, WEB)).counts, {
      wanted: 3,
      running: 1,
      ready: 1,
      pending: 2,
      succeeded: 0,
      failed: 1,
    });
  }));

const task = (slot: number, state: TaskState, more: Partial<TaskSummary> = {}): TaskSummary => ({
  slot,
  revision: 1,
  desired: "run",
  state,
  failures: 0,
  ready: state === "running",
  ...more,
});

Deno.test("the phase says how a service is doing", () => {
  const replicated = (replicas: number) => ({
    mode: { type: "replicated" as const, replicas },
    stopped: false,
    deleting: false,
    revision: 1,
  });
  const job = (completions: number, retries: number) => ({
    ...replicated(1),
    mode: { type: "job" as const, completions, parallelism: 1, retries },
  });
  const table: [string, Parameters<typeof phaseOf>[0], TaskSummary[]][] = [
    ["running", replicated(1), [task(1, "running")]],
    ["running", replicated(0), [task(1, "stopped")]],
    ["converging", replicated(2), [task(1, "running")]],
    ["converging", replicated(1), [task(1, "running", { ready: false })]],
    ["converging", replicated(1), [task(1, "running"), task(1, "running", { desired: "stop" })]],
    ["converging", { ...replicated(1), revision: 2 }, [task(1, "running")]],
    ["converging", replicated(1), [task(1, "failed")]],
    ["stopped", { ...replicated(1), stopped: true }, [task(1, "stopped")]],
    ["converging", { ...replicated(1), stopped: true }, [task(1, "running")]],
    ["removing", { ...replicated(1), deleting: true }, [task(1, "running")]],
    ["converging", job(2, 0), []],
    ["running", job(2, 0), [task(1, "succeeded"), task(2, "running")]],
    ["finished", job(2, 0), [task(1, "succeeded"), task(2, "succeeded")]],
    ["converging", job(2, 0), [task(1, "succeeded"), task(1, "succeeded")]],
    ["failed", job(1, 0), [task(1, "failed")]],
    ["converging", job(1, 1), [task(1, "failed")]],
    ["failed", job(1, 1), [task(1, "failed", { failures: 1 })]],
    ["converging", job(1, 0), [task(1, "lost", { desired: "stop" })]],
    ["finished", { ...job(1, 0), stopped: true }, [task(1, "succeeded")]],
  ];
  for (const [phase, service, tasks] of table) {
    assertEquals(phaseOf(service, tasks), phase, JSON.stringify({ service, tasks }));
  }
  assertEquals(countTasks(job(4, 0), []).wanted, 4);

  // Not to be started again once they succeeded.
  const global = { ...replicated(1), mode: { type: "global" as const } };
  const ending: typeof table = [
    ["finished", replicated(2), [task(1, "succeeded"), task(2, "failed"), task(2, "succeeded")]],
    ["converging", replicated(2), [task(1, "succeeded"), task(2, "running")]],
    ["converging", replicated(2), [task(1, "succeeded")]],
    ["converging", { ...replicated(1), revision: 2 }, [task(1, "succeeded")]],
    ["finished", global, [task(1, "succeeded"), task(2, "succeeded")]],
    ["converging", global, [task(1, "succeeded"), task(2, "failed")]],
    ["converging", global, []],
  ];
  for (const [phase, service, tasks] of ending) {
    const what = JSON.stringify({ service, tasks });
    assertEquals(phaseOf(service, tasks, { ends: true }), phase, what);
    assertEquals(phaseOf(service, tasks), "converging", what);
  }
});

Deno.test("a job's tasks are never started again after a success", () => {
  const spec = ServiceSpec.parse({ name: "j", mode: { type: "job" }, template: { image: "a" } });
  assertEquals(spec.template.restart.condition, "on-failure");
});
