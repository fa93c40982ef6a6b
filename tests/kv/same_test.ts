import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { sameValue, stableJson } from "../../kv/schema/same.ts";

const values = fc.object({
  key: fc.constantFrom("a", "b", "c"),
  maxDepth: 3,
  values: [
    fc.boolean(),
    fc.integer({ min: 0, max: 2 }),
    fc.constantFrom("", "x"),
    fc.constant(null),
  ],
});

Deno.test("values are the same when their sorted JSON is, whatever the order of their fields", () => {
  let same = 0;
  fc.assert(
    fc.property(values, values, (a, b) => {
      if (sameValue(a, b)) same++;
      assertEquals(sameValue(a, b), stableJson(a) === stableJson(b));
      const turned = Object.fromEntries(Object.entries(a).reverse());
      assertEquals(sameValue(a, { ...turned, d: undefined }), true);
    }),
    { numRuns: 2000, seed: 1 },
  );
  assertEquals(same > 0 && same < 2000, true);
});

Deno.test("a field that is there and undefined is none, and a list is no object", () => {
  assertEquals(sameValue({ a: undefined }, {}), true);
  assertEquals(sameValue({ a: undefined }, { b: 1 }), false);
  assertEquals(sameValue([], {}), false);
  assertEquals(sameValue([1, 2], [1]), false);
  assertEquals(sameValue([1], [1, 2]), false);
  assertEquals(sameValue({ a: null }, {}), false);
});
