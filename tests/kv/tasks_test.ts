import { assert, assertEquals, assertFalse, assertStringIncludes } from "@std/assert";
import fc from "fast-check";
import { readAssignments } from "../../kv/assignments.ts";
import { createImmutable } from "../../kv/immutable.ts";
import { key } from "../../kv/keys.ts";
import { readQueue } from "../../kv/queue.ts";
import { report } from "../../kv/reports.ts";
import { Observed } from "../../kv/schema/task.ts";
import { advances, isTerminal } from "../../kv/schema/task_state.ts";
import { getTask, listTasks } from "../../kv/tasks.ts";
import type { Kv } from "../../kv/store.ts";
import { countingIds, idOf } from "../support/ids.ts";
import { dump, withKv } from "../support/kv.ts";
import { assertOk, assertRefused } from "../support/outcome.ts";
import { seedNode, seedObserved, seedService, seedTask, seen, specOf } from "../support/seed.ts";

const depsOf = (kv: Kv) => ({ kv, immutable: createImmutable(kv), newId: countingIds(500_000) });
const NODE = idOf(1);
const SERVICE = idOf(2);

/** A node with a service; tasks 11, 12, … in slots 1, 2, … on the node. */
async function seedWorld(kv: Kv, tasks: number): Promise<string[]> {
  await seedNode(kv, NODE, "n1");
  await seedService(kv, SERVICE, specOf());
  const ids = Array.from({ length: tasks }, (_, i) => idOf(11 + i));
  for (const [i, id] of ids.entries()) {
    await seedTask(kv, { id, serviceId: SERVICE, slot: i + 1, nodeId: NODE });
  }
  return ids;
}

async function observed(kv: Kv, taskId: string): Promise<Observed | null> {
  return (await kv.get<Observed>(key.observed(taskId))).value;
}

Deno.test("a task is found by its id, by the end of its id, and by service.slot", () =>
  withKv(async (kv) => {
    const deps = depsOf(kv);
    const [id = ""] = await seedWorld(kv, 2);
    for (const ref of [id, id.slice(-6), id.slice(-20), "web.1", `${SERVICE}.1`]) {
      assertEquals(assertOk(await getTask(deps, { ref, project: "default" })).id, id);
    }
    for (const ref of ["web.3", "nope.1", "zzzzzz", id.slice(-5), idOf(99)]) {
      assertEquals(
        assertRefused(await getTask(deps, { ref, project: "default" })).kind,
        "not-found",
      );
    }
  }));

Deno.test("an end that fits several ids is refused with the candidates", () =>
  withKv(async (kv) => {
    await seedWorld(kv, 0);
    const ids = ["0000000000000000000a123456", "0000000000000000000b123456"];
    for (const id of ids) await seedTask(kv, { id, serviceId: SERVICE });
    const refusal = assertRefused(
      await getTask(depsOf(kv), { ref: "123456", project: "default" }),
    );
    assertEquals(refusal.kind, "ambiguous");
    for (const id of ids) assertStringIncludes(refusal.detail, id);
  }));

Deno.test("service.slot is the newest live task of the slot, or else the newest", () =>
  withKv(async (kv) => {
    const deps = depsOf(kv);
    await seedWorld(kv, 0);
    const of = (n: number) => ({ id: idOf(n), serviceId: SERVICE, slot: 1, nodeId: NODE });
    const find = async () => assertOk(await getTask(deps, { ref: "web.1", project: "default" })).id;
    await seedTask(kv, { ...of(21), ended: "lost" });
    assertEquals(await find(), idOf(21));
    await seedTask(kv, of(22));
    await seedTask(kv, { ...of(23), ended: "lost" });
    assertEquals(await find(), idOf(22));
    await seedTask(kv, of(24));
    assertEquals(await find(), idOf(24));
  }));

Deno.test("lists filter by service, node and project, and page without gaps", () =>
  withKv(async (kv) => {
    const deps = depsOf(kv);
    const ids = await seedWorld(kv, 7);
    await seedNode(kv, idOf(3), "n2");
    await seedService(kv, idOf(4), specOf({ name: "api", project: "shop" }));
    await seedTask(kv, { id: idOf(41), serviceId: idOf(4), nodeId: idOf(3) });
    const all: string[] = [];
    let cursor: string | undefined;
    do {
      const page = assertOk(
        await listTasks(deps, { limit: 2, ...(cursor === undefined ? {} : { cursor }) }),
      );
      assert(page.items.length <= 2);
      all.push(...page.items.map((task) => task.id));
      cursor = page.next;
    } while (cursor !== undefined);
    assertEquals(all, [...ids, idOf(41)]);
    const listed = async (filter: Record<string, string>) =>
      assertOk(await listTasks(deps, { limit: 100, ...filter })).items.length;
    assertEquals(await listed({ service: "web" }), 7);
    assertEquals(await listed({ service: "api", project: "shop" }), 1);
    assertEquals(await listed({ node: "n2" }), 1);
    assertEquals(await listed({ node: "n2", service: "web" }), 0);
    assertEquals(await listed({ project: "shop" }), 1);
    assertEquals(
      assertRefused(await listTasks(deps, { limit: 1, service: "api" })).kind,
      "not-found",
    );
  }));

