import { holds } from "./support.ts";

// In two files, so that they run beside one another.
Deno.test("seeds 101 to 200: a cluster keeps its promises whatever goes wrong, and comes to rest", async () => {
  for (let seed = 101; seed <= 200; seed++) await holds(seed);
});
