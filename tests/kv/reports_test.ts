import { assert, assertEquals, assertFalse } from "@std/assert";
import fc from "fast-check";
import { createImmutable } from "../../kv/immutable.ts";
import { key } from "../../kv/keys.ts";
import { readQueue } from "../../kv/queue.ts";
import { report } from "../../kv/reports.ts";
import { Observed } from "../../kv/schema/task.ts";
import { advances, isTerminal } from "../../kv/schema/task_state.ts";
import { getTask } from "../../kv/tasks.ts";
import type { Kv } from "../../kv/store.ts";
import { countingIds, idOf } from "../support/ids.ts";
import { dump, withKv } from "../support/kv.ts";
import { assertOk } from "../support/outcome.ts";
import { seedObserved, seedTask, seedTasksOn, seen } from "../support/seed.ts";

const depsOf = (kv: Kv) => ({ kv, immutable: createImmutable(kv), newId: countingIds(500_000) });
const NODE = idOf(1);
const SERVICE = idOf(2);

const seedWorld = (kv: Kv, tasks: number) =>
  seedTasksOn(kv, { nodeId: NODE, serviceId: SERVICE, tasks });

async function observed(kv: Kv, taskId: string): Promise<Observed | null> {
  return (await kv.get<Observed>(key.observed(taskId))).value;
}

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

Deno.test("an earlier report that comes after one which changes nothing is not applied either", () =>
  withKv(async (kv) => {
    const [id = ""] = await seedWorld(kv, 1);
    const deps = depsOf(kv);
    const say = async (base: string, ready: boolean) =>
      assertOk(await report(deps, NODE, { tasks: [seen(id, { ready })], base }));
    const { base } = await say("", true);
    // It said that it was not ready, heard no answer, was ready again, and said so.
    const again = await say(base, true);
    assertFalse(again.stale);
    const late = await say(base, false);
    assertEquals([late.stale, late.base], [true, again.base]);
    assertEquals((await observed(kv, id))?.ready, true);
  }));
