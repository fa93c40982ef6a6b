import { assert, assertEquals } from "@std/assert";
import { key } from "../../kv/keys.ts";
import type { Event, EventView } from "../../kv/schema/event.ts";
import { okValue, type TestApi, withApi } from "../support/api.ts";
import { eventually } from "../support/eventually.ts";
import { createFakeClock } from "../support/fake_clock.ts";
import { idOf } from "../support/ids.ts";
import { commitLogged } from "../support/seed.ts";

const changed = (n: number): Event => ({ type: "service.changed", serviceId: idOf(n) });

/** `records` records with two events each: 1.0, 1.1, 2.0, … */
async function seedLog(t: TestApi, records: number, from = 1): Promise<void> {
  for (let n = from; n < from + records; n++) {
    await commitLogged(t.kv, t.kv.atomic(), [changed(n), changed(n)]);
  }
}

function idsOf(records: number, from = 1): string[] {
  return Array.from({ length: records }, (_, i) => [`${from + i}.0`, `${from + i}.1`]).flat();
}

/** Reads from a stream of events until it has `count`, then hangs up. */
async function follow(
  t: TestApi,
  count: number,
  options: { lastEventId?: string; onEvent?: (event: EventView, index: number) => Promise<void> },
): Promise<string[]> {
  const hangUp = new AbortController();
  const ids: string[] = [];
  const { lastEventId, onEvent } = options;
  const events = t.client().followEvents({
    signal: hangUp.signal,
    ...(lastEventId === undefined ? {} : { lastEventId }),
  });
  for await (const event of events) {
    ids.push(event.id);
    await onEvent?.(event, ids.length);
    if (ids.length === count) break;
  }
  hangUp.abort();
  return ids;
}

Deno.test("events are listed oldest first, in pages that neither repeat nor skip", () =>
  withApi(async (t) => {
    await seedLog(t, 25);
    for (const limit of [1, 3, 16, 49, 50, 500]) {
      const ids: string[] = [];
      let after: string | undefined;
      do {
        const page: { items: EventView[]; next?: string | undefined } = okValue(
          await t.client().listEvents({ limit, ...(after === undefined ? {} : { after }) }),
        );
        assert(page.items.length <= limit);
        ids.push(...page.items.map((event) => event.id));
        after = page.next;
      } while (after !== undefined);
      assertEquals(ids, idsOf(25), `limit ${limit}`);
    }
  }));

Deno.test("last answers the newest events", () =>
  withApi(async (t) => {
    await seedLog(t, 40);
    for (const last of [1, 3, 80, 500]) {
      const page = okValue(await t.client().listEvents({ last }));
      assertEquals(page.items.map((event) => event.id), idsOf(40).slice(-last));
    }
  }));

Deno.test("a stream goes on where the last one ended, within a record and across the log's head", () =>
  withApi(async (t) => {
    await seedLog(t, 3);
    const first = await follow(t, 3, { lastEventId: "0" });
    assertEquals(first, ["1.0", "1.1", "2.0"]);
    const rest = await follow(t, 7, {
      lastEventId: "2.0",
      onEvent: async (_event, count) => {
        if (count === 3) await seedLog(t, 2, 4);
      },
    });
    assertEquals(rest, ["2.1", "3.0", "3.1", "4.0", "4.1", "5.0", "5.1"]);
  }));

Deno.test("a stream without an id begins now, one with an id that was swept with the oldest kept", () =>
  withApi(async (t) => {
    await seedLog(t, 4);
    await t.kv.atomic().delete(key.log(1)).delete(key.log(2)).commit();
    assertEquals(await follow(t, 2, { lastEventId: "1.0" }), ["3.0", "3.1"]);
    const live = follow(t, 2, {});
    await eventually(async () => await openStreams(t) === 1);
    await seedLog(t, 1, 5);
    assertEquals(await live, ["5.0", "5.1"]);
    await eventually(async () => await openStreams(t) === 0);
  }));

Deno.test("an id from ahead of the log begins now instead of waiting for ever", () =>
  withApi(async (t) => {
    await seedLog(t, 1);
    const live = follow(t, 1, { lastEventId: "900.0" });
    await eventually(async () => await openStreams(t) === 1);
    await seedLog(t, 1, 2);
    assertEquals(await live, ["2.0"]);
  }));

async function openStreams(t: TestApi): Promise<number> {
  const text = await (await t.send("GET", "/metrics")).text();
  return Number(/^berth_event_streams (\d+)$/m.exec(text)?.[1]);
}

Deno.test("no event is lost or doubled while records are committed as fast as they can be", () =>
  withApi(async (t) => {
    const readers = [1, 2, 3].map(() => follow(t, 400, { lastEventId: "0" }));
    await seedLog(t, 200);
    for (const ids of await Promise.all(readers)) assertEquals(ids, idsOf(200));
  }));

