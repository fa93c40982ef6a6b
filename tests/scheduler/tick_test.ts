import { assert, assertEquals } from "@std/assert";
import { prefix } from "../../kv/keys.ts";
import { lastLog, logHead, readLog } from "../../kv/log.ts";
import { countQueue, enqueue } from "../../kv/queue.ts";
import { putService } from "../../kv/services.ts";
import type { Kv } from "../../kv/store.ts";
import { idOf } from "../support/ids.ts";
import { bound } from "../support/kv.ts";
import { seedNode, seedObserved, seen, specOf } from "../support/seed.ts";
import { READY, withBench } from "./support.ts";

/** The database, failing or lying at one commit. */
function faulty(
  kv: Kv,
  onCommit: (
    commit: () => Promise<Deno.KvCommitResult | Deno.KvCommitError>,
  ) => Promise<Deno.KvCommitResult | Deno.KvCommitError>,
): Kv {
  return {
    ...bound(kv),
    atomic() {
      const op = kv.atomic();
      const commit = op.commit.bind(op);
      op.commit = () => onCommit(commit);
      return op;
    },
  };
}

Deno.test("the leader takes a breath before each commit, and its world is then what is committed", () =>
  withBench(async ({ kv, ticker, create, tasks }) => {
    const seen: [known: number, stored: number][] = [];
    const leader = ticker({
      async breathe() {
        const known = leader.world()?.tasks.size;
        if (known !== undefined) seen.push([known, (await tasks()).length]);
      },
    });
    await leader.tick();
    seen.length = 0;
    await create("web", 450);
    await leader.tick();
    assertEquals(seen, [[0, 0], [200, 200], [400, 400]]);
    assertEquals(leader.world()?.tasks.size, 450);
    assertEquals(await countQueue(kv), 0);
  }));

Deno.test("one tick places what was asked for and consumes its wake-up in the same commits", () =>
  withBench(async ({ kv, ticker, create, tasks }) => {
    await create("web", 3);
    await ticker().tick();
    const placed = await tasks();
    assertEquals(placed.map((t) => t.slot), [1, 2, 3]);
    assert(placed.every((t) => t.nodeId !== undefined && t.desired === "run"));
    assertEquals(await countQueue(kv), 0);
  }));

Deno.test("a big service is placed over many commits, each with its record, without a gap", () =>
  withBench(async ({ kv, ticker, create, tasks }) => {
    await create("web", 1500);
    await ticker().tick();
    assertEquals((await tasks()).length, 1500);
    const seqs = (await readLog(kv, { afterSeq: 0, limit: 500 })).map((entry) => entry.seq);
    assertEquals(seqs, seqs.map((_, i) => i + 1));
    assert(seqs.length >= 8);
  }));

Deno.test("names as long as they may be stop no leader: a commit then has several records, without a gap", () =>
  withBench(async ({ kv, ticker, create, tasks }) => {
    for (const n of [1, 2]) await seedNode(kv, idOf(n), `n${n}`.padEnd(63, "x"), READY);
    const leader = ticker();
    await leader.tick();
    const before = (await lastLog(kv, 1))[0]?.seq ?? 0;
    await create("s".repeat(63), 200, { project: "p".repeat(63) });
    await leader.tick();
    assertEquals(leader.logged.filter((line) => line !== "leader"), []);
    assertEquals((await tasks()).length, 200);
    const records = await readLog(kv, { afterSeq: before, limit: 10 });
    assertEquals(records.map(({ seq }) => seq - before), records.map((_, i) => i + 1));
    assert(records.length > 1);
    const assigned = records.flatMap(({ record }) => record.events)
      .filter(({ type }) => type === "task.assigned");
    assertEquals(new Set(assigned.map(({ slot }) => slot)).size, 200);
    // The next commit goes on behind them.
    await create("web", 1);
    await leader.tick();
    assertEquals(leader.logged.filter((line) => line !== "leader"), []);
  }));

Deno.test("a wake-up that was lost is made up for by the next leader's resync", () =>
  withBench(async ({ kv, ticker, create, tasks }) => {
    const first = ticker();
    await first.tick();
    await create("web", 2);
    for await (const entry of kv.list({ prefix: prefix.queue() })) {
      await kv.atomic().delete(entry.key).commit();
    }
    await first.tick();
    assertEquals((await tasks()).length, 0);
    await ticker().tick();
    assertEquals((await tasks()).length, 2);
  }));

Deno.test("what was reported while nobody led is in the log once, though the new leader's world has it", () =>
  withBench(async ({ kv, newId, ticker, create, tasks }) => {
    const serviceId = await create("web", 2);
    await ticker().tick();
    const [one, other] = await tasks();
    assert(one && other);
    const told = async () => {
      const records = await readLog(kv, { afterSeq: 0, limit: 100 });
      return records.flatMap(({ record }) => record.events)
        .filter(({ type }) => type === "task.state")
        .map(({ taskId, state, attempt }) => `${taskId} ${state} ${attempt}`);
    };
    await seedObserved(kv, seen(one.id, { state: "stopped" }));
    await enqueue(kv.atomic(), { kind: "task", id: one.id }, newId).commit();
    await seedObserved(kv, seen(other.id));
    await ticker().tick();
    assertEquals(await told(), [`${one.id} stopped 1`], "nobody asked to look at the other");
    const leader = ticker();
    await leader.tick();
    await enqueue(kv.atomic(), { kind: "task", id: other.id }, newId).commit();
    await enqueue(kv.atomic(), { kind: "service", id: serviceId }, newId).commit();
    await leader.tick();
    assertEquals(await told(), [`${one.id} stopped 1`], "what the world knows is not told again");
  }));

