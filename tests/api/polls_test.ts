import { assert, assertEquals } from "@std/assert";
import { createPolls } from "../../api/polls.ts";
import { createTunnels } from "../../api/tunnel.ts";
import { createImmutable } from "../../kv/immutable.ts";
import { key } from "../../kv/keys.ts";
import type { Assigned } from "../../kv/schema/assigned.ts";
import type { PollResponse } from "../../kv/schema/agent.ts";
import { systemClock } from "../../kv/schema/time.ts";
import { Service } from "../../kv/schema/service.ts";
import { getRow, type Kv } from "../../kv/store.ts";
import { requestTunnel } from "../../kv/tunnels.ts";
import { okValue, type TestApi, withApi } from "../support/api.ts";
import { eventually } from "../support/eventually.ts";
import { createFakeClock } from "../support/fake_clock.ts";
import { idOf } from "../support/ids.ts";
import { commitLogged, seedNode, seedService, seedTask, specOf } from "../support/seed.ts";

const NODE = idOf(1);
const SERVICE = idOf(2);

async function prepare(t: TestApi) {
  const credential = await seedNode(t.kv, NODE, "n1");
  await seedService(t.kv, SERVICE, specOf());
  const client = t.client(credential);
  return async (query: { since?: number; holdMs?: number }) =>
    okValue(await client.poll(NODE, query));
}

const taskOn = (n: number, nodeId: string) => ({ id: idOf(n), serviceId: SERVICE, nodeId });

async function heldPolls(t: TestApi): Promise<number> {
  const text = await (await t.send("GET", "/metrics")).text();
  return Number(/^berth_polls_held (\d+)$/m.exec(text)?.[1]);
}

Deno.test("the first poll answers everything at once, with a hold of a third of the TTL", () =>
  withApi(async (t) => {
    const poll = await prepare(t);
    await seedTask(t.kv, taskOn(11, NODE));
    const answer = await poll({});
    assertEquals(answer.assignments?.map((a) => a.taskId), [idOf(11)]);
    assertEquals([answer.holdMs, answer.ttlMs], [2000, 6000]);
  }));

Deno.test("a held poll is answered as soon as the node's assignments change, and by nothing else", () =>
  withApi(async (t) => {
    const poll = await prepare(t);
    const { version } = await poll({});
    let answer: PollResponse | undefined;
    const held = poll({ since: version, holdMs: 2000 }).then((value) => answer = value);
    await eventually(async () => await heldPolls(t) === 1);
    await seedTask(t.kv, taskOn(11, idOf(9)));
    await commitLogged(t.kv, t.kv.atomic(), [{ type: "node.ready", nodeId: NODE }]);
    await commitLogged(t.kv, t.kv.atomic(), [
      { type: "task.state", nodeId: NODE, taskId: idOf(12), state: "running" },
    ]);
    await eventually(() => t.feed.head() === 3);
    assertEquals(await heldPolls(t), 1);
    assertEquals(answer, undefined);
    await seedTask(t.kv, taskOn(13, NODE));
    await held;
    assertEquals(answer?.assignments?.map((a) => a.taskId), [idOf(13)]);
    assert((answer?.version ?? 0) >= 4);
    assertEquals(await heldPolls(t), 0);
  }));

Deno.test("a poll that is held to its end says that nothing changed", async () => {
  const clock = createFakeClock();
  await withApi(async (t) => {
    const poll = await prepare(t);
    const { version } = await poll({});
    const sleeping = clock.sleepers;
    const held = poll({ since: version, holdMs: 60_000 });
    await eventually(() => clock.sleepers > sleeping);
    await clock.advance(1999);
    assertEquals(await heldPolls(t), 1);
    await clock.advance(1);
    const answer = await held;
    assertEquals([answer.version, answer.assignments, answer.tunnels], [version, undefined, []]);
    // Once at its arrival: a frozen agent's connection stays open, so its end says nothing.
    assertEquals(t.beats, [NODE, NODE]);
  }, { clock });
});

Deno.test("a change that is committed while a poll reads or goes to wait is not lost", async () => {
  const delays = [0, 1, 2, 3, 5, 8];
  for (const reads of delays) {
    let before: (() => Promise<void>) | undefined;
    let count = 0;
    const wrapKv = (kv: Kv): Kv =>
      Object.assign(Object.create(kv), {
        get: kv.get.bind(kv),
        watch: kv.watch.bind(kv),
        atomic: kv.atomic.bind(kv),
        list: kv.list.bind(kv),
        async getMany(...args: Parameters<Kv["getMany"]>) {
          const rows = await kv.getMany(...args);
          if (count++ === reads) {
            const run = before;
            before = undefined;
            await run?.();
          }
          return rows;
        },
      });
    await withApi(async (t) => {
      const poll = await prepare(t);
      await seedTask(t.kv, taskOn(11, NODE));
      before = () => seedTask(t.kv, { ...taskOn(12, NODE), slot: 2 }).then(() => {});
      const first = await poll({});
      if (before) await before();
      before = undefined;
      let known = first;
      await eventually(async () => {
        if (known.assignments?.length === 2) return true;
        const next = await poll({ since: known.version, holdMs: 2000 });
        if (next.assignments) known = next;
        return known.assignments?.length === 2;
      }, { timeoutMs: 4000, what: `the second task, committed at read ${reads}` });
    }, { wrapKv });
  }
});

