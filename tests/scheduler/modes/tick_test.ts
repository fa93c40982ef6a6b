import { assert, assertEquals } from "@std/assert";
import { initCluster } from "../../../kv/cluster.ts";
import { key, prefix } from "../../../kv/keys.ts";
import { createService, deleteService, putService } from "../../../kv/services.ts";
import { createRun, listRuns } from "../../../kv/runs.ts";
import type { RunCursor } from "../../../kv/schema/run.ts";
import { idsUnder } from "../../../kv/service_view.ts";
import type { Kv } from "../../../kv/store.ts";
import { createTicker, type Ticker } from "../../../scheduler/tick.ts";
import { countingIds, idOf } from "../../support/ids.ts";
import { withKv } from "../../support/kv.ts";
import { assertOk } from "../../support/outcome.ts";
import { seedNode, seedObserved, seen, specOf } from "../../support/seed.ts";

const START = Date.parse("2026-01-01T00:00:00.000Z");

interface Leader {
  kv: Kv;
  deps: { kv: Kv; clock: Manual; newId: () => string };
  serviceId: string;
  /**
   * Sets the clock to so many seconds after the start and ticks until nothing is due; answers in how many
   * ms it asks to be called again.
   */
  at(seconds: number): Promise<number>;
  /** Another process takes over: its monotonic clock has another origin. */
  takeOver(): void;
  scheduled(): Promise<string[]>;
}

interface Manual {
  nowMs: number;
  originMs: number;
  wallMs(): number;
  monoMs(): number;
  sleep(): Promise<void>;
}

async function withLeader(
  spec: Parameters<typeof specOf>[0],
  body: (leader: Leader) => Promise<void>,
  /** What it may fail at. */
  expected = /^$/,
): Promise<void> {
  await withKv(async (kv) => {
    const newId = countingIds(5000);
    const clock: Manual = {
      nowMs: 0,
      originMs: 0,
      wallMs: () => START + clock.nowMs,
      monoMs: () => clock.originMs + clock.nowMs,
      sleep: () => Promise.resolve(),
    };
    const deps = { kv, clock, newId };
    await initCluster(kv, { newId, wallMs: START });
    await seedNode(kv, idOf(1), "n1");
    const made = assertOk(await createService(deps, specOf(spec)));
    let replica = 0;
    const start = (): Ticker =>
      createTicker({
        ...deps,
        log: (level, message, fields) => {
          const problem = `${message}: ${JSON.stringify(fields)}`;
          if (level === "error" && !expected.test(problem)) throw new Error(problem);
        },
        replicaId: idOf(9000 + ++replica),
        exclusive: true,
        nodeTtlMs: 1e9,
        leaderTtlMs: 5000,
        historyLimit: 5,
        logLimit: 1000,
      });
    let ticker = start();
    await body({
      kv,
      deps,
      serviceId: made.value.id,
      async at(seconds) {
        clock.nowMs = seconds * 1000;
        for (let i = 0; i < 20; i++) {
          const ms = await ticker.tick();
          if (ms > 0) return ms;
        }
        throw new Error("the leader does not come to rest");
      },
      takeOver() {
        clock.originMs += 5_000_000;
        ticker = start();
      },
      async scheduled() {
        const page = assertOk(
          await listRuns(kv, { ref: made.value.id, project: "default" }, { limit: 100 }),
        );
        return page.items.map((run) => run.scheduledAt ?? run.id).sort();
      },
    });
  });
}

async function cursorOf({ kv, serviceId }: Leader): Promise<RunCursor | null> {
  return (await kv.get<RunCursor>(key.runCursor(serviceId))).value;
}

const CRON = {
  type: "cron",
  schedule: "*/10 * * * * *",
  timeZone: "UTC",
  concurrency: "allow",
  catchUpMs: 0,
  retries: 0,
  history: { succeeded: 3, failed: 1 },
} as const;

