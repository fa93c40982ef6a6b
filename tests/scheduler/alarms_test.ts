import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { createAlarms } from "../../scheduler/alarms.ts";

const id = fc.constantFrom("a", "b", "c", "d");
const atMs = fc.integer({ min: 0, max: 20 });
const step = fc.oneof(
  fc.record({ kind: fc.constant("set" as const), id, atMs }),
  fc.record({ kind: fc.constant("delete" as const), id }),
  fc.record({ kind: fc.constant("take" as const), atMs }),
);

Deno.test("alarms say what a plain map of times would, whatever is set, deleted and taken", () => {
  fc.assert(fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
    const alarms = createAlarms();
    const model = new Map<string, number>();
    for (const one of steps) {
      if (one.kind === "set") {
        alarms.set(one.id, one.atMs);
        model.set(one.id, one.atMs);
      } else if (one.kind === "delete") {
        alarms.delete(one.id);
        model.delete(one.id);
      } else {
        const due = [...model.keys()].filter((what) => (model.get(what) ?? 0) <= one.atMs);
        assertEquals(alarms.takeDue(one.atMs), due);
        for (const what of due) model.delete(what);
      }
      assertEquals(alarms.earliestMs(), Math.min(...model.values()));
    }
  }));
});
