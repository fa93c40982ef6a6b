import { assertEquals } from "@std/assert";
import { lockProject } from "../../../cli/compose/lock.ts";
import { okValue, withApi } from "../../support/api.ts";
import { eventually } from "../../support/eventually.ts";
import { createFakeClock } from "../../support/fake_clock.ts";

const ANN = { id: "ann-1234", holder: "ann@desk" };

Deno.test("a lock whose holder died is taken over after its TTL, by the clock of who waits", () =>
  withApi(async (t) => {
    const client = t.client();
    okValue(await client.lockProject("shop", { ...ANN, ttlMs: 15_000 }));
    const clock = createFakeClock();
    const told: string[] = [];
    const beganMs = clock.monoMs();
    const taken = await clock.until(lockProject({
      ...{ client, clock, project: "shop", id: "ben-1234", holder: "ben@lap" },
      timeoutMs: 60_000,
      signal: new AbortController().signal,
      onWait: ({ holder }) => told.push(holder),
    }));
    assertEquals([taken.kind, told], ["held", ["ann@desk"]]);
    const tookMs = clock.monoMs() - beganMs;
    assertEquals(tookMs >= 15_000 && tookMs < 17_000, true, `${tookMs} ms`);
    if (taken.kind === "held") await taken.lock.release();
    assertEquals((await client.readLock("shop")).ok, false);
  }));

Deno.test("a lock that is renewed is not taken over, and its loss is noticed", () =>
  withApi(async (t) => {
    const client = t.client();
    const clock = createFakeClock();
    const signal = new AbortController().signal;
    const onWait = () => {};
    const base = { client, clock, project: "shop", timeoutMs: 40_000, signal, onWait };
    const held = await lockProject({ ...base, ...ANN });
    if (held.kind !== "held") throw new Error(held.kind);
    const other = await clock.until(lockProject({ ...base, id: "ben-1234", holder: "ben@lap" }));
    assertEquals(other.kind, "busy");
    // A renewal may be under way still: then what was read is no longer the lock's version.
    await eventually(async () => {
      const { version } = okValue(await client.readLock("shop"));
      const thief = { id: "eve-1234", holder: "eve", replaces: version };
      return (await client.lockProject("shop", thief)).ok;
    });
    const lost = new Promise<void>((resolve) =>
      held.lock.lost.addEventListener("abort", () => resolve(), { once: true })
    );
    await clock.until(lost);
    await held.lock.release();
    assertEquals(okValue(await client.readLock("shop")).holder, "eve", "it stays the other's");
  }));