Deno.test("a record that is committed between a stream's look and its wait is told at once", async () => {
  // Time stands still, so that the heartbeat cannot help.
  await withApi(async (t) => {
    let between: (() => Promise<void>) | undefined;
    const list = t.kv.list.bind(t.kv);
    t.kv.list = <T>(...args: Parameters<typeof list>) => {
      const entries = list<T>(...args);
      const next = entries.next.bind(entries);
      // The log's feed reads larger pages.
      const streams = "prefix" in args[0] && args[0].prefix[0] === "log" && args[1]?.limit === 50;
      entries.next = async () => {
        const result = await next();
        const run = streams && result.done ? between : undefined;
        if (run) between = undefined;
        await run?.();
        return result;
      };
      return entries;
    };
    between = async () => {
      await seedLog(t, 1);
      await eventually(() => t.feed.head() === 1);
    };
    assertEquals(await follow(t, 2, { lastEventId: "0" }), ["1.0", "1.1"]);
    t.kv.list = list;
  }, { clock: createFakeClock() });
});

Deno.test("an idle stream is kept alive by comments", async () => {
  const clock = createFakeClock();
  await withApi(async (t) => {
    const response = await t.send("GET", "/v1/events?follow=true");
    assertEquals(response.headers.get("content-type"), "text/event-stream");
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    assertEquals((await reader.read()).value, "retry: 1000\n\n");
    const sleeping = clock.sleepers;
    const next = reader.read();
    await eventually(() => clock.sleepers >= sleeping && clock.sleepers > 0);
    assertEquals((await clock.until(next)).value, ": still here\n\n");
    assertEquals(clock.monoMs(), 15_000);
    await reader.cancel();
  }, { clock });
});

Deno.test("a reader that takes nothing costs no memory: the log is not read ahead", () =>
  withApi(async (t) => {
    await seedLog(t, 300);
    let reads = 0;
    const list = t.kv.list.bind(t.kv);
    t.kv.list = (...args: Parameters<typeof list>) => (reads++, list(...args));
    const response = await t.send("GET", "/v1/events?follow=true&after=0");
    await seedLog(t, 5, 301);
    assert(reads <= 12, `${reads} reads of the log`);
    await response.body?.cancel();
    t.kv.list = list;
  }));

Deno.test("a HEAD request opens no stream, and closing the API ends those that are open", () =>
  withApi(async (t) => {
    const head = await t.send("HEAD", "/v1/events", { headers: { accept: "text/event-stream" } });
    assertEquals([head.status, head.body], [200, null]);
    assertEquals(await openStreams(t), 0);
    const response = await t.send("GET", "/v1/events?follow=true");
    assertEquals(await openStreams(t), 1);
    await t.api.close();
    assertEquals(await response.text(), "retry: 1000\n\n");
  }));

Deno.test("events are listed about one service, task, slot or node, with what is left of the log", () =>
  withApi(async (t) => {
    const about = (n: number, slot: number): Event => ({
      type: "task.state",
      serviceId: idOf(n),
      service: `shop/s${n}`,
      taskId: idOf(100 + slot),
      slot,
      nodeId: idOf(7),
      node: "n7",
    });
    for (let n = 1; n <= 40; n++) {
      await commitLogged(t.kv, t.kv.atomic(), [about(n % 2, n % 4), { type: "leader.elected" }]);
    }
    const client = t.client();
    const count = async (query: Parameters<typeof client.listEvents>[0]) =>
      okValue(await client.listEvents({ limit: 500, ...query })).items.length;
    assertEquals(await count({}), 80);
    assertEquals(await count({ service: idOf(1) }), 20);
    assertEquals(await count({ service: "shop/s1" }), 20);
    assertEquals(await count({ service: "shop/s1", slot: 3 }), 10);
    assertEquals(await count({ task: idOf(102) }), 10);
    assertEquals(await count({ node: "n7" }), 40);
    assertEquals(await count({ node: "n7", last: 15 }), 15);
    assertEquals(await count({ service: "shop/none" }), 0);
    const whole = okValue(await client.listEvents({ limit: 1, service: "shop/s1" }));
    assertEquals(whole.oldest?.first, true);
    const next = okValue(
      await client.listEvents({ limit: 500, service: "shop/s1", cursor: whole.next ?? "" }),
    );
    assertEquals(next.items.length, 19, "pages of a filtered list neither repeat nor skip");
    await t.kv.atomic().delete(key.log(1)).commit();
    assertEquals(okValue(await client.listEvents({ limit: 1 })).oldest?.first, false);
  }));
