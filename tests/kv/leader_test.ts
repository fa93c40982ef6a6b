import { assert, assertEquals, assertFalse } from "@std/assert";
import { createElector, type Elector } from "../../kv/leader.ts";
import type { Kv } from "../../kv/store.ts";
import { idOf } from "../support/ids.ts";
import { withKv } from "../support/kv.ts";

const TTL_MS = 3000;

/** A replica with a monotonic clock of its own, offset from the others'. */
function replica(kv: Kv, n: number, exclusive = false) {
  const time = { ms: n * 1_000_000 };
  const clock = {
    wallMs: () => 0,
    monoMs: () => time.ms,
    sleep: () => Promise.resolve(),
  };
  const elector = createElector({
    kv,
    clock,
    replicaId: idOf(n),
    exclusive,
    ttlMs: TTL_MS,
    nodeTtlMs: () => 6000,
  });
  return { elector, pass: (ms: number) => time.ms += ms };
}

async function leads(elector: Elector): Promise<boolean> {
  return (await elector.campaign()).leads;
}

Deno.test("the first replica leads at once, with epoch 1", () =>
  withKv(async (kv) => {
    const { elector } = replica(kv, 1);
    const campaign = await elector.campaign();
    assert(campaign.leads);
    assertEquals([campaign.lease.epoch, campaign.elected], [1, true]);
  }));

Deno.test("a follower takes over after a TTL without a beat by its own clock, not before", () =>
  withKv(async (kv) => {
    const a = replica(kv, 1), b = replica(kv, 2);
    assert(await leads(a.elector));
    assertFalse(await leads(b.elector));
    b.pass(TTL_MS - 1);
    assertFalse(await leads(b.elector));
    b.pass(1);
    const taken = await b.elector.campaign();
    assert(taken.leads);
    assertEquals(taken.lease.epoch, 2);
  }));

Deno.test("a leader that beats is never deposed", () =>
  withKv(async (kv) => {
    const a = replica(kv, 1), b = replica(kv, 2);
    assert(await leads(a.elector));
    for (let round = 0; round < 20; round++) {
      assertFalse(await leads(b.elector));
      a.pass(TTL_MS / 2);
      b.pass(TTL_MS / 2);
      assert(await leads(a.elector));
    }
  }));

Deno.test("a deposed leader cannot write and learns of it at its next beat", () =>
  withKv(async (kv) => {
    const a = replica(kv, 1), b = replica(kv, 2);
    const first = await a.elector.campaign();
    assert(first.leads);
    await leads(b.elector);
    b.pass(TTL_MS);
    assert(await leads(b.elector));
    const write = await kv.atomic().check(first.lease.guard).set(["x"], 1).commit();
    assertFalse(write.ok);
    a.pass(TTL_MS);
    assertFalse(await leads(a.elector));
    assertEquals(a.elector.current(), undefined);
  }));

Deno.test("of several followers one takes over", () =>
  withKv(async (kv) => {
    const a = replica(kv, 1);
    assert(await leads(a.elector));
    const followers = [2, 3, 4, 5].map((n) => replica(kv, n));
    for (const f of followers) await leads(f.elector);
    for (const f of followers) f.pass(TTL_MS);
    const results = await Promise.all(followers.map((f) => leads(f.elector)));
    assertEquals(results.filter((won) => won).length, 1);
  }));

Deno.test("a database of one's own is taken over at once: its last leader is dead", () =>
  withKv(async (kv) => {
    assert(await leads(replica(kv, 1).elector));
    const campaign = await replica(kv, 2, true).elector.campaign();
    assert(campaign.leads);
    assertEquals(campaign.lease.epoch, 2);
  }));

Deno.test("a leader that resigns is followed at once, and its old lease stays void", () =>
  withKv(async (kv) => {
    const a = replica(kv, 1), b = replica(kv, 2);
    const first = await a.elector.campaign();
    assert(first.leads);
    await a.elector.resign();
    assert(await leads(b.elector));
    assertFalse((await kv.atomic().check(first.lease.guard).set(["x"], 1).commit()).ok);
  }));
