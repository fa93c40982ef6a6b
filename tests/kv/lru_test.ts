import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { Lru } from "../../kv/lru.ts";

Deno.test("a bounded map holds no more than its limit, and always the newer half of what was used", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 2, max: 20 }),
      fc.array(fc.tuple(fc.constantFrom("get", "set", "delete"), fc.integer({ min: 0, max: 30 }))),
      (limit, moves) => {
        const map = new Lru<number, string>(limit);
        // The keys that are there, in the order of their last use.
        let used: number[] = [];
        for (const [move, key] of moves) {
          if (move === "set") map.set(key, `v${key}`);
          else if (move === "delete") map.delete(key);
          const found = move === "get" ? map.get(key) : undefined;
          if (found !== undefined) assertEquals(found, `v${key}`);
          if (move !== "get" || found !== undefined) used = used.filter((k) => k !== key);
          if (move === "set" || found !== undefined) used.push(key);
          else if (move === "get") assert(!used.slice(-Math.floor(limit / 2)).includes(key));
          assert(map.size <= limit);
        }
      },
    ),
    { seed: 1 },
  );
});
