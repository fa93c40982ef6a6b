import { assert, assertEquals, assertThrows } from "@std/assert";
import { cacheRows } from "../../kv/cached.ts";
import type { Kv } from "../../kv/store.ts";
import { withKv } from "../support/kv.ts";

/** A database whose reads can be held back, and are counted. */
function slow(kv: Kv) {
  const held: (() => void)[] = [];
  let holding = false;
  const wait = async <T>(read: Promise<T>): Promise<T> => {
    const value = await read;
    if (holding) await new Promise<void>((resolve) => held.push(resolve));
    return value;
  };
  const state = { reads: 0 };
  return {
    state,
    hold: () => holding = true,
    release() {
      holding = false;
      for (const go of held.splice(0)) go();
    },
    kv: {
      ...{ list: kv.list.bind(kv), atomic: kv.atomic.bind(kv), watch: kv.watch.bind(kv) },
      close: () => {},
      get: ((key: Deno.KvKey) => (state.reads++, wait(kv.get(key)))) as Kv["get"],
      getMany: ((keys: Deno.KvKey[]) => (state.reads++, wait(kv.getMany(keys)))) as Kv["getMany"],
    } satisfies Kv,
  };
}

Deno.test("a row that was read, or found absent, is read once until a commit changes it", () =>
  withKv(async (kv) => {
    const database = slow(kv);
    const { cached, direct } = cacheRows(database.kv);
    for (let i = 0; i < 3; i++) assertEquals((await cached.get(["task", "a"])).value, null);
    assertEquals(database.state.reads, 1);
    await direct.atomic().set(["task", "a"], { n: 1 }).commit();
    for (let i = 0; i < 3; i++) assertEquals((await cached.get(["task", "a"])).value, { n: 1 });
    assertEquals(database.state.reads, 2);
    await cached.atomic().delete(["task", "a"]).commit();
    assertEquals((await cached.get(["task", "a"])).versionstamp, null);
    assertEquals(database.state.reads, 3);
  }));

Deno.test("what was read before a commit, and answered after it, is not kept", () =>
  withKv(async (kv) => {
    await kv.atomic().set(["task", "a"], 1).set(["task", "b"], 1).commit();
    const database = slow(kv);
    const { cached } = cacheRows(database.kv);
    database.hold();
    const early = cached.get(["task", "a"]);
    const pair = cached.getMany([["task", "a"], ["task", "b"]]);
    await cached.atomic().set(["task", "a"], 2).commit();
    database.release();
    await early;
    await pair;
    assertEquals((await cached.get(["task", "a"])).value, 2);
  }));

Deno.test("while a commit goes on its rows are read from the database, and not kept", () =>
  withKv(async (kv) => {
    await kv.atomic().set(["task", "a"], 1).commit();
    const started = Promise.withResolvers<void>(), finish = Promise.withResolvers<void>();
    const { cached } = cacheRows({
      ...slow(kv).kv,
      atomic() {
        const op = kv.atomic();
        const commit = op.commit.bind(op);
        return Object.assign(op, {
          async commit() {
            // The database has it; whoever asked is not told yet.
            const done = await commit();
            started.resolve();
            await finish.promise;
            return done;
          },
        });
      },
    });
    await cached.get(["task", "a"]);
    const committing = cached.atomic().set(["task", "a"], 2).commit();
    await started.promise;
    assertEquals((await cached.get(["task", "a"])).value, 2);
    await kv.atomic().set(["task", "a"], 3).commit();
    assertEquals((await cached.get(["task", "a"])).value, 3);
    finish.resolve();
    await committing;
    assertEquals((await cached.get(["task", "a"])).value, 3);
  }));

Deno.test("several rows are of one moment, and never older than what was seen before", () =>
  withKv(async (kv) => {
    const { cached, direct } = cacheRows(kv);
    const [a, b, log] = [["task", "a"], ["task", "b"], ["log", 1]];
    assert(a && b && log);
    let writing = true;
    const writer = (async () => {
      for (let n = 1; n <= 300; n++) {
        await direct.atomic().set(a, { n }).set(b, { n }).set(log, { n }).commit();
      }
      writing = false;
    })();
    const readers = Array.from({ length: 4 }, async (_, r) => {
      let seen = 0;
      while (writing) {
        // A kind that is not kept: the database's own word.
        const told = (await cached.get<{ n: number }>(log)).value?.n ?? 0;
        const keys: Deno.KvKey[] = r % 2 === 0 ? [a, b] : [b, a];
        const [one, two] = await cached.getMany<{ n: number }[]>(keys);
        const n = one?.value?.n ?? 0;
        assertEquals(two?.value?.n ?? 0, n);
        assert(n >= seen && n >= told, `read ${n} after ${seen}, told of ${told}`);
        seen = n;
        if (r > 1) assert(((await cached.get<{ n: number }>(a)).value?.n ?? 0) >= n);
      }
    });
    await Promise.all([writer, ...readers]);
    assertEquals((await cached.get(a)).value, { n: 300 });
  }));

Deno.test("a commit that fails leaves nothing old behind, and kept rows cannot be changed in place", () =>
  withKv(async (kv) => {
    const { cached } = cacheRows(kv);
    await kv.atomic().set(["task", "a"], { n: 1, deep: { list: [1] } }).commit();
    const { value } = await cached.get<{ n: number; deep: { list: number[] } }>(["task", "a"]);
    assert(value);
    assertThrows(() => value.n = 2);
    assertThrows(() => value.deep.list.push(2));
    const stale = { key: ["task", "a"], versionstamp: "00000000000000000000" };
    await kv.atomic().set(["task", "a"], { n: 5 }).commit();
    const failed = await cached.atomic().check(stale).set(["task", "a"], { n: 9 }).commit();
    assert(!failed.ok);
    assertEquals((await cached.get(["task", "a"])).value, { n: 5 });
  }));
