import { assert, assertEquals } from "@std/assert";
import { INVARIANTS } from "./checker.ts";
import { PLANTS, runPlant } from "./plants.ts";
import { ruleOf } from "./shrink.ts";

/** The invariants that some planted bug broke. */
const seen = new Set<string>();

Deno.test("there are many planted bugs, each with a name of its own", () => {
  assert(new Set(PLANTS.map(({ name }) => name)).size === PLANTS.length);
  assert(PLANTS.length >= 30, `${PLANTS.length}`);
});

for (const plant of PLANTS) {
  Deno.test(`the checker finds a planted bug: ${plant.name}`, async () => {
    const result = await runPlant(plant);
    assert(plant.finds.test(result.problem ?? ""), result.problem ?? "nothing was found");
    seen.add(ruleOf(result) ?? "");
  });
}

Deno.test("every invariant was broken by some planted bug, and the checker said so", () => {
  assertEquals(INVARIANTS.filter((invariant) => !seen.has(invariant)), []);
});
