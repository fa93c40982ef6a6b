/**
 * What the leader makes of nodes' silence, and of its own.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { createBeatCollector, createLocalBeats, stretchTtl } from "../../kv/beats.ts";
import { idOf } from "../support/ids.ts";
import { seedNode } from "../support/seed.ts";
import { type Bench, READY, withBench } from "./support.ts";

/** A leader beside a node that is down; what it is to hear of it is read the next time it looks. */
async function besideDown(
  { kv, ticker }: Bench,
  onRead: (fresh: ReadonlyMap<string, number>) => void = () => {},
) {
  const node = idOf(3);
  await seedNode(kv, node, "n3", { ...READY, state: "down" });
  const heard: [string, number][] = [];
  const beats = {
    read() {
      const fresh = new Map(heard.splice(0));
      onRead(fresh);
      return Promise.resolve(fresh);
    },
    stale: () => [],
  };
  const leader = ticker({ beats, nodeTtlMs: 6_000 });
  return {
    leader,
    hear: (atMs: number) => void heard.push([node, atMs]),
    state: () => leader.world()?.nodes.get(node)?.status?.state,
  };
}

Deno.test("what a node that fell silent says before its strict tasks are given up keeps them", () =>
  withBench(async ({ ticker, create, tasks, clock, pass }) => {
    const beats = createLocalBeats(clock);
    const leader = ticker({ beats, nodeTtlMs: 6_000 });
    await leader.tick();
    await create("one", 1, { singleton: "strict" });
    await leader.tick();
    const [task] = await tasks();
    const node = task?.nodeId ?? "";
    const other = node === idOf(1) ? idOf(2) : idOf(1);
    beats.beat(node);
    beats.beat(other);
    await leader.tick();
    const everySecond = async (times: number) => {
      for (let second = 0; second < times; second++) {
        pass(1_000);
        beats.beat(other);
        await leader.tick();
      }
    };
    await everySecond(6);
    const state = () => leader.world()?.nodes.get(node)?.status?.state;
    assertEquals(state(), "down");
    pass(300);
    beats.beat(node);
    pass(299);
    await leader.tick();
    pass(1);
    await leader.tick();
    assertEquals((await tasks()).map(({ id, ended }) => [id, ended]), [[task?.id, undefined]]);
    assertEquals(state(), "ready");
  }));

Deno.test("a node that a new leader finds down comes back by a beat of its term, not by an older one", () =>
  withBench(async (bench) => {
    const { leader, hear, state } = await besideDown(bench);
    bench.pass(10_000);
    await leader.tick();
    bench.pass(1_000);
    hear(9_999);
    await leader.tick();
    assertEquals(state(), "down");
    bench.pass(1_000);
    hear(11_500);
    await leader.tick();
    assertEquals(state(), "ready");
  }));

Deno.test("a leader that stood still takes no node back for what it had heard before", () =>
  withBench(async ({ kv, ticker, clock, pass }) => {
    const [gone, well] = [idOf(1), idOf(2)];
    const beats = createBeatCollector({ kv, clock, replicaId: "other" });
    const leader = ticker({ nodeTtlMs: 6_000 });
    const state = () => leader.world()?.nodes.get(gone)?.status?.state;
    const after = async (ms: number, ...heard: string[]) => {
      pass(ms);
      heard.forEach(beats.beat);
      await beats.flush();
      await leader.tick();
    };
    await after(0);
    await after(1_000, gone, well);
    for (let second = 0; second < 6; second++) await after(1_000, well);
    assertEquals(state(), "down");
    await after(3_500, well);
    assertEquals(state(), "down");
    await after(3_500, well, gone);
    assertEquals(state(), "ready");
  }));

Deno.test("what a leader hears late counts by when it stood still: not at all, or as of its end", () =>
  withBench(async (bench) => {
    const { leader, hear, state } = await besideDown(bench);
    const stateAfter = async (ms: number, atMs: number) => {
      bench.pass(ms);
      hear(atMs);
      await leader.tick();
      return state();
    };
    await leader.tick();
    assertEquals(await stateAfter(1_000, -1), "down");
    assertEquals(await stateAfter(4_500, 999), "down");
    assertEquals(await stateAfter(500, 999), "down", "of before, read once more");
    assertEquals(await stateAfter(1_000, 1_001), "ready");
    for (let ms = 7_500; ms <= 11_000; ms += 500) {
      assertEquals(await stateAfter(500, 1_001), "ready", `at ${ms}`);
    }
    assertEquals(await stateAfter(500, 1_001), "down");
  }));

Deno.test("a leader that stands still while it hears of a node's return does not take that for its silence", () =>
  withBench(async (bench) => {
    const { pass, clock } = bench;
    const { leader, hear, state } = await besideDown(bench, (fresh) => {
      if (fresh.size > 0) pass(4_500);
    });
    await leader.tick();
    pass(1_000);
    hear(clock.monoMs());
    await leader.tick();
    assertEquals(state(), "down", "it is not judged by beats that old");
    await leader.tick();
    assertEquals(state(), "ready");
    pass(2_500);
    await leader.tick();
    assertEquals(state(), "ready");
  }));

Deno.test("a leader says how long a silence it allows from its first look on, stretched for many nodes", () =>
  withBench(async ({ kv, ticker }) => {
    const leader = ticker({ nodeTtlMs: 1000 });
    assertEquals(leader.nodeTtlMs(), undefined);
    await leader.tick();
    assertEquals(leader.nodeTtlMs(), 1000);
    for (let n = 10; n < 1010; n++) await seedNode(kv, idOf(n), `n${n}`, READY);
    const next = ticker({ nodeTtlMs: 1000 });
    await next.tick();
    assertEquals(next.nodeTtlMs(), stretchTtl(1000, 1002));
    assert(stretchTtl(1000, 1002) > 1000);
  }));