Deno.test("a report moves a task forwards and wakes the leader once per task", () =>
  withKv(async (kv) => {
    const [first = "", second = ""] = await seedWorld(kv, 2);
    const answer = assertOk(
      await report(depsOf(kv), NODE, {
        tasks: [seen(first, { state: "preparing" }), seen(second, { state: "running" })],
      }),
    );
    assertEquals(answer.unknown, []);
    assertEquals((await observed(kv, first))?.state, "preparing");
    assertEquals(
      (await readQueue(kv, 10)).map((m) => m.message),
      [first, second].map((id) => ({ kind: "task", id })),
    );
  }));

Deno.test("doubled and late reports change nothing at all", () =>
  withKv(async (kv) => {
    const deps = depsOf(kv);
    const [id = ""] = await seedWorld(kv, 1);
    const states = [
      seen(id, { state: "running" }),
      seen(id, { state: "preparing", attempt: 2 }),
      seen(id, { state: "failed", attempt: 2, exitCode: 1 }),
    ];
    for (const state of states) assertOk(await report(deps, NODE, { tasks: [state] }));
    const before = await dump(kv);
    for (const late of [...states, seen(id, { state: "succeeded", attempt: 2 })]) {
      assertOk(await report(deps, NODE, { tasks: [late] }));
    }
    assertEquals(await dump(kv), before);
  }));

Deno.test("a change of message is kept without a wake-up, one of health with one", () =>
  withKv(async (kv) => {
    const deps = depsOf(kv);
    const [id = ""] = await seedWorld(kv, 1);
    const say = (more: Partial<Observed>) => report(deps, NODE, { tasks: [seen(id, more)] });
    assertOk(await say({ health: "starting" }));
    assertOk(await say({ health: "starting", message: "warming up" }));
    assertEquals((await observed(kv, id))?.message, "warming up");
    assertEquals((await readQueue(kv, 10)).length, 1);
    assertOk(await say({ health: "healthy" }));
    assertEquals((await readQueue(kv, 10)).length, 2);
  }));

Deno.test("tasks of other nodes and tasks that are gone are answered as unknown", () =>
  withKv(async (kv) => {
    await seedWorld(kv, 1);
    await seedTask(kv, { id: idOf(31), serviceId: SERVICE, nodeId: idOf(9) });
    const before = await dump(kv);
    const answer = assertOk(
      await report(depsOf(kv), NODE, { tasks: [seen(idOf(31)), seen(idOf(99))] }),
    );
    assertEquals(answer.unknown, [idOf(31), idOf(99)]);
    assertEquals(await dump(kv), before);
  }));

Deno.test("a task that was given up as lost stays lost, whatever its node says when it is back", () =>
  withKv(async (kv) => {
    const deps = depsOf(kv);
    await seedWorld(kv, 0);
    await seedTask(kv, { id: idOf(11), serviceId: SERVICE, nodeId: NODE, ended: "lost" });
    const before = await dump(kv);
    for (const state of ["running", "succeeded"] as const) {
      assertOk(await report(deps, NODE, { tasks: [seen(idOf(11), { state })] }));
    }
    assertEquals(await dump(kv), before);
    const view = assertOk(await getTask(deps, { ref: idOf(11), project: "default" }));
    assertEquals(view.state, "lost");
  }));

Deno.test("an agent that fell behind is told which attempt is known", () =>
  withKv(async (kv) => {
    const [id = ""] = await seedWorld(kv, 1);
    await seedObserved(kv, seen(id, { attempt: 4 }));
    const answer = assertOk(await report(depsOf(kv), NODE, { tasks: [seen(id, { attempt: 1 })] }));
    assertEquals(answer.behind, [{ taskId: id, attempt: 4 }]);
    assertEquals((await observed(kv, id))?.attempt, 4);
  }));

