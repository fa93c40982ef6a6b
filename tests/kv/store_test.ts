import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { key } from "../../kv/keys.ts";
import { initCluster } from "../../kv/cluster.ts";
import { SCHEMA_VERSION } from "../../kv/schema/control.ts";
import { openStore, type Store } from "../../kv/open.ts";
import { storeFailure } from "../../kv/store.ts";
import { countingIds } from "../support/ids.ts";

async function withDir(run: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "berth-store-" });
  try {
    await run(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

async function open(location: string): Promise<Store> {
  const opened = await openStore(location);
  assert(opened.ok, opened.ok ? "" : opened.problem);
  return opened.store;
}

async function refusal(location: string): Promise<string> {
  const opened = await openStore(location);
  if (opened.ok) opened.store.close();
  assert(!opened.ok, "the store opened");
  return opened.problem;
}

Deno.test("a second opener of one file is refused, and may open it once the first has closed it", () =>
  withDir(async (dir) => {
    const path = `${dir}/new/berth.db`;
    const first = await open(path);
    assert(first.exclusive);
    assertStringIncludes(await refusal(path), "another berth server has it open");
    first.close();
    (await open(path)).close();
  }));

Deno.test("a file that is no database is refused by name and left as it was", () =>
  withDir(async (dir) => {
    const path = `${dir}/berth.db`;
    const text = "these are somebody's notes, not a database. ".repeat(50);
    await Deno.writeTextFile(path, text);
    const problem = await refusal(path);
    assertStringIncludes(problem, path);
    assertStringIncludes(problem, "not a Berth database");
    assertEquals(await Deno.readTextFile(path), text);
  }));

Deno.test("a truncated database is refused and left as it was", () =>
  withDir(async (dir) => {
    const path = `${dir}/berth.db`;
    const store = await open(path);
    for (let i = 0; i < 100; i++) {
      await store.kv.atomic().set(["x", i], "y".repeat(1000)).commit();
    }
    store.close();
    const { size } = await Deno.stat(path);
    await Deno.truncate(path, size / 2);
    assertStringIncludes(await refusal(path), "truncated");
    assertEquals((await Deno.stat(path)).size, size / 2);
  }));

Deno.test("a database damaged inside is refused when it is opened or answers as unavailable", () =>
  withDir(async (dir) => {
    const path = `${dir}/berth.db`;
    const store = await open(path);
    for (let i = 0; i < 100; i++) {
      await store.kv.atomic().set(["x", i], "y".repeat(1000)).commit();
    }
    store.close();
    using file = await Deno.open(path, { write: true });
    await file.seek(100, Deno.SeekMode.Start);
    await file.write(new Uint8Array(4000).fill(7));
    assertStringIncludes(await refusal(path), "damaged");
  }));

Deno.test("a database of a newer schema is refused and unchanged", () =>
  withDir(async (dir) => {
    const path = `${dir}/berth.db`;
    const store = await open(path);
    const row = { schema: SCHEMA_VERSION + 1, somethingNew: true };
    await store.kv.atomic().set(key.cluster(), row).commit();
    const init = await initCluster(store.kv, { newId: countingIds(), wallMs: 0 });
    assert(!init.ok);
    assertStringIncludes(init.problem, "newer Berth");
    assertEquals((await store.kv.get(key.cluster())).value, row);
    store.close();
  }));

Deno.test("two replicas that start at once agree on one cluster", async () => {
  const store = await open(":memory:");
  const newId = countingIds();
  const both = await Promise.all([
    initCluster(store.kv, { newId, wallMs: 0 }),
    initCluster(store.kv, { newId, wallMs: 0 }),
  ]);
  store.close();
  assert(both[0].ok && both[1].ok);
  assertEquals(both[0].cluster, both[1].cluster);
});

const FAILURES: [string, Error, string | undefined][] = [
  ["a full disk", new TypeError("database or disk is full"), "full"],
  ["a full file system", new Error("No space left on device (os error 28)"), "full"],
  ["an oversized value", new TypeError("Value too large (max 65536 bytes)"), "too-large"],
  ["a damaged file", new Error("database disk image is malformed"), "unavailable"],
  ["a bug", new TypeError("x is not a function"), undefined],
];
for (const [name, error, kind] of FAILURES) {
  Deno.test(`what KV throws is classified: ${name} is ${kind ?? "not the database's"}`, () => {
    assertEquals(storeFailure(error)?.kind, kind as "full" | undefined);
  });
}
