import { assert, assertEquals, assertThrows } from "@std/assert";
import { BENCHES } from "./benches.ts";
import { quantile } from "./harness.ts";
import {
  type BenchRecord,
  betterOf,
  changesOf,
  commandOf,
  goalsOf,
  isReached,
  replacing,
} from "./record.ts";

const RECORD: BenchRecord = {
  ...{ bench: "x", summary: "it", goals: "readyMs ≤ 10", figures: { readyMs: 9 }, samples: 1 },
  ...{ machine: "m", fsyncMs: 1, command: "c", date: "2030-01-01" },
};

Deno.test("goals are read with their bounds; a bare number is the most there may be", () => {
  assertEquals(goalsOf("ratio ≤ 1.15, perSecond ≥ 10000; doubles 0"), [
    { figure: "ratio", bound: "≤", value: 1.15 },
    { figure: "perSecond", bound: "≥", value: 10_000 },
    { figure: "doubles", bound: "≤", value: 0 },
  ]);
  assertEquals(goalsOf(""), []);
  assertThrows(() => goalsOf("as fast as can be"), "cannot read");
});

Deno.test("the goals of every benchmark can be read, and names are told apart", () => {
  for (const { goals } of BENCHES) goalsOf(goals);
  assertEquals(new Set(BENCHES.map(({ name }) => name)).size, BENCHES.length);
});

Deno.test("a goal is reached at its bound", () => {
  const [most, least] = goalsOf("a ≤ 1, b ≥ 1");
  assert(most && least);
  assertEquals([0.9, 1, 1.1].map((value) => isReached(most, value)), [true, true, false]);
  assertEquals([0.9, 1, 1.1].map((value) => isReached(least, value)), [false, true, true]);
});

Deno.test("what got worse is marked, by the direction of each figure and beyond the noise", () => {
  const goals = goalsOf("ratio ≤ 2, paceRatio ≥ 1");
  const before = { ratio: 1, paceRatio: 1, readyMs: 100, perSecond: 100, bareMs: 100, tasks: 5 };
  const now = { ratio: 1.2, paceRatio: 1.2, readyMs: 105, perSecond: 50, bareMs: 900, tasks: 9 };
  const verdicts = changesOf(before, { ...now, newMs: 1 }, goals)
    .map(({ figure, verdict }) => [figure, verdict]);
  assertEquals(verdicts, [
    ["ratio", "worse"],
    ["paceRatio", "better"],
    ["readyMs", "same"],
    ["perSecond", "worse"],
  ]);
  assertEquals(betterOf("swarmPerSecond", goals), undefined);
});

Deno.test("a record remembers the one that it replaces, and no more", () => {
  const first = replacing(RECORD, undefined);
  assertEquals(first, RECORD);
  const second = replacing({ ...RECORD, date: "2030-01-02" }, first);
  const third = replacing({ ...RECORD, date: "2030-01-03" }, second);
  assertEquals(third.before, { date: "2030-01-02", machine: "m", figures: { readyMs: 9 } });
});

Deno.test("the command repeats the run, wherever the record goes", () => {
  assertEquals(
    commandOf("burst", { peer: "swarm", out: "/tmp/x" }),
    "deno task bench burst --peer swarm",
  );
  assertEquals(commandOf("idle", { rules: "" }), "deno task bench idle --rules");
});

Deno.test("a quantile is the smallest value that so many do not exceed", () => {
  const hundred = Array.from({ length: 100 }, (_, i) => 100 - i);
  assertEquals([0.5, 0.99, 1].map((part) => quantile(hundred, part)), [50, 99, 100]);
  assertEquals(quantile([7], 0.01), 7);
  assert(Number.isNaN(quantile([], 0.5)));
});
