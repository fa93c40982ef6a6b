/**
 * What Berth relies on of Deno KV, for the real one in memory, in a file, and for the model of it that
 * simulations run on.
 */
import { assert, assertEquals, assertFalse, assertStringIncludes } from "@std/assert";
import { openStore } from "../../kv/open.ts";
import { type Kv, messageOf, storeFailure } from "../../kv/store.ts";
import { openMemoryKv } from "../support/memory_kv.ts";
import { createRandom } from "../sim/random.ts";

type Run = (kv: Kv) => Promise<void>;

async function onStore(location: string, run: Run): Promise<void> {
  const opened = await openStore(location);
  if (!opened.ok) throw new Error(opened.problem);
  try {
    await run(opened.store.kv);
  } finally {
    opened.store.close();
  }
}

async function onFile(run: Run): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "berth-contract-" });
  try {
    await onStore(`${dir}/berth.db`, run);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

async function onModel(run: Run): Promise<void> {
  const kv = openMemoryKv();
  await run(kv);
  kv.close();
}

const STORES: Record<string, (run: Run) => Promise<void>> = {
  "memory": (run) => onStore(":memory:", run),
  "a file": onFile,
  "the model": onModel,
};

function contract(property: string, run: Run): void {
  for (const [store, on] of Object.entries(STORES)) {
    Deno.test(`database (${store}): ${property}`, () => on(run));
  }
}

async function put(kv: Kv, ...keys: Deno.KvKey[]): Promise<string> {
  const op = kv.atomic();
  for (const key of keys) op.set(key, key.join("/"));
  const done = await op.commit();
  assert(done.ok);
  return done.versionstamp;
}

/** The error of what is refused, at once or later. */
async function refused(run: () => unknown, message: string): Promise<unknown> {
  try {
    await run();
  } catch (error) {
    assertStringIncludes(messageOf(error), message);
    return error;
  }
  throw new Error(`was not refused: ${message}`);
}

async function listed(
  kv: Kv,
  selector: Deno.KvListSelector,
  options?: Deno.KvListOptions,
): Promise<string[]> {
  const names: string[] = [];
  for await (const { key } of kv.list(selector, options)) names.push(key.slice(1).join("/"));
  return names;
}

contract("a row that is not there has no value and no versionstamp", async (kv) => {
  assertEquals(await kv.get(["a"]), { key: ["a"], value: null, versionstamp: null });
});

contract(
  "the rows of one commit share a versionstamp, and later commits have greater ones",
  async (kv) => {
    const first = await put(kv, ["a"], ["b"]);
    const second = await put(kv, ["c"]);
    assert(first < second && first.length === second.length);
    const stamps = (await kv.getMany([["a"], ["b"], ["c"]])).map((entry) => entry.versionstamp);
    assertEquals(stamps, [first, first, second]);
  },
);

contract(
  "a commit whose check fails changes nothing, and one whose checks hold all",
  async (kv) => {
    const stamp = await put(kv, ["a"]);
    const stale = kv.atomic().check({ key: ["a"], versionstamp: null }).set(["b"], 1).delete(["a"]);
    assertFalse((await stale.commit()).ok);
    assertEquals((await kv.get(["b"])).versionstamp, null);
    assertEquals((await kv.get(["a"])).versionstamp, stamp);
    const fresh = kv.atomic().check({ key: ["a"], versionstamp: stamp })
      .check({ key: ["b"], versionstamp: null }).set(["b"], 1).delete(["a"]);
    assert((await fresh.commit()).ok);
    assertEquals((await kv.get(["a"])).value, null);
    assertEquals((await kv.get(["b"])).value, 1);
  },
);

contract("a row that was deleted and set again has another versionstamp", async (kv) => {
  const before = await put(kv, ["a"]);
  assert((await kv.atomic().delete(["a"]).commit()).ok);
  assertFalse((await kv.atomic().check({ key: ["a"], versionstamp: before }).commit()).ok);
  assert(await put(kv, ["a"]) > before);
});

contract("of several mutations of a key the last one counts", async (kv) => {
  await kv.atomic().set(["a"], 1).delete(["a"]).set(["a"], 3).commit();
  assertEquals((await kv.get(["a"])).value, 3);
  await kv.atomic().set(["a"], 4).delete(["a"]).commit();
  assertEquals((await kv.get(["a"])).versionstamp, null);
});

contract("values are what they were when they were set, and nobody shares them", async (kv) => {
  const value = { list: [1, { deep: "x" }], absent: undefined, when: new Date(5), none: null };
  const op = kv.atomic().set(["a"], value);
  value.list.push(2);
  await op.commit();
  value.list.push(3);
  const read = (await kv.get<typeof value>(["a"])).value;
  assertEquals(read, { ...value, list: [1, { deep: "x" }] });
  assert(read && "absent" in read);
  read.list.push(4);
  assertEquals((await kv.get<typeof value>(["a"])).value?.list.length, 2);
});

contract("a function is no value", async (kv) => {
  await refused(() => kv.atomic().set(["a"], () => 1).commit(), "could not be cloned");
  assertEquals((await kv.get(["a"])).versionstamp, null);
});

contract("keys are listed strings first, by their UTF-8, then numbers by value", async (kv) => {
  const parts = ["", "\0", "\0a", "A", "a", "a\0b", "aa", "b", "é", "\uffff", "\u{1F600}"];
  const numbers = [-Infinity, -300.5, -1, 0, 0.5, 1, 2, 10, 1e300];
  const keys = [...parts, ...numbers].map((part) => ["k", part]);
  await put(kv, ...keys.toReversed());
  const found: Deno.KvKey[] = [];
  for await (const { key } of kv.list({ prefix: ["k"] })) found.push(key);
  assertEquals(found, keys);
});

contract(
  "a prefix has the keys below it: not itself, and none that merely begins alike",
  async (kv) => {
    await put(kv, ["p"], ["p", "a"], ["p", "a", 1], ["p", "b"], ["pp", "c"], ["p\0x", "d"], ["q"]);
    assertEquals(await listed(kv, { prefix: ["p"] }), ["a", "a/1", "b"]);
    assertEquals(await listed(kv, { prefix: ["p", "a"] }), ["a/1"]);
    assertEquals(await listed(kv, { prefix: ["none"] }), []);
    assertEquals((await listed(kv, { prefix: [] })).length, 7);
  },
);

contract(
  "a list begins at its start, ends before its end, and goes backwards on request",
  async (kv) => {
    await put(kv, ...[1, 2, 3, 4, 5].map((n) => ["p", n]));
    assertEquals(await listed(kv, { prefix: ["p"], start: ["p", 3] }), ["3", "4", "5"]);
    assertEquals(await listed(kv, { prefix: ["p"], end: ["p", 3] }), ["1", "2"]);
    assertEquals(await listed(kv, { start: ["p", 2], end: ["p", 4] }), ["2", "3"]);
    assertEquals(await listed(kv, { prefix: ["p"] }, { reverse: true, limit: 2 }), ["5", "4"]);
    const above = { prefix: ["p"], start: ["p", 2.5] };
    assertEquals(await listed(kv, above, { limit: 2 }), ["3", "4"]);
    assertEquals(await listed(kv, above, { reverse: true }), ["5", "4", "3"]);
  },
);

contract("a list in batches is the same list", async (kv) => {
  const all = Array.from({ length: 23 }, (_, i) => i);
  await put(kv, ...all.map((n) => ["p", n]));
  for (const batchSize of [1, 2, 22, 23, 24, 1000]) {
    assertEquals(await listed(kv, { prefix: ["p"] }, { batchSize }), all.map(String));
    const last = all.slice(-10).reverse().map(String);
    const options = { batchSize, limit: 10, reverse: true };
    assertEquals(await listed(kv, { prefix: ["p"] }, options), last);
  }
});

contract("a list is a snapshot for each batch", async (kv) => {
  await put(kv, ...[1, 2, 3, 4].map((n) => ["p", n]));
  const seen: unknown[] = [];
  for await (const { key } of kv.list({ prefix: ["p"] }, { batchSize: 2 })) {
    seen.push(key[1]);
    if (seen.length === 1) await kv.atomic().delete(["p", 2]).delete(["p", 3]).commit();
  }
  assertEquals(seen, [1, 2, 4]);
});

contract("a start outside of its prefix is refused", async (kv) => {
  for (const start of [["a"], ["p"]]) {
    await refused(() => listed(kv, { prefix: ["p"], start }), "keyspace");
  }
});

contract(
  "limits: what is too large is refused by name, changes nothing, and is told as too large",
  async (kv) => {
    const many = (n: number) => Array.from({ length: n }, (_, i) => i);
    const cases: [string, (op: Deno.AtomicOperation) => void][] = [
      ["Value too large (max 65536 bytes)", (op) => op.set(["a"], "x".repeat(65_531))],
      ["Value too large (max 65536 bytes)", (op) => op.set(["a"], "é".repeat(65_531))],
      ["Value too large (max 65536 bytes)", (op) => op.set(["a"], "ж".repeat(32_766))],
      ["Key too large for write (max 2048 bytes)", (op) => op.set(["x".repeat(2047)], 1)],
      ["Key too large for write (max 2048 bytes)", (op) => op.set(["é".repeat(1024)], 1)],
      ["Too many mutations (max 1000)", (op) => many(1001).forEach((i) => op.set(["a", i], 1))],
      [
        "Total mutation size too large (max 819200 bytes)",
        (op) => many(14).forEach((i) => op.set(["a", i], "x".repeat(60_000))),
      ],
      [
        "Total key size too large (max 81920 bytes)",
        (op) => many(82).forEach((i) => op.set(["a", i, "x".repeat(1000)], 1)),
      ],
      [
        "Too many checks (max 100)",
        (op) => many(101).forEach((i) => op.check({ key: ["a", i], versionstamp: null })),
      ],
    ];
    for (const [message, fill] of cases) {
      const op = kv.atomic().set(["first"], 1);
      fill(op);
      const error = await refused(() => op.commit(), message);
      assertEquals(storeFailure(error)?.kind, "too-large", message);
    }
    assertEquals(await listed(kv, { prefix: [] }), []);
  },
);

contract("limits: what just fits is taken", async (kv) => {
  const many = (n: number) => Array.from({ length: n }, (_, i) => i);
  const large = kv.atomic().set(["a"], "x".repeat(65_530)).set(["b"], "é".repeat(65_530))
    .set(["c"], "ж".repeat(32_764)).set(["x".repeat(2046)], 1);
  assert((await large.commit()).ok);
  const checks = many(100).map((i) => ({ key: ["none", i], versionstamp: null }));
  const wide = kv.atomic().check(...checks);
  for (const i of many(1000)) wide.set(["w", i], 1);
  assert((await wide.commit()).ok);
  const heavy = kv.atomic();
  for (const i of many(13)) heavy.set(["h", i], "x".repeat(62_900));
  assert((await heavy.commit()).ok);
});

contract("limits: reads", async (kv) => {
  const keys = (n: number) => Array.from({ length: n }, (_, i) => ["k", i]);
  assertEquals((await kv.getMany(keys(10))).length, 10);
  await refused(() => kv.getMany(keys(11)), "Too many ranges (max 10)");
  await refused(() => listed(kv, { prefix: [] }, { batchSize: 1001 }), "1000");
  await refused(() => kv.get(["x".repeat(2047)]), "Key too large for read");
  assertEquals((await kv.get(["x".repeat(2046)])).value, null);
  await refused(() => kv.atomic().set([], 1).commit(), "key cannot be empty");
});

contract(
  "a watch tells the state at first and after each change, several at once as one",
  async (kv) => {
    await put(kv, ["a"]);
    const reader = kv.watch<[string, string]>([["a"], ["b"]]).getReader();
    const next = async () => (await reader.read()).value?.map((entry) => entry.value);
    assertEquals(await next(), ["a", null]);
    const waiting = next();
    await put(kv, ["unrelated"]);
    await put(kv, ["b"]);
    assertEquals(await waiting, ["a", "b"]);
    await kv.atomic().set(["a"], 1).commit();
    await kv.atomic().set(["a"], 2).delete(["b"]).commit();
    let seen = await next();
    // Whether the first of the two is told by itself is a matter of time.
    if (seen?.[0] as unknown === 1) seen = await next();
    assertEquals(seen as unknown[], [2, null]);
    await reader.cancel();
  },
);

contract("a watch that is cancelled ends", async (kv) => {
  const reader = kv.watch([["a"]]).getReader();
  await reader.read();
  const waiting = reader.read();
  await reader.cancel();
  assert((await waiting).done);
});

Deno.test("database: the model does what the real one does, whatever is asked", async () => {
  await onStore(":memory:", async (real) => {
    const model = openMemoryKv();
    for (let seed = 1; seed <= 20; seed++) {
      const [a, b] = [await session(real, seed), await session(model, seed)];
      assertEquals(b, a, `seed ${seed}`);
    }
    model.close();
  });
});

/** Random commits, reads and lists; what came of them, with versionstamps by their order. */
async function session(kv: Kv, seed: number): Promise<unknown[]> {
  const random = createRandom(seed, "contract");
  const seen = new Map<string | null, string>([[null, "none"]]);
  const stamps: (string | null)[] = [null];
  const answers: unknown[] = [];
  const part = () => random.pick(["", "a", "b", "a\0", "é", 0, -1, 2.5]);
  const keyOf = () => ["s", seed, ...Array.from({ length: 1 + random.int(2) }, part)];
  const named = (stamp: string | null) => {
    if (!seen.has(stamp)) {
      seen.set(stamp, `v${seen.size}`);
      stamps.push(stamp);
    }
    return seen.get(stamp);
  };
  for (let step = 0; step < 150; step++) {
    const what = random.int(4);
    if (what === 0) {
      const op = kv.atomic();
      for (let i = random.int(3); i > 0; i--) {
        op.check({ key: keyOf(), versionstamp: random.pick(stamps) });
      }
      for (let i = random.int(4); i > 0; i--) {
        if (random.chance(0.7)) op.set(keyOf(), { step, i });
        else op.delete(keyOf());
      }
      const done = await op.commit();
      answers.push(done.ok ? named(done.versionstamp) : "conflict");
    } else if (what === 1) {
      const entries = await kv.getMany([keyOf(), keyOf()]);
      answers.push(entries.map(({ value, versionstamp }) => [value, named(versionstamp)]));
    } else {
      const options = { limit: 1 + random.int(9), batchSize: 1 + random.int(5) };
      const prefix = random.chance(0.5) ? ["s", seed] : ["s", seed, part()];
      const bound = [...prefix, part()];
      const selector = random.pick<Deno.KvListSelector>([
        { prefix },
        { prefix, start: bound },
        { prefix, end: bound },
      ]);
      const reverse = random.chance(0.4);
      for await (const entry of kv.list(selector, { ...options, reverse })) {
        answers.push([entry.key, entry.value, named(entry.versionstamp)]);
      }
    }
  }
  return answers;
}
