import { assert, assertEquals, assertMatch } from "@std/assert";
import { key } from "../../kv/keys.ts";
import type { Kv } from "../../kv/store.ts";
import {
  createToken,
  createTokenReader,
  ensureAdminToken,
  sha256Hex,
  TOKEN_CACHE_MS,
} from "../../kv/tokens.ts";
import { createFakeClock } from "../support/fake_clock.ts";
import { countingIds } from "../support/ids.ts";
import { dump, withKv } from "../support/kv.ts";

function depsOf(kv: Kv) {
  let count = 0;
  return {
    kv,
    clock: createFakeClock(),
    newId: countingIds(),
    randomToken: () => `random-${++count}`,
  };
}

Deno.test("of many first starts exactly one makes the admin token, and later ones make none", () =>
  withKv(async (kv) => {
    const deps = depsOf(kv);
    const all = await Promise.all(Array.from({ length: 6 }, () => ensureAdminToken(deps)));
    const made = all.filter((token) => token !== undefined);
    assertEquals(made.length, 1);
    assertMatch(made[0] ?? "", /^berth_admin_random-\d$/);
    assertEquals(await ensureAdminToken(deps), undefined);
    assertEquals((await createTokenReader(deps).find(made[0] ?? ""))?.kind, "admin");
  }));

Deno.test("a token is nowhere in the database", () =>
  withKv(async (kv) => {
    const deps = depsOf(kv);
    const token = await createToken(deps, "join");
    const text = JSON.stringify([...await dump(kv)]);
    assert(!text.includes(token) && !text.includes("random-1"), text);
    assert(text.includes(await sha256Hex(token)));
  }));

Deno.test("a token costs one read, and is believed for a bounded time after it was withdrawn", () =>
  withKv(async (raw) => {
    let reads = 0;
    const kv: Kv = {
      get: (...args: Parameters<Kv["get"]>) => (reads++, raw.get(...args)),
      getMany: raw.getMany.bind(raw),
      list: raw.list.bind(raw),
      atomic: raw.atomic.bind(raw),
      watch: raw.watch.bind(raw),
      close: raw.close.bind(raw),
    } as Kv;
    const deps = depsOf(raw);
    const token = await createToken(deps, "admin");
    const reader = createTokenReader({ kv, clock: deps.clock });
    for (let n = 0; n < 5; n++) assertEquals((await reader.find(token))?.kind, "admin");
    assertEquals(reads, 1);
    await raw.atomic().delete(key.token(await sha256Hex(token))).commit();
    await deps.clock.advance(TOKEN_CACHE_MS - 1);
    assertEquals((await reader.find(token))?.kind, "admin");
    await deps.clock.advance(1);
    assertEquals(await reader.find(token), undefined);
  }));

Deno.test("a token that does not exist is asked for anew each time", () =>
  withKv(async (kv) => {
    const deps = depsOf(kv);
    const reader = createTokenReader(deps);
    assertEquals(await reader.find("berth_admin_random-1"), undefined);
    assertEquals(await reader.find("not a token"), undefined);
    await createToken(deps, "admin");
    assertEquals((await reader.find("berth_admin_random-1"))?.kind, "admin");
  }));
