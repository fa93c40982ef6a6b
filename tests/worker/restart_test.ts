import { assertEquals } from "@std/assert";
import { RestartPolicy } from "../../kv/schema/service.ts";
import { afterRun, seconds } from "../../worker/restart.ts";

const policy = (over: Partial<RestartPolicy> = {}) => RestartPolicy.parse(over);
const crash = { exitCode: 1, ranMs: 10, interrupted: false };
const success = { exitCode: 0, ranMs: 10, interrupted: false };
const never = { restartsMs: [], nowMs: 0, jitter: 0.5 };

Deno.test("the condition decides whether an exit is followed by a restart", () => {
  const kinds = (["any", "on-failure", "none"] as const).map((condition) =>
    [success, crash].map((run) => {
      const next = afterRun(policy({ condition }), run, never);
      return next.kind === "end" ? next.state : next.kind;
    })
  );
  assertEquals(kinds, [["restart", "restart"], ["succeeded", "restart"], ["succeeded", "failed"]]);
});

Deno.test("an unhealthy run is a failure, whatever its exit code", () => {
  const kinds = (["any", "on-failure", "none"] as const).map((condition) => {
    const next = afterRun(policy({ condition }), { ...success, unhealthy: true }, never);
    return next.kind === "end" ? next.state : next.kind;
  });
  assertEquals(kinds, ["restart", "restart", "failed"]);
});

Deno.test("without restarts in place the first failure is the leader's, whatever the window", () => {
  for (const windowMs of [0, 1_000]) {
    const next = afterRun(policy({ maxAttempts: 0, windowMs }), crash, never);
    assertEquals(next, { kind: "end", state: "failed", why: "no restarts in place are allowed" });
  }
});

Deno.test("an unknown exit code is a failure", () => {
  const next = afterRun(policy({ condition: "none" }), { interrupted: false }, never);
  assertEquals(next, { kind: "end", state: "failed" });
});

function delays(over: Partial<RestartPolicy>, runs: number, jitter = 0.5): number[] {
  let restartsMs: number[] = [];
  const found: number[] = [];
  for (let run = 0; run < runs; run++) {
    const next = afterRun(policy({ maxAttempts: 1000, ...over }), crash, {
      restartsMs,
      nowMs: run,
      jitter,
    });
    if (next.kind === "end") break;
    restartsMs = next.restartsMs;
    found.push(next.delayMs);
  }
  return found;
}

Deno.test("the back-off doubles up to its cap, and starts at once without a delay", () => {
  assertEquals(delays({ delayMs: 0, maxDelayMs: 5_000 }, 6), [0, 1000, 2000, 4000, 5000, 5000]);
  assertEquals(delays({ delayMs: 300, maxDelayMs: 2_000 }, 5), [300, 600, 1200, 2000, 2000]);
});

Deno.test("jitter varies a wait by a tenth and never beyond the cap", () => {
  assertEquals(delays({ delayMs: 1000, maxDelayMs: 3_000 }, 3, 0), [900, 1800, 2700]);
  assertEquals(delays({ delayMs: 1000, maxDelayMs: 3_000 }, 3, 0.999999), [1100, 2200, 3000]);
});

Deno.test("the budget is so many restarts within the window", () => {
  const two = policy({ maxAttempts: 2, windowMs: 1_000 });
  const spent = afterRun(two, crash, { restartsMs: [100, 900], nowMs: 1_000, jitter: 0.5 });
  assertEquals(spent, {
    kind: "end",
    state: "failed",
    why: "restarted 2 times within 1 s, the most allowed",
  });
  const aged = afterRun(two, crash, { restartsMs: [100, 900], nowMs: 1_101, jitter: 0.5 });
  assertEquals(aged, { kind: "restart", delayMs: 1000, restartsMs: [900, 1101] });
});

Deno.test("a spent budget is a failure even of a run that exited with 0", () => {
  const next = afterRun(policy({ maxAttempts: 0 }), success, never);
  assertEquals(next.kind === "end" && next.state, "failed");
});

Deno.test("a run longer than the window wipes the slate", () => {
  const one = policy({ maxAttempts: 1, windowMs: 1_000 });
  const next = afterRun(one, { ...crash, ranMs: 1_001 }, {
    restartsMs: [5_000],
    nowMs: 5_001,
    jitter: 0.5,
  });
  assertEquals(next, { kind: "restart", delayMs: 0, restartsMs: [5_001] });
});

Deno.test("a window of 0 never forgets, so the back-off still grows", () => {
  assertEquals(delays({ windowMs: 0 }, 4), [0, 1000, 2000, 4000]);
});

Deno.test("a run that the engine took with it costs nothing and returns at once", () => {
  const next = afterRun(policy({ maxAttempts: 1 }), { ...crash, interrupted: true }, {
    restartsMs: [1],
    nowMs: 2,
    jitter: 0.5,
  });
  assertEquals(next, { kind: "restart", delayMs: 0, restartsMs: [1] });
});

Deno.test("durations read well", () => {
  assertEquals([40, 450, 1_000, 61_400].map(seconds), ["0 s", "0.5 s", "1 s", "61 s"]);
});
