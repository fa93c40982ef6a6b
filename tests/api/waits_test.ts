import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { createWaits, GRAIN_MS } from "../../api/waits.ts";
import { createFakeClock } from "../support/fake_clock.ts";

Deno.test("whoever waits leaves when woken, when the time is up or the signal aborts, whichever is first", () =>
  fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({
          name: fc.constantFrom("a", "b", "c"),
          ms: fc.integer({ min: 0, max: 200 }),
          abortMs: fc.option(fc.integer({ min: 0, max: 200 })),
        }),
        { maxLength: 20 },
      ),
      fc.array(fc.tuple(fc.constantFrom("a", "b", "c"), fc.integer({ min: 1, max: 200 })), {
        maxLength: 4,
      }),
      fc.nat(5),
      async (waiters, wakes, startMs) => {
        const clock = createFakeClock();
        await clock.advance(startMs);
        const waits = createWaits(clock);
        const left: number[] = [];
        const gone = waiters.map(() => new AbortController());
        const all = waiters.map(({ name, ms }, i) =>
          waits.wait(name, ms, gone[i]!.signal).then(() => left[i] = clock.monoMs() - startMs)
        );
        assertEquals(waits.count(), waiters.length);
        for (let ms = 0; ms <= 200; ms++) {
          for (const [name, atMs] of wakes) if (atMs === ms) waits.wake(name);
          waiters.forEach(({ abortMs }, i) => abortMs === ms && gone[i]!.abort());
          await clock.advance(1);
        }
        await Promise.all(all);
        for (const [i, { name, ms, abortMs }] of waiters.entries()) {
          const early = wakes.filter(([woken]) => woken === name).map(([, atMs]) => atMs);
          const asked = Math.min(ms, abortMs ?? Infinity, ...early);
          const [latest, soonest] = [asked, Math.min(asked, ms - GRAIN_MS + 1)];
          const at = left[i]!;
          assertEquals(at <= latest && at >= Math.max(0, soonest), true, `${at}, asked ${asked}`);
        }
        assertEquals([waits.count(), clock.sleepers], [0, 0]);
      },
    ),
    { numRuns: 60 },
  ));

Deno.test("thousands share a timer, and the last to leave takes it with it", async () => {
  const clock = createFakeClock();
  const waits = createWaits(clock);
  const { signal } = new AbortController();
  const all = Array.from({ length: 5000 }, (_, i) => waits.wait(`n${i}`, 2000, signal));
  assertEquals([waits.count(), clock.sleepers], [5000, 1]);
  for (let i = 1; i < 5000; i++) waits.wake(`n${i}`);
  assertEquals([waits.count(), clock.sleepers], [1, 1]);
  waits.wakeAll();
  await Promise.all(all);
  assertEquals([waits.count(), clock.sleepers], [0, 0]);
});

Deno.test("a signal that aborted before does not wait at all", async () => {
  const clock = createFakeClock();
  const waits = createWaits(clock);
  await waits.wait("a", 2000, AbortSignal.abort());
  assertEquals([waits.count(), clock.sleepers], [0, 0]);
});
