import { assertEquals } from "@std/assert";
import { createDriver, type DriverDeps } from "../../worker/driver.ts";
import { createFakeClock } from "../support/fake_clock.ts";
import { idOf } from "../support/ids.ts";

Deno.test("whoever is told that a task is due sees when, once its step has ended", async () => {
  const clock = createFakeClock();
  const seen: (number | undefined)[] = [];
  const driver = createDriver({
    engine: {
      inspect: () => Promise.resolve({ ok: false, kind: "unavailable", message: "no engine" }),
    },
    book: { records: new Map(), set: undefined, confirmed: true },
    clock,
    random: () => 0.5,
    log: () => {},
    onDue: () => seen.push(driver.nextDueMs()),
    keeper: {},
  } as unknown as DriverDeps);
  driver.kick(idOf(1), new AbortController().signal);
  await driver.settle();
  assertEquals(seen.at(-1), clock.monoMs() + 250);
});
