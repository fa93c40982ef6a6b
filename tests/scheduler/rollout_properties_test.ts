import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { describe } from "../../scheduler/action.ts";
import { type Act, act, passUntil } from "../support/rollouts.ts";

const RUNS = { numRuns: 150, seed: 7 };
const replicas = fc.integer({ min: 1, max: 8 });
const parallelism = fc.integer({ min: 0, max: 4 });
const picks = fc.array(fc.nat(50), { minLength: 20, maxLength: 200 });

/** Plans, lets one container after the other follow in any order, with time between. */
function actOut(a: Act, order: readonly number[]): void {
  a.plan();
  for (const pick of order) {
    if (!a.step(pick)) a.pass(pick * 40);
    a.plan();
  }
}

Deno.test("starting first, never fewer tasks serve than are wanted", () => {
  fc.assert(
    fc.property(replicas, parallelism, picks, fc.boolean(), (n, p, order, whole) => {
      let started = false;
      const a = act({
        replicas: n,
        update: {
          order: "start-first",
          parallelism: p,
          delayMs: 100,
          ...(whole ? { strategy: "bluegreen" as const } : {}),
        },
        watch: (seen) => {
          if (started) {
            assert(new Set(seen.serving().map((s) => s[0])).size >= n, seen.live().join());
          }
        },
      });
      started = true;
      a.put({ revision: 2 });
      actOut(a, order);
      passUntil(a, "done");
      assertEquals(a.serving().length, n);
    }),
    RUNS,
  );
});

Deno.test("stopping first, never fewer serve than are wanted less parallelism", () => {
  fc.assert(
    fc.property(replicas, fc.integer({ min: 1, max: 4 }), picks, (n, p, order) => {
      let started = false;
      const a = act({
        replicas: n,
        update: { parallelism: p },
        watch: (seen) => {
          if (started) assert(seen.serving().length >= n - p, seen.live().join());
        },
      });
      started = true;
      a.put({ revision: 2 });
      actOut(a, order);
      passUntil(a, "done");
      assertEquals(a.serving().every((s) => s.endsWith("r2")), true);
    }),
    RUNS,
  );
});

Deno.test("a failing revision is taken back, and nothing that serves is stopped before its successor serves", () => {
  fc.assert(
    fc.property(replicas, parallelism, picks, fc.boolean(), (n, p, order, startFirst) => {
      const a = act({
        replicas: n,
        update: {
          parallelism: p,
          failureAction: "rollback",
          order: startFirst ? "start-first" : "stop-first",
        },
        watch: (seen, actions) => {
          if (!seen.rollout()?.back) return;
          for (const action of actions) {
            if (action.kind !== "stop") continue;
            const task = seen.made.tasks.get(action.taskId);
            if (task?.state !== "running") continue;
            const served = seen.serving().some((s) => s.startsWith(`${task.task.slot} `));
            assert(served, describe(action));
          }
        },
      });
      a.behave(2, "fail");
      a.put({ revision: 2 });
      actOut(a, order);
      passUntil(a, "rolled-back", 1000);
      assertEquals(a.serving(), Array.from({ length: n }, (_, i) => `${i + 1} r1`));
    }),
    RUNS,
  );
});

Deno.test("going back by undo, a slot that is served stays served, though stopping first was asked", () => {
  fc.assert(
    fc.property(replicas, parallelism, picks, picks, (n, p, forth, back) => {
      let served = new Set<string>();
      const slotsOf = (a: Act) => new Set(a.serving().map((s) => s.split(" ")[0] ?? ""));
      const a = act({
        replicas: n,
        update: { parallelism: p },
        rollback: { parallelism: p },
        watch: (seen) => {
          assertEquals(served.difference(slotsOf(seen)).size, 0, seen.live().join());
        },
      });
      a.put({ revision: 2 });
      actOut(a, forth.slice(0, 20));
      served = slotsOf(a);
      a.put({ revision: 1 });
      actOut(a, back);
      passUntil(a, "rolled-back");
      assertEquals(a.serving(), Array.from({ length: n }, (_, i) => `${i + 1} r1`));
    }),
    RUNS,
  );
});

Deno.test("whatever is changed, paused, promoted and undone: it comes to rest whole", () => {
  const change = fc.record({
    revision: fc.integer({ min: 1, max: 4 }),
    strategy: fc.constantFrom("rolling", "canary", "bluegreen"),
    order: fc.constantFrom("stop-first", "start-first"),
    parallelism,
    fails: fc.boolean(),
    want: fc.constantFrom("run", "pause", "promote"),
    order2: fc.array(fc.nat(50), { maxLength: 30 }),
  });
  fc.assert(
    fc.property(replicas, fc.array(change, { minLength: 1, maxLength: 5 }), (n, changes) => {
      const a = act({ replicas: n });
      for (const { revision, fails, want, order2, ...update } of changes) {
        a.behave(revision, fails ? "fail" : "run");
        a.put({ revision, update: { ...update, failureAction: "rollback" } });
        actOut(a, order2);
        a.ask(want);
        actOut(a, order2);
      }
      for (let revision = 1; revision <= 4; revision++) a.behave(revision, "run");
      a.put({
        update: { failureAction: "continue", parallelism: 0 },
        rollback: { failureAction: "continue" },
      });
      for (let round = 0; round < 40; round++) {
        a.ask("promote");
        a.pass(30_000);
      }
      const goal = a.made.services.get("id-web")?.goal;
      const expected = Array.from({ length: n }, (_, i) => `${i + 1} r${goal} running`);
      assertEquals(a.live(), expected, JSON.stringify(a.rollout()));
    }),
    { ...RUNS, numRuns: 200 },
  );
});
