import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { taskIdAfter } from "../../scheduler/task_id.ts";

const FRESH = "01aaaaaaaa0000000000000001";

Deno.test("a fresh id that is greater than the last one is taken as it is", () => {
  assertEquals(taskIdAfter("01aaaaaaa90000000000000009", FRESH), FRESH);
  assertEquals(taskIdAfter("", FRESH), FRESH);
});

Deno.test("after a leader whose clock was ahead ids still grow", () => {
  for (const last of ["01bbbbbbbb0000000000000000", "01bbbbbbbzzzzzzzzzzzzzzzzz", FRESH]) {
    const id = taskIdAfter(last, FRESH);
    assert(id > last, id);
    assertEquals(id.length, last.length);
  }
});

Deno.test("two leaders that know the same last id come to different ones", () => {
  const last = "01bbbbbbbb0000000000000000";
  assertNotEquals(taskIdAfter(last, FRESH), taskIdAfter(last, "01aaaaaaaa0000000000000002"));
});
