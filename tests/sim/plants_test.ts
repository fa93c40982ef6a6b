import { assert } from "@std/assert";
import { PLANTS, runPlant } from "./plants.ts";

Deno.test("there are many planted bugs, each with a name of its own", () => {
  assert(new Set(PLANTS.map(({ name }) => name)).size === PLANTS.length);
  assert(PLANTS.length >= 30, `${PLANTS.length}`);
});

for (const plant of PLANTS) {
  Deno.test(`the checker finds a planted bug: ${plant.name}`, async () => {
    const { problem } = await runPlant(plant);
    assert(plant.finds.test(problem ?? ""), problem ?? "nothing was found");
  });
}