Deno.test("a time is run once, also by a leader that takes over at the very moment", () =>
  withLeader({ mode: CRON }, async (leader) => {
    await leader.at(1);
    assertEquals(await leader.scheduled(), []);
    await leader.at(10);
    await leader.at(10.5);
    leader.takeOver();
    await leader.at(11);
    const first = "2026-01-01T00:00:10.000Z";
    assertEquals(await leader.scheduled(), [first]);
    assertEquals(await cursorOf(leader), { slot: 1, lastScheduledAt: first });
    await leader.at(20);
    assertEquals((await leader.scheduled()).length, 2);
  }));

Deno.test("a tick asks to be called at the next time", () =>
  withLeader({ mode: { ...CRON, schedule: "0 * * * * *" } }, async (leader) => {
    await leader.at(58);
    const ms = await leader.at(59.4);
    assert(ms <= 600, `${ms} ms`);
    assertEquals(await leader.scheduled(), []);
    await leader.at(60);
    assertEquals(await leader.scheduled(), ["2026-01-01T00:01:00.000Z"]);
  }));

Deno.test("a run on request becomes one task, and its row goes with the last of it", () =>
  withLeader({
    mode: { ...CRON, schedule: "0 0 1 1 *", history: { succeeded: 0, failed: 0 } },
  }, async (leader) => {
    const { kv, deps, serviceId } = leader;
    const ref = { ref: serviceId, project: "default" };
    const run = assertOk(await createRun(deps, ref, { env: {} })).value;
    await leader.at(1);
    leader.takeOver();
    await leader.at(2);
    const [taskId = "", ...others] = await idsUnder(kv, prefix.tasksOf(serviceId));
    assertEquals(others, []);
    assert((await kv.get(key.run(serviceId, run.id))).value);
    await seedObserved(kv, seen(taskId, { state: "succeeded" }));
    leader.takeOver();
    await leader.at(3);
    assertEquals(await idsUnder(kv, prefix.tasksOf(serviceId)), []);
    assertEquals((await kv.get(key.run(serviceId, run.id))).value, null);
  }));

Deno.test("a deadline goes on with what was saved when the leader changes, and its end is remembered", () =>
  withLeader({
    mode: { type: "job", completions: 1, parallelism: 1, retries: 0, deadlineMs: 10_000 },
  }, async (leader) => {
    const { kv, serviceId } = leader;
    await leader.at(1);
    await leader.at(5);
    leader.takeOver();
    await leader.at(7);
    const elapsed = async () =>
      (await kv.get<{ elapsedMs: number }>(key.elapsed(serviceId, 0))).value?.elapsedMs;
    assertEquals(await elapsed(), 4000);
    await leader.at(12.9);
    assertEquals(await elapsed(), 9900);
    await leader.at(13);
    assertEquals(await elapsed(), 10_000);
    const [taskId = ""] = await idsUnder(kv, prefix.tasksOf(serviceId));
    const task = (await kv.get<{ desired: string }>(key.task(taskId))).value;
    assertEquals(task?.desired, "stop");
  }));

Deno.test("a service that is removed leaves nothing of its runs behind, not even what cannot be read", () =>
  withLeader({ mode: { ...CRON, deadlineMs: 60_000 } }, async (leader) => {
    const { kv, deps, serviceId } = leader;
    const ref = { ref: serviceId, project: "default" };
    await leader.at(10);
    assertOk(await createRun(deps, ref, { env: {} }));
    await leader.at(11);
    assertOk(await putService(deps, ref, specOf({ mode: CRON, stopped: true })));
    await leader.at(12);
    assertOk(await deleteService(deps, ref));
    for (const taskId of await idsUnder(kv, prefix.tasksOf(serviceId))) {
      await seedObserved(kv, seen(taskId, { state: "stopped" }));
    }
    const damaged = key.run(serviceId, idOf(77));
    await kv.atomic().set(damaged, { damaged: "by somebody else" }).commit();
    leader.takeOver();
    await leader.at(13);
    await leader.at(14);
    const left: string[] = [];
    for await (const entry of kv.list({ prefix: [] })) {
      if (entry.key.includes(serviceId)) left.push(entry.key.join("/"));
    }
    assertEquals(left, []);
  }, /^(row left out|message failed)/));
