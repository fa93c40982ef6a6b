import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { detachFilter, keysText, parseDetachKeys } from "../../cli/format/detach_keys.ts";

const type = (filter: ReturnType<typeof detachFilter>, ...bytes: number[]) =>
  filter(Uint8Array.from(bytes));

Deno.test("the keys detach, in one piece or in several", () => {
  assertEquals(type(detachFilter([16, 17]), 97, 16, 17), undefined);
  const filter = detachFilter([16, 17]);
  assertEquals(type(filter, 97, 16), Uint8Array.of(97), "the beginning of them waits");
  assertEquals(type(filter, 17), undefined);
});

Deno.test("whatever is typed beside them is passed on, each byte once and in order", () => {
  const bytes = fc.array(fc.constantFrom(16, 17, 97), { maxLength: 12 });
  fc.assert(fc.property(bytes, fc.nat(12), (typed, cut) => {
    const filter = detachFilter([16, 16, 17]);
    const parts = [typed.slice(0, cut), typed.slice(cut), [97, 97]];
    const passed: number[] = [];
    for (const part of parts) {
      const out = type(filter, ...part);
      if (out === undefined) {
        assertEquals(typed.join().includes("16,16,17"), true);
        return;
      }
      passed.push(...out);
    }
    assertEquals(passed, [...typed, 97, 97]);
  }));
});

Deno.test("keys are named as Docker names them", () => {
  assertEquals(parseDetachKeys("ctrl-p,ctrl-q"), { ok: true, value: [16, 17] });
  assertEquals(parseDetachKeys("ctrl-@,x,ctrl-["), { ok: true, value: [0, 120, 27] });
  assertEquals(keysText([16, 17]), "Ctrl-P, Ctrl-Q");
  assertEquals(keysText([120, 27]), "x, Ctrl-[");
  for (const wrong of ["", "ctrl-", "ctrl-1", "alt-x", "ctrl-p,,x"]) {
    assertEquals(parseDetachKeys(wrong).ok, false, wrong);
  }
});
