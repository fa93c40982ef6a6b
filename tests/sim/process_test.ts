import { assertEquals } from "@std/assert";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { type Fuse, Process } from "./process.ts";
import { Timeline } from "./timeline.ts";
import { allElseDone, eventLoopTurn } from "./turn.ts";

function processOn(timeline: Timeline): Process {
  return new Process("p", { name: "m", wallErrorMs: 0 }, {
    timeline,
    monoOffsetMs: 0,
    onDeath: () => {},
    onStall: () => {},
  });
}

/** A process dies over an effect; what is told says whether what waits for it is still there. */
function abandoned(then: Fuse["then"]): WeakRef<object> {
  const waits = {};
  const process = processOn(new Timeline());
  process.fuse = { left: 1, then };
  void process.effect("x", () => Promise.resolve()).then(() => waits);
  return new WeakRef(waits);
}

Deno.test("what waits for the effects of a process that died is collected", async () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const left = [abandoned("die-before"), abandoned("die-after")];
  await eventLoopTurn();
  collect();
  assertEquals(left.map((one) => one.deref()), [undefined, undefined]);
});

Deno.test("a process that stands still is not reached, and notices only then that a caller is gone", async () => {
  const timeline = new Timeline();
  const [called, caller] = [processOn(timeline), processOn(timeline)];
  const reset = caller.resetFor(called);
  const seen: string[] = [];
  reset.addEventListener("abort", () => seen.push("reset"));
  called.stall(1000);
  const answer = called.reachedBy(() => Promise.resolve(seen.push("reached")));
  caller.die("of the test");
  await allElseDone();
  assertEquals(seen, []);
  timeline.fire();
  await answer;
  assertEquals([seen, timeline.nowMs], [["reached", "reset"], 1000]);
});

Deno.test("those who wait for all else to be done go on one by one, each after what the one before began", async () => {
  const seen: string[] = [];
  const deep = async (name: string) => {
    for (let hop = 0; hop < 20; hop++) await null;
    seen.push(`${name} is over`);
  };
  const wait = async (name: string) => {
    await allElseDone();
    seen.push(name);
    void deep(name);
  };
  const both = Promise.all([deep("all else"), wait("first"), wait("second")]);
  await both;
  await allElseDone();
  const told = ["all else is over", "first", "first is over", "second", "second is over"];
  assertEquals(seen, told);
});
