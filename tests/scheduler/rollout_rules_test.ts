import { assert, assertEquals, assertMatch } from "@std/assert";
import { act, passUntil, stops } from "../support/rollouts.ts";
import { addTask, planAll, report } from "../support/world.ts";

Deno.test("a first deployment is no rollout, and neither is scaling", () => {
  const a = act({ replicas: 3 });
  assertEquals(a.rollout(), undefined);
  a.put({ replicas: 5 });
  assertEquals(stops(a.follow()), 0);
  assertEquals([a.rollout(), a.serving().length], [undefined, 5]);
});

Deno.test("changing how to update is no rollout", () => {
  const a = act({ replicas: 2 });
  a.put({ update: { parallelism: 2 } });
  assertEquals(a.follow(), []);
});

Deno.test("rolling, stopping first: parallelism slots at a time, done after the monitor window", () => {
  const a = act({ replicas: 5, update: { parallelism: 2, monitorMs: 4000 } });
  a.put({ revision: 2 });
  assertEquals(stops(a.plan()), 2);
  assertEquals(a.serving(), ["3 r1", "4 r1", "5 r1"]);
  a.follow();
  assertEquals(a.serving(), ["1 r2", "2 r2", "3 r2", "4 r2", "5 r2"]);
  assertEquals(a.rollout()?.state, "progressing");
  a.pass(3999);
  assertEquals(a.rollout()?.state, "progressing");
  a.pass(1);
  assertEquals([a.rollout()?.state, a.rollout()?.stable], ["done", 2]);
});

Deno.test("parallelism 0 is all at once", () => {
  const a = act({ replicas: 4, update: { parallelism: 0 } });
  a.put({ revision: 2 });
  assertEquals(stops(a.plan()), 4);
});

Deno.test("the delay lies between a task that serves and the next slot, and wakes the planner", () => {
  const a = act({ replicas: 2, update: { delayMs: 3000 } });
  a.put({ revision: 2 });
  a.follow();
  assertEquals(a.serving(), ["1 r2", "2 r1"]);
  assertEquals(planAll(a.made, { nowMs: a.nowMs() }).wakes.get("id-web"), a.nowMs() + 3000);
  a.pass(2999);
  assertEquals(a.serving(), ["1 r2", "2 r1"]);
  a.pass(1);
  assertEquals(a.serving(), ["1 r2", "2 r2"]);
});

Deno.test("starting first: the new task joins the old one, which drains once the new one serves", () => {
  const a = act({ replicas: 2, update: { order: "start-first", drainMs: 1000, delayMs: 9000 } });
  a.put({ revision: 2 });
  a.plan();
  assertEquals(a.live(), ["1 r1 running", "1 r2 assigned", "2 r1 running"]);
  a.follow();
  assertEquals(a.serving(), ["1 r1", "1 r2", "2 r1"]);
  a.pass(999);
  assertEquals(a.serving(), ["1 r1", "1 r2", "2 r1"]);
  a.pass(1);
  assertEquals(a.serving(), ["1 r2", "2 r1"]);
});

Deno.test("starting first without room: the old task stays, and the new one says why it waits", () => {
  const a = act({
    replicas: 1,
    nodes: 1,
    template: { ports: [{ target: 80, published: 8080, mode: "host" }] },
    update: { order: "start-first", progressDeadlineMs: 60_000 },
  });
  a.put({ revision: 2 });
  a.follow();
  assertEquals(a.live(), ["1 r1 running", "1 r2 pending"]);
  a.pass(60_000);
  assertEquals(a.rollout()?.why, "no progress for 60 s");
  assertEquals([a.rollout()?.state, a.serving()], ["paused", ["1 r1"]]);
});

Deno.test("a failure pauses by default: the rest stays on the old revision, and resume goes on", () => {
  const a = act({ replicas: 3 });
  a.behave(2, "fail");
  a.put({ revision: 2 });
  a.follow();
  assertEquals(a.serving(), ["2 r1", "3 r1"]);
  assertEquals(a.rollout()?.state, "paused");
  assertMatch(a.rollout()?.why ?? "", /^1 of 3 slots failed with revision 2/);
  a.behave(2, "run");
  a.pass(60_000);
  assertEquals(a.serving(), ["1 r2", "2 r1", "3 r1"], "its slot is healed, no further one changes");
  a.ask("run");
  passUntil(a, "done");
  assertEquals(a.serving(), ["1 r2", "2 r2", "3 r2"]);
});

