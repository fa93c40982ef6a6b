import { assertEquals } from "@std/assert";
import { appendLog, createLogFeed, lastLog, logHead, readLog, sweepLog } from "../../kv/log.ts";
import { key } from "../../kv/keys.ts";
import { timestamp } from "../../kv/schema/common.ts";
import { systemClock } from "../../kv/schema/time.ts";
import type { Kv } from "../../kv/store.ts";
import { eventually } from "../support/eventually.ts";
import { withKv } from "../support/kv.ts";

async function append(kv: Kv, seq: number): Promise<void> {
  const event = { type: "node.changed" as const, why: `#${seq}` };
  await appendLog(kv.atomic(), seq, { at: timestamp(0), epoch: 1, events: [event] }).commit();
}

Deno.test("records are read in order, from any place, across the tenth", () =>
  withKv(async (kv) => {
    for (let seq = 1; seq <= 12; seq++) await append(kv, seq);
    assertEquals(await logHead(kv), 12);
    assertEquals((await readLog(kv, { afterSeq: 8, limit: 3 })).map((e) => e.seq), [9, 10, 11]);
    assertEquals((await lastLog(kv, 2)).map((e) => e.seq), [11, 12]);
  }));

Deno.test("a sweep deletes up to the given record and keeps the rest", () =>
  withKv(async (kv) => {
    for (let seq = 1; seq <= 10; seq++) await append(kv, seq);
    const epoch = await kv.get(key.epoch());
    assertEquals(await sweepLog(kv, { throughSeq: 7, guard: epoch }), 7);
    assertEquals((await readLog(kv, { afterSeq: 0, limit: 99 })).map((e) => e.seq), [8, 9, 10]);
  }));

Deno.test("a feed delivers every later record once and in order, however the watch coalesces", () =>
  withKv(async (kv) => {
    await append(kv, 1);
    const feed = await createLogFeed({ kv, clock: systemClock });
    const got: number[] = [];
    const unsubscribe = feed.subscribe((entries) => got.push(...entries.map((e) => e.seq)));
    const stop = new AbortController();
    const running = feed.run(stop.signal);
    await Promise.all(Array.from({ length: 300 }, (_, i) => append(kv, i + 2)));
    await eventually(() => got.length >= 300 && feed.head() === 301);
    assertEquals(got, Array.from({ length: 300 }, (_, i) => i + 2));
    unsubscribe();
    await append(kv, 302);
    await eventually(() => feed.head() === 302);
    assertEquals(got.length, 300);
    stop.abort();
    await running;
  }));

Deno.test("a record that is offered is delivered at once, if it is the next one, and never twice", () =>
  withKv(async (kv) => {
    const feed = await createLogFeed({ kv, clock: systemClock });
    const got: number[] = [];
    feed.subscribe((entries) => got.push(...entries.map((e) => e.seq)));
    const record = { at: "2030-01-01T00:00:00.000Z", epoch: 1, events: [] };
    for (const seq of [1, 2, 3]) await append(kv, seq);
    feed.offer({ seq: 2, record });
    assertEquals([feed.head(), got], [0, []]);
    feed.offer({ seq: 1, record });
    feed.offer({ seq: 1, record });
    assertEquals([feed.head(), got], [1, [1]]);
    await feed.pump();
    feed.offer({ seq: 3, record });
    assertEquals([feed.head(), got], [3, [1, 2, 3]]);
  }));
