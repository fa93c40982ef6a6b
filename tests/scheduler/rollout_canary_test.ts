import { assertEquals } from "@std/assert";
import { act, passUntil, stops, taskIn } from "../support/rollouts.ts";
import { applyActions, report } from "../support/world.ts";

Deno.test("canary: some slots first; the others once promoted", () => {
  const a = act({ replicas: 5, update: { strategy: "canary", canary: 2, parallelism: 0 } });
  a.put({ revision: 2 });
  passUntil(a, "waiting-promote");
  assertEquals(a.serving(), ["1 r2", "2 r2", "3 r1", "4 r1", "5 r1"]);
  a.pass(3_600_000);
  assertEquals(a.serving(), ["1 r2", "2 r2", "3 r1", "4 r1", "5 r1"]);
  a.put({ replicas: 6 });
  a.follow();
  assertEquals(a.serving().at(-1), "6 r1", "what is added meanwhile is of the old revision");
  a.ask("promote");
  passUntil(a, "done");
  assertEquals(new Set(a.serving().map((s) => s.slice(2))), new Set(["r2"]));
});

Deno.test("canary: a slot whose new task is on its way out is still one of the canary's", () => {
  const a = act({ replicas: 4, update: { strategy: "canary", canary: 2, parallelism: 0 } });
  report(a.made, taskIn(a, 3), "failed", a.nowMs(), 60_000);
  a.put({ revision: 2 });
  passUntil(a, "waiting-promote");
  assertEquals(a.serving(), ["1 r2", "2 r1", "3 r2", "4 r1"]);
  const stop = { kind: "stop" as const, taskId: taskIn(a, 3), why: "its node is drained" };
  applyActions(a.made, [stop], () => "unused", a.nowMs());
  for (const slot of [1, 2]) report(a.made, taskIn(a, slot), "failed", a.nowMs(), 60_000);
  a.plan();
  assertEquals(a.live().map((line) => line.slice(0, 4)), ["1 r2", "2 r1", "3 r2", "4 r1"]);
});

Deno.test("blue/green: a full second set, then all of the first goes at once", () => {
  const a = act({ replicas: 3, nodes: 2, update: { strategy: "bluegreen", drainMs: 2000 } });
  a.put({ revision: 2 });
  a.follow();
  assertEquals(a.serving().length, 6);
  a.pass(4999);
  assertEquals(a.serving().length, 6);
  a.pass(1);
  assertEquals([a.rollout()?.promoted, a.serving().length], [true, 6], "turned over, draining");
  assertEquals(stops(a.pass(2000)), 3);
  passUntil(a, "done");
  assertEquals(a.serving(), ["1 r2", "2 r2", "3 r2"]);
});

Deno.test("blue/green by hand waits to be promoted, and undo takes the second set away", () => {
  const a = act({ replicas: 2, update: { strategy: "bluegreen", promote: "manual" } });
  a.put({ revision: 2 });
  passUntil(a, "waiting-promote");
  assertEquals(a.serving().length, 4);
  a.put({ revision: 1 });
  passUntil(a, "rolled-back");
  assertEquals(a.serving(), ["1 r1", "2 r1"]);
});

Deno.test("canary: what is on its way out has had the new revision: no further slot gets it", () => {
  const a = act({ replicas: 3, update: { strategy: "canary", canary: 1, parallelism: 0 } });
  const end = (slot: number, state: "failed" | "stopped") =>
    report(a.made, taskIn(a, slot), state, a.nowMs());
  end(2, "failed");
  a.put({ revision: 2 });
  a.follow();
  assertEquals(a.serving(), ["1 r1", "2 r2", "3 r1"]);
  a.put({ stopped: true });
  a.plan();
  end(1, "stopped");
  end(3, "stopped");
  a.put({ stopped: false });
  a.plan();
  assertEquals(a.live(), ["1 r1 assigned", "2 r2 running!", "3 r1 assigned"]);
  a.follow();
  assertEquals(a.serving(), ["1 r1", "2 r2", "3 r1"]);
});

Deno.test("canary: a new task in a slot that is wanted no more counts until it has ended", () => {
  const a = act({ replicas: 3, update: { strategy: "canary", canary: 1, parallelism: 0 } });
  const third = [...a.made.tasks.values()].find(({ task }) => task.slot === 3);
  report(a.made, third?.task.id ?? "", "failed", a.nowMs());
  a.put({ revision: 2 });
  a.follow();
  assertEquals(a.serving(), ["1 r1", "2 r1", "3 r2"]);
  a.put({ mode: { type: "replicated", replicas: 2 } });
  a.plan();
  assertEquals(a.live(), ["1 r1 running", "2 r1 running", "3 r2 running!"]);
  a.follow();
  assertEquals(a.serving(), ["1 r2", "2 r1"]);
});

Deno.test("canary: a new task on its way out counts also beside the old one", () => {
  const update = { strategy: "canary", canary: 1, order: "start-first" } as const;
  const a = act({ replicas: 3, update: { ...update, promote: "manual", drainMs: 5000 } });
  a.put({ revision: 2 });
  a.plan();
  assertEquals(a.live(), ["1 r1 running", "1 r2 assigned", "2 r1 running", "3 r1 running"]);
  const fresh = [...a.made.tasks.values()].find(({ task }) => task.revision === 2);
  const taskId = fresh?.task.id ?? "";
  applyActions(a.made, [{ kind: "stop", taskId, why: "preempted" }], () => "", a.nowMs());
  a.plan();
  assertEquals(a.live(), ["1 r1 running", "1 r2 assigned!", "2 r1 running", "3 r1 running"]);
  report(a.made, taskId, "stopped", a.nowMs());
  a.follow();
  assertEquals(a.live().filter((task) => task.includes("r2")).length, 1);
});