Deno.test("fewer failures than the ratio allows are tolerated", () => {
  const a = act({ replicas: 4, update: { maxFailureRatio: 0.5, failureAction: "pause" } });
  a.behave(2, "fail");
  a.put({ revision: 2 });
  a.follow();
  assertEquals(a.rollout()?.state, "paused");
  assertEquals(a.serving(), ["4 r1"], "two of four are not more than half; the third is");
});

Deno.test("continue goes on whatever fails", () => {
  const a = act({ replicas: 3, update: { failureAction: "continue" } });
  a.behave(2, "fail");
  a.put({ revision: 2 });
  a.follow();
  assertEquals(a.rollout()?.state, "progressing");
  assertEquals(a.serving(), []);
});

Deno.test("a task that breaks after its monitor window does not count", () => {
  const a = act({ replicas: 2, update: { monitorMs: 5000, delayMs: 60_000 } });
  a.put({ revision: 2 });
  a.follow();
  a.pass(6000);
  const first = [...a.made.tasks.values()].find(({ task }) => task.revision === 2);
  assert(first);
  report(a.made, first.task.id, "failed", a.nowMs(), 6000);
  a.follow();
  assertEquals(a.rollout()?.state, "progressing");
});

Deno.test("a restart in place within the window counts as failed", () => {
  const a = act({ replicas: 2, update: { failureAction: "pause", delayMs: 60_000 } });
  a.put({ revision: 2 });
  a.follow();
  const first = [...a.made.tasks.values()].find(({ task }) => task.revision === 2);
  assert(first?.observed);
  first.observed.attempt = 0;
  a.pass(1000);
  report(a.made, first.task.id, "running", a.nowMs());
  a.follow();
  assertEquals(a.rollout()?.state, "paused");
});

Deno.test("rollback: back to the last good revision, starting first, also when stopping first was asked", () => {
  const a = act({ replicas: 3, update: { parallelism: 2, failureAction: "rollback" } });
  a.behave(2, "fail");
  a.put({ revision: 2 });
  a.follow();
  assertEquals([a.rollout()?.state, a.rollout()?.back], ["rolling-back", true]);
  passUntil(a, "rolled-back");
  assertEquals(a.serving(), ["1 r1", "2 r1", "3 r1"]);
  assertMatch(a.rollout()?.why ?? "", /slots failed with revision 2/);
  assertEquals(a.pass(600_000), [], "and it stays so");
});

Deno.test("rollback with nothing to go back to pauses", () => {
  const a = act({ replicas: 1, update: { failureAction: "rollback" } });
  a.behave(2, "fail");
  a.put({ revision: 2 });
  a.made.services.get("id-web")?.templates.delete(1);
  a.follow();
  assertEquals(a.rollout()?.state, "paused");
  assertMatch(a.rollout()?.why ?? "", /nothing to roll back to$/);
});

Deno.test("a rollback that fails stops where it is", () => {
  const a = act({ replicas: 2, update: { parallelism: 1, failureAction: "rollback" } });
  a.behave(2, "fail");
  a.behave(1, "fail");
  a.put({ revision: 2 });
  a.follow();
  passUntil(a, "failed");
  assertEquals(a.serving(), ["2 r1"], "what served still does");
});

Deno.test("no progress within the deadline takes the failure action", () => {
  const update = { progressDeadlineMs: 30_000, failureAction: "rollback" as const };
  const a = act({ replicas: 2, update });
  a.behave(2, "hang");
  a.put({ revision: 2 });
  a.follow();
  a.pass(29_999);
  assertEquals(a.rollout()?.state, "progressing");
  a.pass(1);
  assertEquals([a.rollout()?.why, a.rollout()?.back], ["no progress for 30 s", true]);
  passUntil(a, "rolled-back");
  assertEquals(a.serving(), ["1 r1", "2 r1"]);
});

Deno.test("a pause keeps slots from changing, and fills what falls vacant with the old revision", () => {
  const a = act({ replicas: 3, update: { delayMs: 1000 } });
  a.put({ revision: 2 });
  a.follow();
  a.ask("pause");
  a.pass(60_000);
  assertEquals([a.rollout()?.state, a.serving()], ["paused", ["1 r2", "2 r1", "3 r1"]]);
  const third = [...a.made.tasks.values()].find(({ task }) => task.slot === 3);
  assert(third);
  report(a.made, third.task.id, "failed", a.nowMs(), 60_000);
  a.follow();
  assertEquals(a.serving(), ["1 r2", "2 r1", "3 r1"]);
  a.ask("run");
  passUntil(a, "done");
});