Deno.test("no commit of a report has more than ten checks, and a large report is taken whole", () =>
  withKv(async (raw) => {
    const ids = await seedWorld(raw, 40);
    let most = 0;
    const kv: Kv = Object.assign(Object.create(raw), {
      get: raw.get.bind(raw),
      getMany: raw.getMany.bind(raw),
      atomic() {
        const op = raw.atomic();
        const check = op.check.bind(op);
        let checks = 0;
        op.check = (...args) => {
          checks += args.length;
          most = Math.max(most, checks);
          return check(...args);
        };
        return op;
      },
    });
    assertOk(await report(depsOf(kv), NODE, { tasks: ids.map((id) => seen(id)) }));
    assertEquals(most, 10);
    for (const id of ids) assertEquals((await observed(raw, id))?.state, "running");
  }));

Deno.test("a task that is purged while its report is on the way leaves no observed row", () =>
  withKv(async (raw) => {
    const [id = ""] = await seedWorld(raw, 1);
    let purged = false;
    const kv: Kv = Object.assign(Object.create(raw), {
      get: raw.get.bind(raw),
      getMany: raw.getMany.bind(raw),
      atomic() {
        const op = raw.atomic();
        const commit = op.commit.bind(op);
        op.commit = async () => {
          if (!purged) await raw.atomic().delete(key.task(id)).commit();
          purged = true;
          return await commit();
        };
        return op;
      },
    });
    const answer = assertOk(await report(depsOf(kv), NODE, { tasks: [seen(id)] }));
    assertEquals(answer.unknown, [id]);
    assertEquals(await observed(raw, id), null);
  }));

const anyObserved = fc.record({
  attempt: fc.integer({ min: 1, max: 3 }),
  state: fc.constantFrom(...Observed.shape.state.options),
});

Deno.test("whatever order reports come in, through whichever replica, a task only moves forwards", () =>
  fc.assert(
    fc.asyncProperty(
      fc.array(anyObserved, { minLength: 1, maxLength: 12 }),
      (steps) =>
        withKv(async (kv) => {
          const deps = depsOf(kv);
          const [id = ""] = await seedWorld(kv, 1);
          for (let at = 0; at < steps.length; at += 2) {
            const before = await observed(kv, id) ?? { attempt: 1, state: "assigned" as const };
            await Promise.all(
              steps.slice(at, at + 2).map((step) =>
                report(deps, NODE, { tasks: [seen(id, step)] })
              ),
            );
            const after = await observed(kv, id);
            if (!after) continue;
            const same = before.attempt === after.attempt && before.state === after.state;
            assert(
              same || advances(before, after, "node"),
              JSON.stringify({ before, after, steps }),
            );
            assert(same || !isTerminal(before.state));
          }
        }),
    ),
    { numRuns: 40 },
  ));

Deno.test("assignments are complete, with the template of each task's own revision", () =>
  withKv(async (kv) => {
    const ids = await seedWorld(kv, 25);
    const template = specOf({ template: { image: "nginx:2" } }).template;
    await kv.atomic().set(key.revision(SERVICE, 2), {
      serviceId: SERVICE,
      revision: 2,
      createdAt: "2030-01-01T00:00:00.000Z",
      template,
    }).commit();
    await seedTask(kv, { id: idOf(90), serviceId: SERVICE, slot: 26, revision: 2, nodeId: NODE });
    await seedTask(kv, { id: idOf(91), serviceId: SERVICE, slot: 27, nodeId: idOf(9) });
    const assigned = await readAssignments(depsOf(kv), NODE);
    assertEquals(assigned.map((a) => a.taskId), [...ids, idOf(90)]);
    assertEquals(assigned.at(0)?.template.image, "nginx:1.27");
    assertEquals(assigned.at(-1)?.template.image, "nginx:2");
    assertEquals(assigned.at(0)?.service, "web");
  }));

Deno.test("a list that would lack a live task is an error, not a shorter list", () =>
  withKv(async (kv) => {
    await seedWorld(kv, 1);
    await kv.atomic().delete(key.revision(SERVICE, 1)).commit();
    const failed = await readAssignments(depsOf(kv), NODE).then(() => "", (error) => String(error));
    assertStringIncludes(failed, "missing");
  }));

Deno.test("a report that a later one overtook on its way is not applied, and says what to send next", () =>
  withKv(async (kv) => {
    const [id = ""] = await seedWorld(kv, 1);
    const deps = depsOf(kv);
    const say = async (base: string, health: "none" | "starting") =>
      assertOk(await report(deps, NODE, { tasks: [seen(id, { state: "running", health })], base }));
    const first = await say("", "starting");
    assertFalse(first.stale);
    const second = await say(first.base, "none");
    assertFalse(second.stale);
    const late = await say("", "starting");
    assert(late.stale);
    assertEquals(late.base, second.base);
    assertEquals((await observed(kv, id))?.health, "none");
  }));