Deno.test("a version from before this process began is answered in full", () =>
  withApi(async (t) => {
    const poll = await prepare(t);
    await seedTask(t.kv, taskOn(11, NODE));
    await eventually(() => t.feed.head() === 1);
    assertEquals((await poll({})).version, 1);
    const { kv, clock, feed } = { kv: t.kv, clock: systemClock, feed: t.feed };
    // A second process, which begins to follow the log only now.
    const tunnels = createTunnels({ kv, clock, newId: t.newId, log: { error: () => {} } });
    const deps = {
      kv,
      clock,
      feed,
      beats: { beat: () => {}, recordedMs: () => Infinity },
      nodeTtlMs: 6000,
    };
    const polls = createPolls(deps, { immutable: createImmutable(kv), tunnels });
    const { signal } = new AbortController();
    const old = await polls.poll(NODE, { since: 0, holdMs: 2000, signal });
    assertEquals(old.assignments?.length, 1);
    const current = await polls.poll(NODE, { since: feed.head(), holdMs: 0, signal });
    assertEquals(current.assignments, undefined);
    polls.close();
    await tunnels.close();
  }));

Deno.test("a replica whose log is behind the agent's answers with a version that is not older", () =>
  withApi(async (t) => {
    const poll = await prepare(t);
    await t.kv.atomic().set(key.logHead(), 50).commit();
    const answer = await poll({ since: 50, holdMs: 0 });
    assertEquals(answer.version, 50);
  }));

Deno.test("an agent that goes away frees its poll at once, and does not count as heard from", () =>
  withApi(async (t) => {
    const poll = await prepare(t);
    const { version } = await poll({});
    const gone = new AbortController();
    const answer = t.send("GET", `/v1/nodes/${NODE}/assignments?since=${version}&holdMs=2000`, {
      token: "berth_node_n1",
      signal: gone.signal,
    });
    await eventually(async () => await heldPolls(t) === 1);
    gone.abort();
    await (await answer).body?.cancel();
    assertEquals(await heldPolls(t), 0);
    assertEquals(t.beats, [NODE, NODE]);
  }));

Deno.test("closing the API answers every poll that is held", () =>
  withApi(async (t) => {
    const poll = await prepare(t);
    const { version } = await poll({});
    const held = [1, 2, 3].map(() => poll({ since: version, holdMs: 2000 }));
    await eventually(async () => await heldPolls(t) === 3);
    await t.api.close();
    for (const answer of await Promise.all(held)) assertEquals(answer.assignments, undefined);
  }));

Deno.test("a tunnel request wakes the poll, is not handed out twice in a row, and again if it stays", async () => {
  const clock = createFakeClock();
  await withApi(async (t) => {
    const poll = await prepare(t);
    const { version } = await poll({});
    const sleeping = clock.sleepers;
    const held = poll({ since: version });
    await eventually(() => clock.sleepers > sleeping);
    // As another replica would: through the database.
    const request = { sessionId: idOf(77), url: "http://10.0.0.2:7070" };
    await requestTunnel(t.kv, { ...request, nodeId: NODE });
    assertEquals((await held).tunnels, [request]);
    assertEquals((await poll({ since: version, holdMs: 0 })).tunnels, []);
    await clock.advance(2000);
    assertEquals((await poll({ since: version, holdMs: 0 })).tunnels, [request]);
    await clock.advance(60_000);
    assertEquals((await poll({ since: version, holdMs: 0 })).tunnels, []);
    await eventually(async () => (await t.kv.get(key.tunnel(NODE, idOf(77)))).value === null);
  }, { clock });
});

