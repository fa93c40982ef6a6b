import { assertEquals } from "@std/assert";
import { act, taskIn } from "../support/rollouts.ts";
import { dropTask, putTask } from "../../scheduler/world_changes.ts";
import { report } from "../support/world.ts";

Deno.test("stopping first: a slot whose old task fails changes ahead of its turn, though others wait for room", () => {
  const a = act({ replicas: 4, update: { parallelism: 2 } });
  a.put({ revision: 2, template: { placement: { pool: "edge" } } });
  a.follow();
  assertEquals(a.live(), ["1 r2 pending", "2 r2 pending", "3 r1 running", "4 r1 running"]);
  report(a.made, taskIn(a, 3), "failed", a.nowMs());
  a.follow();
  assertEquals(a.live(), ["1 r2 pending", "2 r2 pending", "3 r2 pending", "4 r1 running"]);
});

Deno.test("canary: while it waits for room a slot beside it keeps the old revision, though that fails", () => {
  const a = act({ replicas: 4, update: { strategy: "canary", canary: 2, parallelism: 0 } });
  a.put({ revision: 2, template: { placement: { pool: "edge" } } });
  a.follow();
  const waiting = ["1 r2 pending", "2 r2 pending"];
  for (const againMs of [1000, 2000, 4000]) {
    assertEquals(a.live(), [...waiting, "3 r1 running", "4 r1 running"]);
    report(a.made, taskIn(a, 3), "failed", a.nowMs());
    a.pass(againMs - 1);
    assertEquals(a.live(), [...waiting, "4 r1 running"], "it is in its back-off");
    a.pass(1);
  }
  report(a.made, taskIn(a, 3), "failed", a.nowMs());
  a.ask("promote");
  a.follow();
  assertEquals(a.live(), [...waiting, "3 r2 pending", "4 r2 pending"], "all at once, as asked");
});

Deno.test("canary: where it failed before counts only within its limit, also for a leader that cannot tell when", () => {
  const update = { strategy: "canary", canary: 2, order: "start-first" } as const;
  const a = act({ replicas: 4, update: { ...update, failureAction: "continue" } });
  a.behave(2, "fail");
  a.put({ revision: 2 });
  a.follow();
  for (const slot of [1, 2, 3, 4]) report(a.made, taskIn(a, slot), "failed", a.nowMs(), 60_000);
  const known = [...a.made.tasks.values()];
  assertEquals(
    new Set(known.map(({ task: { slot, revision } }) => `${slot} r${revision}`)).size,
    8,
  );
  for (const { task } of known) dropTask(a.made, task.id);
  for (const { task, observed } of known) putTask(a.made, task, observed, a.nowMs());
  a.behave(2, "run");
  a.pass(60_000);
  assertEquals(a.serving(), ["1 r2", "2 r2", "3 r1", "4 r1"]);
});
