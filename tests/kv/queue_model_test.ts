import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { key } from "../../kv/keys.ts";
import {
  countQueue,
  enqueue,
  failMessage,
  listParked,
  MAX_TRIES,
  type QueuedMessage,
  readQueue,
  retryParked,
} from "../../kv/queue.ts";
import { QueueMessage } from "../../kv/schema/control.ts";
import type { Kv } from "../../kv/store.ts";
import { countingIds, idOf } from "../support/ids.ts";
import { inTurn, onEachStore, wipe } from "../support/stores.ts";

const ALL = 500;

/** What the queue is: messages in order, those that failed, those that are parked. */
interface Model {
  queued: { message: QueueMessage; tries: number }[];
  parked: QueueMessage[];
  /** The leader at hand was followed by another one. */
  deposed: boolean;
}

interface Real {
  kv: Kv;
  newId: () => string;
  guard: Deno.AtomicCheck;
}

type Command = fc.AsyncCommand<Model, Real>;

async function epochOf(kv: Kv): Promise<Deno.AtomicCheck> {
  const { key: of, versionstamp } = await kv.get(key.epoch());
  return { key: of, versionstamp };
}

function command(
  text: string,
  run: (model: Model, real: Real) => Promise<void>,
  check: (model: Model) => boolean = () => true,
): Command {
  return {
    check,
    toString: () => text,
    async run(model, real) {
      await run(model, real);
      const rows = await readQueue(real.kv, ALL);
      assertEquals(rows.map((row) => row.message), model.queued.map(({ message }) => message));
      assertEquals(await countQueue(real.kv), model.queued.length);
      const parked = await listParked(real.kv);
      assertEquals(parked.map(({ kind, id }) => ({ kind, id })), model.parked);
      assert(parked.every(({ tries }) => tries === MAX_TRIES));
    },
  };
}

const put = (message: QueueMessage, conflict: boolean) =>
  command(`put ${message.id.slice(-2)}${conflict ? " in vain" : ""}`, async (model, real) => {
    const op = real.kv.atomic();
    if (conflict) op.check({ key: key.cluster(), versionstamp: "00000000000000010000" });
    const done = await enqueue(op, message, real.newId).commit();
    assertEquals(done.ok, !conflict);
    if (!conflict) model.queued.push({ message, tries: 0 });
  });

const nth = async (kv: Kv, index: number, length: number): Promise<QueuedMessage> => {
  const found = (await readQueue(kv, ALL))[index % length];
  assert(found);
  return found;
};

const consume = (index: number) =>
  command(`consume ${index}`, async (model, real) => {
    const at = index % model.queued.length;
    const { messageId } = await nth(real.kv, index, model.queued.length);
    const done = await real.kv.atomic().check(real.guard)
      .delete(key.queue(messageId)).delete(key.failed(messageId)).commit();
    assertEquals(done.ok, !model.deposed);
    if (done.ok) model.queued.splice(at, 1);
  }, (model) => model.queued.length > 0);

const fail = (index: number) =>
  command(`fail ${index}`, async (model, real) => {
    const at = index % model.queued.length;
    const queued = await nth(real.kv, index, model.queued.length);
    await failMessage(real.kv, queued, { error: "boom", guard: real.guard });
    const entry = model.queued[at];
    if (!entry || model.deposed || ++entry.tries < MAX_TRIES) return;
    model.queued.splice(at, 1);
    // Parked messages are listed by their ids, which are in the order of the queue.
    model.parked = (await listParked(real.kv)).map(({ kind, id }) =>
      QueueMessage.parse({ kind, id })
    );
    assert(model.parked.some(({ id }) => id === entry.message.id));
  }, (model) => model.queued.length > 0);

const retry = (index: number) =>
  command(`retry ${index}`, async (model, real) => {
    const at = index % model.parked.length;
    const parked = (await listParked(real.kv))[at];
    assert(parked && await retryParked(real.kv, parked.messageId, real.newId));
    assert(!await retryParked(real.kv, parked.messageId, real.newId), "only once");
    const [message] = model.parked.splice(at, 1);
    if (message) model.queued.push({ message, tries: 0 });
  }, (model) => model.parked.length > 0);

const depose = command("depose", async (model, real) => {
  await real.kv.atomic().set(key.epoch(), 1).commit();
  model.deposed = true;
});

const elect = command("elect", async (model, real) => {
  real.guard = await epochOf(real.kv);
  model.deposed = false;
});

const index = fc.nat({ max: 20 });
const message = fc.record({
  kind: fc.constantFrom("service" as const, "task" as const, "node" as const),
  id: fc.integer({ min: 1, max: 9 }).map(idOf),
});
const COMMANDS = [
  fc.tuple(message, fc.boolean()).map(([m, conflict]) => put(m, conflict)),
  message.map((m) => put(m, false)),
  index.map(consume),
  index.map(fail),
  // The same message again and again, so that it comes to be parked.
  fc.constant(fail(0)),
  fc.constant(fail(0)),
  index.map(retry),
  fc.constant(depose),
  fc.constant(elect),
];

onEachStore("whatever happens to it, the queue is what its model is", async (kv) => {
  await fc.assert(
    fc.asyncProperty(fc.commands(COMMANDS, { maxCommands: 40 }), async (commands) => {
      await wipe(kv);
      await fc.asyncModelRun(async () => ({
        model: { queued: [], parked: [], deposed: false },
        real: { kv, newId: countingIds(), guard: await epochOf(kv) },
      }), commands);
    }),
    { numRuns: 40 },
  );
});

onEachStore("of several that retry a parked message at once, one puts it back", async (kv) => {
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), async (scheduler) => {
      await wipe(kv);
      const newId = countingIds();
      await enqueue(kv.atomic(), { kind: "node", id: idOf(1) }, newId).commit();
      for (let tries = 0; tries < MAX_TRIES; tries++) {
        const queued = await nth(kv, 0, 1);
        await failMessage(kv, queued, { error: "boom", guard: await epochOf(kv) });
      }
      const [parked] = await listParked(kv);
      assert(parked);
      const ordered = inTurn(kv, scheduler);
      const tries = [1, 2, 3].map(() => retryParked(ordered, parked.messageId, newId));
      const won = await scheduler.waitFor(Promise.all(tries));
      assertEquals(won.filter((one) => one).length, 1);
      assertEquals(await countQueue(kv), 1);
      assertEquals(await listParked(kv), []);
    }),
    { numRuns: 30 },
  );
});
