import { assert, assertEquals, assertFalse } from "@std/assert";
import {
  countQueue,
  enqueue,
  failMessage,
  listParked,
  MAX_TRIES,
  readQueue,
  retryParked,
} from "../../kv/queue.ts";
import { key } from "../../kv/keys.ts";
import type { Kv } from "../../kv/store.ts";
import { countingIds, idOf } from "../support/ids.ts";
import { withKv } from "../support/kv.ts";

const about = (n: number) => ({ kind: "service", id: idOf(n) }) as const;

async function guardOf(kv: Kv): Promise<Deno.AtomicCheck> {
  const entry = await kv.get(key.epoch());
  return { key: entry.key, versionstamp: entry.versionstamp };
}

Deno.test("a wake-up exists exactly when the change that it belongs to was committed", () =>
  withKv(async (kv) => {
    const newId = countingIds();
    const conflicting = kv.atomic().check({ key: ["x"], versionstamp: "00000000000000010000" });
    assertFalse((await enqueue(conflicting.set(["x"], 1), about(1), newId).commit()).ok);
    assertEquals(await countQueue(kv), 0);
    assert((await enqueue(kv.atomic().set(["x"], 1), about(1), newId).commit()).ok);
    assertEquals((await readQueue(kv, 10)).map((m) => m.message), [about(1)]);
  }));

Deno.test("messages are read oldest first, and at most as many as asked for", () =>
  withKv(async (kv) => {
    const newId = countingIds();
    for (let n = 1; n <= 5; n++) await enqueue(kv.atomic(), about(n), newId).commit();
    assertEquals((await readQueue(kv, 3)).map((m) => m.message.id), [idOf(1), idOf(2), idOf(3)]);
  }));

Deno.test("a message that keeps failing is parked with its error, and can be retried", () =>
  withKv(async (kv) => {
    const newId = countingIds();
    await enqueue(kv.atomic(), about(1), newId).commit();
    const guard = await guardOf(kv);
    for (let tries = 1; tries <= MAX_TRIES; tries++) {
      const [queued] = await readQueue(kv, 1);
      assert(queued);
      const failed = await failMessage(kv, queued, { error: `boom ${tries}`, guard });
      assertEquals(failed, { tries, parked: tries === MAX_TRIES });
    }
    assertEquals(await countQueue(kv), 0);
    const [parked] = await listParked(kv);
    assert(parked);
    assertEquals([parked.tries, parked.error], [MAX_TRIES, `boom ${MAX_TRIES}`]);
    assert(await retryParked(kv, parked.messageId, newId));
    assertEquals(await listParked(kv), []);
    assertEquals((await readQueue(kv, 9)).map((m) => m.message), [about(1)]);
    assertFalse(await retryParked(kv, parked.messageId, newId));
  }));
