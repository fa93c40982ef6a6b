import { holds } from "./support.ts";

// In two files, so that they run beside one another.
Deno.test("seeds 1 to 100: a cluster keeps its promises whatever goes wrong, and comes to rest", async () => {
  for (let seed = 1; seed <= 100; seed++) await holds(seed);
});
