import { assertEquals } from "@std/assert";
import { act, taskIn } from "../support/rollouts.ts";
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
