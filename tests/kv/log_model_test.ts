import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { key } from "../../kv/keys.ts";
import {
  appendLog,
  createLogFeed,
  lastLog,
  type LogEntry,
  type LogFeed,
  logHead,
  readLog,
  sweepLog,
} from "../../kv/log.ts";
import { timestamp } from "../../kv/schema/common.ts";
import type { LogRecord } from "../../kv/schema/event.ts";
import { systemClock } from "../../kv/schema/time.ts";
import type { Kv } from "../../kv/store.ts";
import { inTurn, onEachStore, wipe } from "../support/stores.ts";

/** What the log is: numbers without a gap, of which the oldest may be gone. */
interface Model {
  head: number;
  sweptThrough: number;
  /** What each follower has been told, and how far the feed has come. */
  told: number[][];
  fed: number;
}

interface Real {
  kv: Kv;
  feed: LogFeed;
  told: number[][];
}

type Command = fc.AsyncCommand<Model, Real>;

const append = async (kv: Kv, seq: number): Promise<LogRecord> => {
  const event = { type: "node.changed" as const, why: `#${seq}` };
  const record = { at: timestamp(0), epoch: 1, events: [event] };
  await appendLog(kv.atomic(), seq, record).commit();
  return record;
};

/** The numbers from just after `after`, as far as they are kept. */
const kept = ({ head, sweptThrough }: Model, after = 0): number[] =>
  Array.from({ length: head }, (_, i) => i + 1).filter((seq) =>
    seq > Math.max(after, sweptThrough)
  );

const numbers = (entries: LogEntry[]): number[] => entries.map(({ seq }) => seq);

function command(
  text: string,
  run: (model: Model, real: Real) => Promise<void>,
): Command {
  return {
    check: () => true,
    toString: () => text,
    async run(model, real) {
      await run(model, real);
      assertEquals(await logHead(real.kv), model.head);
      assertEquals(real.told, model.told);
    },
  };
}

const grow = (count: number) =>
  command(`append ${count}`, async (model, { kv }) => {
    for (let i = 0; i < count; i++) await append(kv, ++model.head);
  });

const read = (after: number, limit: number) =>
  command(`read ${limit} after ${after}`, async (model, { kv }) => {
    const entries = await readLog(kv, { afterSeq: after, limit });
    assertEquals(numbers(entries), kept(model, after).slice(0, limit));
    assertEquals(
      entries.map(({ record }) => record.events[0]?.why),
      numbers(entries).map((n) => `#${n}`),
    );
  });

const last = (limit: number) =>
  command(`last ${limit}`, async (model, { kv }) => {
    assertEquals(numbers(await lastLog(kv, limit)), kept(model).slice(-limit));
  });

const sweep = (through: number, deposed: boolean) =>
  command(`sweep ${through}${deposed ? ", deposed" : ""}`, async (model, { kv }) => {
    const epoch = await kv.get(key.epoch());
    const guard = deposed ? { key: key.epoch(), versionstamp: "00000000000000010000" } : epoch;
    const goes = deposed ? 0 : kept(model).filter((seq) => seq <= through).length;
    assertEquals(await sweepLog(kv, { throughSeq: through, guard }), goes);
    if (!deposed) model.sweptThrough = Math.max(model.sweptThrough, Math.min(through, model.head));
  });

const follow = command("follow", (model, { feed, told }) => {
  const mine: number[] = [];
  told.push(mine);
  model.told.push([]);
  feed.subscribe((entries) => mine.push(...numbers(entries)));
  return Promise.resolve();
});

const pump = command("pump", async (model, { feed }) => {
  await feed.pump();
  const news = kept(model, model.fed);
  for (const mine of model.told) mine.push(...news);
  model.fed = news.at(-1) ?? model.fed;
  assertEquals(feed.head(), model.fed);
});

const seq = fc.nat({ max: 40 });
const COMMANDS = [
  fc.integer({ min: 1, max: 12 }).map(grow),
  fc.tuple(seq, fc.integer({ min: 1, max: 15 })).map(([after, limit]) => read(after, limit)),
  fc.integer({ min: 1, max: 15 }).map(last),
  fc.tuple(seq, fc.boolean()).map(([through, deposed]) => sweep(through, deposed)),
  fc.constant(follow),
  fc.constant(pump),
  fc.constant(pump),
];

onEachStore(
  "however it is appended to, swept and followed, the log is what its model is",
  async (kv) => {
    await fc.assert(
      fc.asyncProperty(fc.commands(COMMANDS, { maxCommands: 30 }), async (commands) => {
        await wipe(kv);
        const feed = await createLogFeed({ kv, clock: systemClock });
        await fc.asyncModelRun(() => ({
          model: { head: 0, sweptThrough: 0, told: [], fed: 0 },
          real: { kv, feed, told: [] },
        }), commands);
      }),
      { numRuns: 40 },
    );
  },
);

onEachStore(
  "whoever pumps or offers at whatever moment, each follower is told each record once, in order",
  async (kv) => {
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.array(fc.boolean(), { minLength: 1, maxLength: 12 }),
        async (scheduler, offers) => {
          const count = offers.length;
          await wipe(kv);
          const ordered = inTurn(kv, scheduler);
          const racing = await scheduler.waitFor(
            createLogFeed({ kv: ordered, clock: systemClock }),
          );
          const told: number[] = [];
          racing.subscribe((entries) => told.push(...numbers(entries)));
          const leader = (async () => {
            for (const [i, offered] of offers.entries()) {
              const record = await append(ordered, i + 1);
              if (offered) racing.offer({ seq: i + 1, record });
            }
          })();
          const pumps = Array.from(
            { length: count },
            () => scheduler.schedule(Promise.resolve()).then(racing.pump),
          );
          await scheduler.waitFor(Promise.all([leader, ...pumps]));
          await scheduler.waitFor(racing.pump());
          assertEquals(
            told,
            Array.from({ length: count }, (_, i) => i + 1),
          );
        },
      ),
      { numRuns: 40 },
    );
  },
);