Deno.test("undo in the middle keeps the tasks of the old revision that still serve", () => {
  const a = act({ replicas: 4, update: { delayMs: 60_000 } });
  const old = [...a.made.tasks.keys()];
  a.put({ revision: 2 });
  a.follow();
  a.put({ revision: 1 });
  passUntil(a, "rolled-back");
  assertEquals(a.serving(), ["1 r1", "2 r1", "3 r1", "4 r1"]);
  const kept = old.filter((id) => a.made.tasks.get(id)?.state === "running");
  assertEquals(kept.length, 3);
});

Deno.test("a newer revision takes over in the middle, from the last good one", () => {
  const a = act({ replicas: 3, update: { failureAction: "rollback" } });
  a.behave(2, "hang");
  a.put({ revision: 2 });
  a.follow();
  a.behave(3, "fail");
  a.put({ revision: 3 });
  a.follow();
  assertEquals([a.rollout()?.stable, a.rollout()?.back], [1, true]);
  passUntil(a, "rolled-back");
  assertEquals(a.serving(), ["1 r1", "2 r1", "3 r1"]);
});

Deno.test("what is done remembers what was in place before it, not what failed or was taken back", () => {
  const a = act({ replicas: 2, update: { failureAction: "rollback" } });
  a.behave(2, "fail");
  a.put({ revision: 2 });
  passUntil(a, "rolled-back");
  a.put({ revision: 3 });
  passUntil(a, "done");
  assertEquals(a.rollout()?.previous, 1);
  a.put({ revision: 4 });
  a.follow();
  a.put({ revision: 3 });
  passUntil(a, "rolled-back");
  assertEquals(a.rollout()?.previous, undefined, "there it is the revision before");
  a.put({ revision: 5 });
  passUntil(a, "done");
  assertEquals(a.rollout()?.previous, 3);
});

Deno.test("a service that was stopped starts with its newest revision", () => {
  const a = act({ replicas: 2 });
  a.put({ stopped: true });
  a.follow();
  a.put({ revision: 2, stopped: true });
  a.follow();
  a.put({ stopped: false });
  a.follow();
  assertEquals(a.serving(), ["1 r2", "2 r2"]);
});

Deno.test("two tasks of the same revision in one slot: one is stopped", () => {
  const a = act({ replicas: 1, update: { order: "start-first" } });
  addTask(a.made, { id: "extra", service: "web", slot: 1, node: "n2" });
  a.follow();
  assertEquals(a.serving(), ["1 r1"]);
});

Deno.test("starting first: beside a task that was put aside a slot gets one task, not two", () => {
  const a = act({ replicas: 1, nodes: 3, update: { order: "start-first", monitorMs: 0 } });
  a.put({ disconnect: { reconcile: "keep-old" } });
  a.behave(2, "hang");
  a.put({ revision: 2 });
  a.follow();
  assertEquals(a.live(), ["1 r1 running", "1 r2 starting"]);
  const [old, fresh] = [...a.made.tasks.values()];
  const node = a.made.nodes.get(old?.task.nodeId ?? "");
  assert(node && fresh);
  node.lastSeenMs = node.knownSinceMs = -2e9;
  a.plan();
  report(a.made, fresh.task.id, "stopped", a.nowMs());
  const creates = a.pass(10_000).filter(({ kind }) => kind === "create");
  assertEquals(creates.length, 1, JSON.stringify(creates));
  assertEquals(a.live(), ["1 r1 running", "1 r2 starting"]);
});

Deno.test("starting first: a task that was put aside does not drive out the one that takes its place", () => {
  const a = act({ replicas: 1, nodes: 3, update: { order: "start-first", monitorMs: 0 } });
  a.put({ disconnect: { reconcile: "keep-old" } });
  a.behave(2, "hang");
  a.put({ revision: 2 });
  a.follow();
  const fresh = [...a.made.tasks.values()].find(({ task }) => task.revision === 2);
  const node = a.made.nodes.get(fresh?.task.nodeId ?? "");
  assert(node);
  node.lastSeenMs = node.knownSinceMs = -2e9;
  const actions = a.plan();
  assertEquals([stops(actions), actions.filter(({ kind }) => kind === "create").length], [0, 1]);
  assertEquals([a.follow(), stops(a.pass(10_000))], [[], 0]);
});