Deno.test("no wake-up is done with before what it led to is in the log", () =>
  withBench(async ({ kv, newId, clock, ticker, create, tasks }) => {
    for (let n = 3; n <= 130; n++) await seedNode(kv, idOf(n), `n${n}`, READY);
    await create("web", 130);
    const early: number[] = [];
    const reported = new Set<string>();
    const breathe = async () => {
      if (reported.size === 0 || await countQueue(kv) > 0) return;
      const records = await readLog(kv, { afterSeq: 0, limit: 100 });
      const told = records.flatMap(({ record }) => record.events)
        .some(({ type, taskId }) => type === "task.state" && taskId && reported.has(taskId));
      if (!told) early.push(records.length);
    };
    const leader = ticker({ breathe });
    await leader.tick();
    // So much is said of nodes that one commit does not hold it.
    const spec = specOf({
      ...{ name: "web", mode: { type: "replicated", replicas: 130 } },
      disconnect: { stopAfterMs: 60_000 },
    });
    assert((await putService({ kv, clock, newId }, { ref: "web", project: "default" }, spec)).ok);
    const [task] = await tasks();
    assert(task);
    await seedObserved(kv, seen(task.id));
    await enqueue(kv.atomic(), { kind: "task", id: task.id }, newId).commit();
    reported.add(task.id);
    await leader.tick();
    assertEquals([early, await countQueue(kv)], [[], 0]);
  }));

Deno.test("a wake-up that comes twice, or for nothing, changes nothing", () =>
  withBench(async ({ kv, newId, ticker, create, tasks }) => {
    const leader = ticker();
    const serviceId = await create("web", 2);
    await leader.tick();
    const before = await tasks();
    for (const id of [serviceId, serviceId, idOf(77)]) {
      for (const kind of ["service", "task", "node"] as const) {
        await enqueue(kv.atomic(), { kind, id }, newId).commit();
      }
    }
    await leader.tick();
    assertEquals(await tasks(), before);
    assertEquals(await countQueue(kv), 0);
  }));

Deno.test("a deposed leader writes nothing and steps down", () =>
  withBench(async ({ ticker, create, tasks }) => {
    const old = ticker();
    await old.tick();
    const next = ticker();
    await next.tick();
    await create("web", 2);
    await old.tick();
    assertEquals((await tasks()).length, 0);
    assertEquals(old.world(), undefined);
    await next.tick();
    assertEquals((await tasks()).length, 2);
  }));

Deno.test("a leader that another one deposed while it loaded does not pass for knowing what that one did", () =>
  withBench(async ({ kv, ticker, create }) => {
    const other = ticker();
    const claimed: (number | undefined)[] = [];
    const late = ticker({
      async breathe() {
        await Promise.resolve(claimed.push(late.assigned()?.seq));
      },
      kv: meanwhile(kv, "observed", async () => {
        await create("web", 2);
        await other.tick();
      }),
    });
    await late.tick();
    assertEquals(claimed, [0]);
    assert(await logHead(kv) > 0);
    assertEquals(late.world(), undefined);
  }));

/** The database, in which something happens, once, before rows of that kind are listed. */
function meanwhile(kv: Kv, kind: string, act: () => Promise<void>): Kv {
  let happened = false;
  return {
    ...bound(kv),
    list<T>(selector: Deno.KvListSelector, options?: Deno.KvListOptions): Deno.KvListIterator<T> {
      const entries = kv.list<T>(selector, options);
      if (!("prefix" in selector) || selector.prefix[0] !== kind) return entries;
      const next = entries.next.bind(entries);
      entries.next = async () => {
        if (!happened) {
          happened = true;
          await act();
        }
        return await next();
      };
      return entries;
    },
  };
}

Deno.test("a commit whose result is unknown is neither lost nor repeated", () =>
  withBench(async ({ kv, ticker, create, tasks, pass }) => {
    await create("web", 450);
    let commits = 0;
    const lying = faulty(kv, async (commit) => {
      const done = await commit();
      // The lease is the first; of the placements' commits the second is done and not told.
      if (++commits === 3) throw new Error("KV Connect: connection lost");
      return done;
    });
    const leader = ticker({ kv: lying });
    await leader.tick();
    assert(leader.logged.includes("tick failed"));
    pass(2000);
    await leader.tick();
    const slots = (await tasks()).map((t) => t.slot).sort((a, b) => a - b);
    assertEquals(slots, Array.from({ length: 450 }, (_, i) => i + 1));
    assertEquals(await countQueue(kv), 0);
  }));

Deno.test("a full disk stops nothing for good: the work is done once there is room", () =>
  withBench(async ({ kv, ticker, create, tasks, pass }) => {
    let full = false;
    const leader = ticker({
      kv: faulty(kv, (commit) => {
        if (full) throw new TypeError("database or disk is full");
        return commit();
      }),
    });
    await leader.tick();
    await create("web", 2);
    full = true;
    await leader.tick();
    assertEquals((await tasks()).length, 0);
    assertEquals(await countQueue(kv), 1);
    full = false;
    pass(2000);
    await leader.tick();
    assertEquals((await tasks()).length, 2);
  }));
