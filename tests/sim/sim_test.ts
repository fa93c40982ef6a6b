import { assert, assertEquals } from "@std/assert";
import { FAULT_KINDS, FAULTS } from "./faults.ts";
import { MOVES } from "./moves.ts";
import { commandFor, settingsProblem, settingsToOptions } from "./options.ts";
import { REGRESSIONS } from "./regressions.ts";
import { runSeed } from "./run.ts";
import { formatSteps, kindsOf, parseFaults, parseSteps, scriptOf } from "./script.ts";
import { ruleOf, shrink } from "./shrink.ts";
import { PLANTS } from "./plants.ts";
import { holds } from "./support.ts";

Deno.test("runs that failed once hold", async () => {
  for (const { seed, found: _, ...settings } of REGRESSIONS) await holds(seed, settings);
});

Deno.test("the same seed has the same history, line by line, on either database and in either mode", async () => {
  for (const mode of ["resident", "request-driven"] as const) {
    const first = await runSeed({ seed: 7, mode, database: "model" });
    assert(first.history.length > 200);
    assertEquals((await runSeed({ seed: 7, mode, database: "model" })).history, first.history);
    assertEquals((await runSeed({ seed: 7, mode, database: "real" })).history, first.history);
  }
});

Deno.test("another seed has another history, and so has the same one without faults", async () => {
  const [a, b, c] = [
    await runSeed({ seed: 7 }),
    await runSeed({ seed: 8 }),
    await runSeed({ seed: 7, faults: new Set() }),
  ];
  assert(a.history.join() !== b.history.join() && a.history.join() !== c.history.join());
  assert(!c.history.some((line) => line.includes("fault:")));
});

Deno.test("a failing run is shortened to one that breaks the same rule first", async () => {
  const plant = PLANTS.find(({ name }) => name === "a slot gets two tasks");
  assert(plant);
  const options = { seed: 2, plant };
  const failed = await runSeed(options);
  assert(failed.problem !== undefined);
  const { shortest, runs } = await shrink(options, failed);
  assert(runs <= 80 && shortest.steps.length < failed.steps.length);
  assertEquals(ruleOf(shortest), ruleOf(failed));
  const again = await runSeed({ ...options, steps: new Set(shortest.steps) });
  assertEquals(again.history, shortest.history);
});

Deno.test("every move and every fault is in the scripts of the gate's seeds", () => {
  const seen = new Set<string>();
  for (let seed = 1; seed <= 200; seed++) {
    for (const { move, fault } of scriptOf(seed, kindsOf(seed))) {
      seen.add(move?.name ?? fault?.name ?? "");
    }
  }
  for (const { name } of [...MOVES, ...FAULTS]) assert(seen.has(name), name);
});

Deno.test("flags: what is not known is refused by its name, and a command repeats what was asked", () => {
  assertEquals(
    settingsProblem({ faults: "network,clock", mode: "resident", steps: "1-3,7" }),
    undefined,
  );
  for (
    const [name, value] of [["faults", "nets"], ["mode", "x"], ["steps", "1-"], ["plant", "x"], [
      "database",
      "x",
    ]]
  ) {
    const problem = settingsProblem({ [name ?? ""]: value });
    assert(problem?.startsWith(`--${name}: must be`), problem);
  }
  const command = commandFor(7, { faults: "network", plant: "a slot gets two tasks" });
  assertEquals(command, 'deno task sim --seed 7 --faults network --plant "a slot gets two tasks"');
  assertEquals(settingsToOptions({ faults: "none" }).faults?.size, 0);
});

Deno.test("lists of steps are read as they are written", () => {
  assertEquals([...parseSteps("2,5-7") ?? []], [2, 5, 6, 7]);
  assertEquals(formatSteps([7, 2, 5, 6, 9]), "2,5-7,9");
  assertEquals(formatSteps([]), "");
  assertEquals(parseSteps("a"), undefined);
  assertEquals(parseFaults("all")?.size, FAULT_KINDS.length);
});
