/**
 * For model-based tests of the database's rooms: both kinds of local store, and one whose calls a
 * fast-check scheduler puts in order.
 *
 * @module
 */
import type fc from "fast-check";
import { openStore } from "../../kv/open.ts";
import type { Kv } from "../../kv/store.ts";

/** Defines the test twice: on a memory database, and on a file. */
export function onEachStore(name: string, run: (kv: Kv) => Promise<void>): void {
  Deno.test(`${name} (memory)`, () => opened(":memory:", run));
  Deno.test(`${name} (file)`, async () => {
    const dir = await Deno.makeTempDir({ prefix: "berth-model-" });
    try {
      await opened(`${dir}/berth.db`, run);
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  });
}

async function opened(location: string, run: (kv: Kv) => Promise<void>): Promise<void> {
  const result = await openStore(location);
  if (!result.ok) throw new Error(result.problem);
  try {
    await run(result.store.kv);
  } finally {
    result.store.close();
  }
}

/** Deletes every row, so that the next run begins with nothing. */
export async function wipe(kv: Kv): Promise<void> {
  for await (const { key } of kv.list({ prefix: [] })) await kv.atomic().delete(key).commit();
}

/** The same store, whose reads and commits wait for their turn with the scheduler. */
export function inTurn(kv: Kv, scheduler: fc.Scheduler): Kv {
  const turn = (what: string) => scheduler.schedule(Promise.resolve(), what);
  return {
    get: async (...args: Parameters<Kv["get"]>) => {
      await turn("get");
      return await kv.get(...args);
    },
    list: (...args: Parameters<Kv["list"]>) => {
      const rows = kv.list(...args);
      const next = rows.next.bind(rows);
      let begun: Promise<void> | undefined;
      return Object.assign(rows, {
        next: async () => {
          await (begun ??= turn("list"));
          return await next();
        },
      });
    },
    atomic() {
      const op = kv.atomic();
      const commit = op.commit.bind(op);
      op.commit = async () => {
        await turn("commit");
        return await commit();
      };
      return op;
    },
    getMany: kv.getMany.bind(kv),
    watch: kv.watch.bind(kv),
    close: () => {},
  } as Kv;
}