Deno.test("thousands of polls are held on timers that they share", async () => {
  const clock = createFakeClock();
  await withApi(async (t) => {
    const ids = Array.from({ length: 2000 }, (_, i) => idOf(10_000 + i));
    await seedService(t.kv, SERVICE, specOf());
    const nodes = await Promise.all(ids.map((id, i) => seedNode(t.kv, id, `n${i}`)));
    const sleeping = clock.sleepers;
    const held = ids.map((id, i) => t.client(nodes[i] ?? "").poll(id, { since: 0 }));
    await eventually(async () => await heldPolls(t) === 2000, { timeoutMs: 30_000 });
    assertEquals(clock.sleepers - sleeping, 1);
    await seedTask(t.kv, taskOn(11, ids[7] ?? ""));
    assertEquals(okValue(await held[7]!).assignments?.length, 1);
    assertEquals(await heldPolls(t), 1999);
    await clock.advance(2000);
    for (const answer of await Promise.all(held)) assert(answer.ok);
  }, { clock });
});

Deno.test("an answer says of how old a poll the leader can know", async () => {
  const clock = createFakeClock();
  let recordedMs: number | undefined;
  const beats = { beat: () => {}, recordedMs: () => recordedMs };
  await withApi(async (t) => {
    const poll = await prepare(t);
    assertEquals((await poll({})).unheardMs, 6000);
    recordedMs = clock.monoMs();
    assertEquals((await poll({})).unheardMs, undefined);
    await clock.advance(1500);
    assertEquals((await poll({})).unheardMs, 1500);
    await clock.advance(60_000);
    assertEquals((await poll({})).unheardMs, 6000);
  }, { clock, deps: { beats } });
});

Deno.test("a poll that is written while it is held is known to the leader when it is answered", async () => {
  const clock = createFakeClock();
  let recordedMs = clock.monoMs();
  const beats = { beat: () => {}, recordedMs: () => recordedMs };
  await withApi(async (t) => {
    const poll = await prepare(t);
    const { version } = await poll({});
    await clock.advance(1500);
    const sleeping = clock.sleepers;
    const held = poll({ since: version, holdMs: 1000 });
    await eventually(() => clock.sleepers > sleeping);
    recordedMs = clock.monoMs();
    await clock.advance(1000);
    assertEquals((await held).unheardMs, undefined);
  }, { clock, deps: { beats } });
});

Deno.test("an agent that says what it has is told what the leader knows, once the leader knows enough", async () => {
  let seq = 0;
  let known: Assigned | undefined;
  const liveAssigned = () => ({ seq, of: () => known });
  await withApi(async (t) => {
    const poll = await prepare(t);
    const row = await seedTask(t.kv, taskOn(11, NODE));
    const service = await getRow(t.kv, key.service(SERVICE), Service);
    assert(service);
    await eventually(() => t.feed.head() === 1);
    // Something else than the rows, so that one can be told from the other.
    known = {
      tasks: [{ task: { ...row, slot: 7 }, ended: true }],
      services: new Map([[SERVICE, service.row]]),
    };
    const slotOf = async (query: { since?: number }) => {
      const [only] = (await poll({ ...query, holdMs: 0 })).assignments ?? [];
      return [only?.slot, only?.desired];
    };
    assertEquals(await slotOf({ since: 0 }), [1, "run"]); // the leader's memory is behind
    seq = 1;
    assertEquals(await slotOf({ since: 0 }), [7, "stop"]);
    assertEquals(await slotOf({}), [1, "run"]); // it may have lost its state
    known = undefined;
    assertEquals(await slotOf({ since: 0 }), [1, "run"]);
  }, { deps: { liveAssigned } });
});

Deno.test("a plain poll and one that takes the long way get the same answer, and are counted alike", () =>
  withApi(async (t) => {
    await prepare(t);
    await seedTask(t.kv, taskOn(11, NODE));
    await eventually(() => t.feed.head() === 1);
    const ask = async (query: string, token = "berth_node_n1", id = NODE) => {
      const answer = await t.send("GET", `/v1/nodes/${id}/assignments?${query}`, { token });
      return [answer.status, Object.fromEntries(answer.headers), await answer.json()];
    };
    assertEquals(await ask("since=0"), await ask("since=00&restarted=" + idOf(5)));
    const current = await ask("since=1&holdMs=0");
    assertEquals(current, await ask("holdMs=0&since=1"));
    assertEquals(current[2].assignments, undefined);
    for (const token of [t.admin, t.join, "berth_node_other", "x"]) {
      assertEquals(await ask("since=0", token), await ask("since=+0", token));
    }
    assertEquals((await ask("since=0", "berth_node_n1", idOf(9)))[0], 403);
    assertEquals((await ask("since=0&holdMs=9999999999"))[0], 400);
    const metrics = await (await t.send("GET", "/metrics")).text();
    const counted =
      /berth_http_request_seconds_count\{method="GET",route="\/v1\/nodes\/\{id\}\/assignments",status="200"\} (\d+)/;
    assertEquals(counted.exec(metrics)?.[1], "4");
  }));
