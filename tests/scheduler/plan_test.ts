import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import type { Action } from "../../scheduler/action.ts";
import { describe } from "../../scheduler/action.ts";
import { plan } from "../../scheduler/plan.ts";
import { hostPortsOf, type World } from "../../scheduler/world.ts";
import {
  applyActions,
  converge,
  counter,
  idOf,
  nodes,
  OPTIONS,
  planAll,
  settle,
  world,
} from "../support/world.ts";
import { aWorld, rebuilt } from "../support/random_world.ts";

const RUNS = { numRuns: 300, seed: 11 };

/** What the live tasks of the world hold, counted from the tasks alone. */
function assertNothingOvercommitted(made: World): void {
  for (const [id, { node }] of made.nodes) {
    let milliCpus = 0;
    let memoryMiB = 0;
    const ports: string[] = [];
    for (const { task, endedAtMs } of made.tasks.values()) {
      if (task.nodeId !== id || endedAtMs !== undefined) continue;
      const template = made.services.get(task.serviceId)?.templates.get(task.revision);
      if (!template) continue;
      milliCpus += Math.round(template.reserve.cpus * 1000);
      memoryMiB += template.reserve.memoryMiB;
      ports.push(...hostPortsOf(template));
    }
    assert(milliCpus <= node.capacity.cpus * 1000, `${node.name}: ${milliCpus} mcpu are reserved`);
    assert(memoryMiB <= node.capacity.memoryMiB, `${node.name}: ${memoryMiB} MiB are reserved`);
    assertEquals(new Set(ports).size, ports.length, `${node.name} has ${ports.sort()}`);
  }
}

/** Every task that a plan has an action about. */
function tasksOf(actions: readonly Action[]): string[] {
  return actions.flatMap((action) => "taskId" in action ? [action.taskId] : []);
}

Deno.test("capacity is never exceeded and host ports are never doubled", () => {
  fc.assert(
    fc.property(aWorld, (input) => {
      const made = world({ ...input, tasks: [] });
      const newId = counter();
      converge(made, newId);
      assertNothingOvercommitted(made);
      settle(made);
      converge(made, newId, { limit: 3 });
      assertNothingOvercommitted(made);
    }),
    RUNS,
  );
});

Deno.test("a plan has one action a task at the most, and one creation a slot", () => {
  fc.assert(
    fc.property(aWorld, fc.nat(9000), (input, nowMs) => {
      const { actions } = planAll(world(input), { nowMs });
      const tasks = tasksOf(actions);
      assertEquals(new Set(tasks).size, tasks.length, actions.map(describe).join("\n"));
      const slots = actions.flatMap((a) => a.kind === "create" ? [`${a.serviceId}.${a.slot}`] : []);
      assertEquals(new Set(slots).size, slots.length);
    }),
    RUNS,
  );
});

Deno.test("once a plan that is not unfinished is applied, planning again gives nothing", () => {
  fc.assert(
    fc.property(aWorld, fc.nat(9000), (input, nowMs) => {
      const made = world(input);
      const newId = counter("z");
      for (let round = 0; round < 6; round++) {
        const { actions, more } = planAll(made, { nowMs });
        applyActions(made, actions, newId, nowMs);
        if (more || actions.some(({ kind }) => kind === "retire")) continue;
        // An ended task that was replaced, or a task lost, may have joined the history.
        const again = planAll(made, { nowMs });
        assertEquals(again.actions.map(describe), []);
        return;
      }
      throw new Error("does not come to rest");
    }),
    RUNS,
  );
});

Deno.test("the plan does not depend on the order in which rows were read", () => {
  fc.assert(
    fc.property(aWorld, fc.infiniteStream(fc.nat()), fc.nat(9000), (input, salt, nowMs) => {
      const made = world(input);
      const other = rebuilt(input, () => salt.next().value ?? 0);
      assertEquals(
        planAll(other, { nowMs }).actions.map(describe),
        planAll(made, { nowMs }).actions.map(describe),
      );
    }),
    RUNS,
  );
});

