import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { appendLog, readLog } from "../../kv/log.ts";
import type { Event } from "../../kv/schema/event.ts";
import { recordsOf } from "../../scheduler/records.ts";
import { idOf } from "../support/ids.ts";
import { withKv } from "../support/kv.ts";

const AT = "2030-01-01T00:00:00.000Z";

const event: fc.Arbitrary<Event> = fc.record({
  type: fc.constantFrom("task.assigned" as const, "task.waiting" as const),
  taskId: fc.nat(1000).map(idOf),
  slot: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
  service: fc.constantFrom("default/web", `${"p".repeat(63)}/${"s".repeat(63)}`),
  node: fc.constantFrom("n1", "n".repeat(63)),
  why: fc.constantFrom("short", "é".repeat(1024), "ж".repeat(1024), "😀".repeat(512)),
});

Deno.test("all events of a commit are in its records, in order, and each record can be stored", () =>
  withKv(async (kv) => {
    let seq = 0;
    const events = fc.array(event, { minLength: 0, maxLength: 300, size: "max" });
    await fc.assert(
      fc.asyncProperty(events, async (all) => {
        const records = recordsOf(all);
        assertEquals(records.flat(), all);
        const from = seq;
        const op = kv.atomic();
        for (const part of records) appendLog(op, ++seq, { at: AT, epoch: 1, events: part });
        await op.commit();
        const stored = await readLog(kv, { afterSeq: from, limit: 100 });
        assertEquals(stored.map(({ record }) => record.events), records);
      }),
      { numRuns: 30 },
    );
  }));

Deno.test("events of ordinary names make one record a commit", () => {
  const one: Event = {
    ...{ type: "task.assigned", taskId: idOf(1), slot: 1, serviceId: idOf(2), nodeId: idOf(3) },
    ...{ service: "production/storefront", node: "ip-10-0-112-17.internal" },
  };
  assertEquals(recordsOf(Array(200).fill(one)).length, 1);
  assertEquals(recordsOf([]), []);
});
