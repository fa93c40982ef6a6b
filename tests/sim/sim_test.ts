import { assert, assertEquals } from "@std/assert";
import { PLANTS } from "./plants.ts";
import { REGRESSIONS } from "./regressions.ts";
import { type RunResult, runSeed } from "./run.ts";

const SEEDS = 50;
/** A planted bug must be found within so many seeds. */
const PLANT_SEEDS = 12;
const TAIL = 30;

/** Everything that a person needs to go on from a failure. */
function report({ seed, problem, history }: RunResult): string {
  return `${problem}\n  repeat it with: deno task sim --seed ${seed}\n` +
    history.slice(-TAIL).join("\n");
}

async function holds(seed: number): Promise<void> {
  const result = await runSeed({ seed });
  assert(result.problem === undefined, report(result));
}

Deno.test(`seeds 1 to ${SEEDS}: a cluster keeps its promises whatever goes wrong, and comes to rest`, async () => {
  for (let seed = 1; seed <= SEEDS; seed++) await holds(seed);
});

Deno.test("seeds that failed once hold", async () => {
  for (const { seed } of REGRESSIONS) if (seed > SEEDS) await holds(seed);
});

Deno.test("the same seed has the same history, line by line", async () => {
  const [first, second] = [await runSeed({ seed: 7 }), await runSeed({ seed: 7 })];
  assertEquals(first.history.length > 200, true);
  assertEquals(second.history, first.history);
});

for (const plant of PLANTS) {
  Deno.test(`the checker finds a planted bug: ${plant.name}`, async () => {
    for (let seed = 1; seed <= PLANT_SEEDS; seed++) {
      const { problem } = await runSeed({ seed, plant });
      if (problem !== undefined && plant.finds.test(problem)) return;
    }
    throw new Error(`${PLANT_SEEDS} seeds with this bug did not show it`);
  });
}