Deno.test("planning does not write to the world", () => {
  fc.assert(
    fc.property(aWorld, fc.nat(9000), (input, nowMs) => {
      const made = world(input);
      const before = structuredClone(made);
      planAll(made, { nowMs });
      assertEquals(made, before);
    }),
    { ...RUNS, numRuns: 100 },
  );
});

Deno.test("however small the limit, repeated plans get everything done", () => {
  fc.assert(
    fc.property(aWorld, fc.integer({ min: 1, max: 4 }), (input, limit) => {
      const made = world(input);
      const newId = counter("z");
      let calls = 0;
      for (let more = true; more; calls++) {
        const planned = planAll(made, { limit });
        assert(planned.actions.length <= limit, `${planned.actions.length} actions`);
        assert(!planned.more || planned.actions.length > 0, "more without progress");
        applyActions(made, planned.actions, newId, 0);
        more = planned.more;
        assert(calls < 500, "does not come to rest");
      }
      const rest = planAll(made).actions.filter(({ kind }) => kind !== "purge");
      assertEquals(rest.map(describe), []);
    }),
    RUNS,
  );
});

Deno.test("the limit cuts a large service; its next plans go on where the last one ended", () => {
  const made = world({ nodes: nodes(10), services: [{ name: "web", replicas: 250 }] });
  const newId = counter();
  const slots: number[] = [];
  for (const expected of [100, 100, 50]) {
    const { actions, more, unfinished } = planAll(made, { service: "web", limit: 100 });
    assertEquals([actions.length, more], [expected, expected === 100]);
    assertEquals(unfinished, expected === 100 ? [idOf("web")] : []);
    for (const action of actions) if (action.kind === "create") slots.push(action.slot);
    applyActions(made, actions, newId, 0);
  }
  assertEquals(slots, Array.from({ length: 250 }, (_, i) => i + 1));
});

Deno.test("services that the limit left out are named", () => {
  const services = ["a", "b", "c"].map((name) => ({ name, replicas: 2 }));
  const made = world({ nodes: nodes(1), services });
  const scope = { services: services.map(({ name }) => idOf(name)), nodes: [] };
  const { actions, unfinished } = plan(made, 0, scope, { ...OPTIONS, limit: 3 });
  assertEquals(actions.length, 3);
  assertEquals(unfinished, [idOf("b"), idOf("c")]);
});

Deno.test("pending tasks without room do not keep a limited plan from going on", () => {
  const made = world({ services: [{ name: "web", replicas: 10 }] });
  const newId = counter();
  for (let call = 0; call < 4; call++) {
    applyActions(made, planAll(made, { limit: 3 }).actions, newId, 0);
  }
  assertEquals(made.services.get(idOf("web"))?.pending, 10);
  assertEquals(planAll(made, { limit: 3 }).more, false);
});

Deno.test("only what is in scope is planned, and what is unknown is passed over", () => {
  const made = world({ nodes: nodes(1), services: [{ name: "web" }, { name: "db" }] });
  const scope = { services: [idOf("db"), "unknown", idOf("db")], nodes: ["unknown"] };
  const { actions } = plan(made, 0, scope, OPTIONS);
  assertEquals(actions.map(describe), [`create ${idOf("db")}.1 r1 on ${idOf("n1")}`]);
  assertEquals(plan(made, 0, { services: [], nodes: [] }, OPTIONS).actions, []);
});

Deno.test("everything in a random world comes to rest with what is wanted running", () => {
  fc.assert(
    fc.property(aWorld, (input) => {
      const made = world(input);
      const newId = counter("z");
      for (let round = 0;; round++) {
        assert(round < 200, "does not come to rest");
        const done = converge(made, newId);
        if (done.length === 0) break;
        settle(made);
      }
      for (const { service, live } of made.services.values()) {
        assert(!service.deleting, `${service.name} was deleted and is still there`);
        for (const [slot, tasks] of live) assertEquals(tasks.length, 1, `slot ${slot}`);
        const { mode } = service;
        if (mode.type === "cron" || mode.type === "global") continue;
        const wanted = mode.type === "job" ? mode.completions : mode.replicas;
        const above = [...live.keys()].filter((slot) => service.stopped || slot > wanted);
        assertEquals(above, [], `${service.name} has tasks in slots that are not wanted`);
      }
    }),
    RUNS,
  );
});
