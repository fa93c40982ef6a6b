import { assert } from "@std/assert";
import { commandFor } from "./options.ts";
import { PLANTS } from "./plants.ts";
import { runSeed } from "./run.ts";

/** A planted bug must be found within so many seeds, from the one on that is known to show it. */
const SEEDS = 12;

Deno.test("there are many planted bugs, each with a name of its own", () => {
  assert(new Set(PLANTS.map(({ name }) => name)).size === PLANTS.length);
  assert(PLANTS.length >= 30, `${PLANTS.length}`);
});

for (const plant of PLANTS) {
  Deno.test(`the checker finds a planted bug: ${plant.name}`, async () => {
    const { name, finds, seed: first = 1 } = plant;
    const said: string[] = [];
    for (let seed = first; seed < first + SEEDS; seed++) {
      const { problem } = await runSeed({ seed, plant });
      if (problem !== undefined && finds.test(problem)) return;
      if (problem !== undefined) said.push(problem);
    }
    const again = commandFor(first, { plant: name });
    throw new Error(`${SEEDS} seeds did not show it: ${again}\n${said.join("\n")}`);
  });
}
