import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  BEATS_PER_TTL,
  createBeatCollector,
  createBeatReader,
  stretchTtl,
} from "../../kv/beats.ts";
import type { Kv } from "../../kv/store.ts";
import { createFakeClock } from "../support/fake_clock.ts";
import { idOf } from "../support/ids.ts";
import { withKv } from "../support/kv.ts";

const [NODE, OTHER] = [idOf(1), idOf(2)];

/** A database whose commits fail while `broken` says so. */
function breakable(kv: Kv): { kv: Kv; state: { broken: boolean } } {
  const state = { broken: false };
  const atomic = () => {
    const op = kv.atomic();
    const commit = op.commit.bind(op);
    op.commit = () => state.broken ? Promise.reject(new Error("no database")) : commit();
    return op;
  };
  return { kv: Object.assign(Object.create(kv), { atomic }), state };
}

Deno.test("a beat is on record once it is written, not when it came", () =>
  withKv(async (kv) => {
    const clock = createFakeClock();
    const beats = createBeatCollector({ kv, clock, replicaId: idOf(9) });
    await clock.advance(100);
    beats.beat(NODE);
    assertEquals(beats.recordedMs(NODE), undefined);
    await clock.advance(500);
    await beats.flush();
    assertEquals([beats.recordedMs(NODE), beats.recordedMs(OTHER)], [100, undefined]);
    beats.beat(NODE);
    assertEquals(beats.recordedMs(NODE), 100);
  }));

Deno.test("beats that could not be written are not on record, and are written by the next flush", () =>
  withKv(async (raw) => {
    const clock = createFakeClock();
    const { kv, state } = breakable(raw);
    const beats = createBeatCollector({ kv, clock, replicaId: idOf(9) });
    const reader = createBeatReader({ kv: raw, clock });
    await reader.read();
    beats.beat(NODE);
    state.broken = true;
    await assertRejects(() => beats.flush(), "no database");
    assertEquals(beats.recordedMs(NODE), undefined);
    state.broken = false;
    await beats.flush();
    assertEquals(beats.recordedMs(NODE), 0);
    assertEquals([...(await reader.read()).keys()], [NODE]);
  }));

Deno.test("a look that took long makes no beat that is heard later seem older than it is", () =>
  withKv(async (raw) => {
    const clock = createFakeClock();
    const beats = createBeatCollector({ kv: raw, clock, replicaId: idOf(9) });
    let meanwhile = () => Promise.resolve();
    const kv: Kv = Object.assign(Object.create(raw), {
      async *list(...args: Parameters<Kv["list"]>) {
        await meanwhile();
        yield* raw.list(...args);
      },
    });
    const reader = createBeatReader({ kv, clock });
    const beatNow = async () => {
      beats.beat(NODE);
      await beats.flush();
    };
    await beatNow();
    await reader.read();
    meanwhile = async () => {
      await clock.advance(2_500);
      await beatNow();
    };
    await reader.read();
    meanwhile = () => Promise.resolve();
    await clock.advance(1_000);
    await beatNow();
    assertEquals([...await reader.read()], [[NODE, clock.monoMs()]]);
  }));

Deno.test("however many nodes there are, their beats stay bounded, and few of them stretch nothing", () => {
  assertEquals([0, 1, 100, 4000].map((nodes) => stretchTtl(6000, nodes)), [6000, 6000, 6000, 6000]);
  for (const nodes of [4001, 5000, 10_000, 100_000]) {
    const ttlMs = stretchTtl(6000, nodes);
    assert(nodes * BEATS_PER_TTL / (ttlMs / 1000) <= 2000, `${nodes} nodes: ${ttlMs} ms`);
    assert(ttlMs < stretchTtl(6000, nodes + 100));
  }
  assertEquals(stretchTtl(60_000, 5000), 60_000);
});
