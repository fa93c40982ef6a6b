import { assert, assertEquals } from "@std/assert";
import { createImmutable } from "../../kv/immutable.ts";
import { key, prefix } from "../../kv/keys.ts";
import { readAssignments } from "../../kv/assignments.ts";
import { idsUnder } from "../../kv/service_view.ts";
import { okValue, problemOf, type TestApi, withApi } from "../support/api.ts";
import { idOf } from "../support/ids.ts";
import { dump } from "../support/kv.ts";
import { seedNode, seedObserved, seedTask, seen } from "../support/seed.ts";

const AT = "2026-01-01T03:00:00.000Z";
const CRON = { type: "cron", schedule: "0 3 * * *", timeZone: "Europe/Berlin" } as const;

async function backup(t: TestApi, more: Record<string, unknown> = {}) {
  return okValue(
    await t.client().createService({
      name: "backup",
      mode: CRON,
      template: { image: "app", command: ["backup"], env: { LEVEL: "info", HOME: "/" } },
      ...more,
    }),
  );
}

Deno.test("a cron service is stored with its defaults, and is scheduled while no run goes on", () =>
  withApi(async (t) => {
    const made = await backup(t);
    assertEquals(made.mode, {
      ...CRON,
      concurrency: "forbid",
      catchUpMs: 0,
      retries: 0,
      history: { succeeded: 3, failed: 1 },
    });
    assertEquals([made.phase, made.counts.wanted], ["scheduled", 0]);
    assertEquals(made.template.restart.condition, "on-failure");
  }));

Deno.test("a bad schedule or time zone is refused with its field named", () =>
  withApi(async (t) => {
    const cases = [
      ["mode.schedule", { ...CRON, schedule: "99 * * * *" }],
      ["mode.schedule", { ...CRON, schedule: "@reboot" }],
      ["mode.timeZone", { ...CRON, timeZone: "Mars/Base" }],
    ] as const;
    for (const [field, mode] of cases) {
      const problem = problemOf(
        await t.client().createService({ name: "x", mode, template: { image: "app" } }),
      );
      assertEquals([problem.status, problem.errors?.[0]?.field], [400, field]);
    }
  }));

Deno.test("a run is one row and one wake-up, and a repeated request is the same run", () =>
  withApi(async (t) => {
    const service = await backup(t);
    const before = await idsUnder(t.kv, prefix.queue());
    const send = () =>
      t.client().createRun("backup", { command: ["x"], env: { A: "1" } }, undefined, {
        idempotencyKey: "k1",
      });
    const run = okValue(await send());
    assertEquals((await idsUnder(t.kv, prefix.queue())).length, before.length + 1);
    const stored = await dump(t.kv);
    assertEquals(okValue(await send()).id, run.id);
    assertEquals(await dump(t.kv), stored);
    assertEquals([run.state, run.trigger, run.ended, run.tries], ["pending", "request", false, 0]);
    assertEquals(okValue(await t.client().listRuns("backup")).items, [run]);
    const row = (await t.kv.get<{ env: unknown }>(key.run(service.id, run.id))).value;
    assertEquals(row?.env, { A: "1" });
  }));

Deno.test("only a job or cron service that is not stopped has runs", () =>
  withApi(async (t) => {
    const client = t.client();
    assertEquals(problemOf(await client.createRun("nope")).status, 404);
    await client.createService({ name: "web", template: { image: "app" } });
    assertEquals(problemOf(await client.createRun("web")).status, 409);
    await backup(t, { stopped: true });
    const problem = problemOf(await client.createRun("backup"));
    assertEquals([problem.status, problem.hint], [409, "Start it first: berth start backup"]);
    okValue(await client.deleteService("backup"));
    assertEquals(problemOf(await client.createRun("backup")).status, 409);
    assertEquals(okValue(await client.listRuns("backup")).items, []);
  }));

Deno.test("the node of a run is told the template with what the user changed", () =>
  withApi(async (t) => {
    const service = await backup(t);
    await seedNode(t.kv, idOf(1), "n1");
    const run = okValue(
      await t.client().createRun("backup", { command: ["full"], env: { LEVEL: "debug" } }),
    );
    const task = { serviceId: service.id, nodeId: idOf(1) };
    await seedTask(t.kv, { ...task, id: idOf(2), slot: 1, run: { scheduledAt: AT } });
    await seedTask(t.kv, { ...task, id: idOf(3), slot: 2, runId: run.id });
    const [plain, changed] = await readAssignments(
      { kv: t.kv, immutable: createImmutable(t.kv) },
      idOf(1),
    );
    assertEquals(plain?.template.command, ["backup"]);
    assertEquals(changed?.template.command, ["full"]);
    assertEquals(changed?.template.env, { LEVEL: "debug", HOME: "/" });
  }));

Deno.test("runs are listed newest first, page by page, each with its newest try", () =>
  withApi(async (t) => {
    const service = await backup(t, { mode: { ...CRON, retries: 1 } });
    const of = { serviceId: service.id, nodeId: idOf(1), run: { scheduledAt: AT } };
    await seedTask(t.kv, { ...of, id: idOf(2), slot: 1 });
    await seedObserved(t.kv, seen(idOf(2), { state: "failed", exitCode: 3 }));
    await seedTask(t.kv, { ...of, id: idOf(3), slot: 1, failures: 1 });
    await seedObserved(t.kv, seen(idOf(3), { state: "failed", exitCode: 4 }));
    await seedTask(t.kv, { ...of, id: idOf(4), slot: 2 });
    await seedObserved(t.kv, seen(idOf(4), { state: "failed", exitCode: 5 }));
    const list = async (cursor?: string) =>
      okValue(
        await t.client().listRuns("backup", { limit: 1, ...(cursor ? { cursor } : {}) }),
      );
    const first = await list();
    const told = (page: typeof first) =>
      page.items.map((r) => [r.slot, r.tries, r.exitCode, r.ended, r.trigger]);
    assertEquals(told(first), [[2, 1, 5, false, "schedule"]]);
    assert(first.next);
    const second = await list(first.next);
    assertEquals(told(second), [[1, 2, 4, true, "schedule"]]);
    assertEquals([second.next, second.items[0]?.scheduledAt], [undefined, AT]);
  }));

Deno.test("a cron service stays one, and no other becomes one", () =>
  withApi(async (t) => {
    await backup(t);
    const client = t.client();
    const spec = { name: "backup", template: { image: "app" } };
    const problem = problemOf(await client.putService("backup", spec));
    assertEquals([problem.status, problem.errors?.[0]?.field], [400, "mode.type"]);
  }));

Deno.test("a global service wants as many as nodes have its tasks, and runs when all do", () =>
  withApi(async (t) => {
    const client = t.client();
    const spec = { name: "agent", mode: { type: "global" }, template: { image: "app" } } as const;
    const made = okValue(await client.createService(spec));
    assertEquals([made.phase, made.counts.wanted], ["converging", 0]);
    const of = { serviceId: made.id };
    await seedTask(t.kv, { ...of, id: idOf(2), slot: 1, nodeId: idOf(1) });
    await seedObserved(t.kv, seen(idOf(2)));
    await seedTask(t.kv, { ...of, id: idOf(3), slot: 2, pin: idOf(9), why: "no room" });
    const waiting = okValue(await client.getService("agent"));
    assertEquals([waiting.phase, waiting.counts.wanted], ["converging", 2]);
    await t.kv.atomic().delete(key.taskOf(made.id, idOf(3))).commit();
    await seedTask(t.kv, {
      ...of,
      ...{ id: idOf(4), slot: 3, nodeId: idOf(8), desired: "stop", ended: "lost" },
    });
    const running = okValue(await client.getService("agent"));
    assertEquals([running.phase, running.counts.wanted], ["running", 1]);
  }));

Deno.test("a job whose deadline has passed has failed, and its runs on request do not count", () =>
  withApi(async (t) => {
    const client = t.client();
    const made = okValue(
      await client.createService({
        name: "calc",
        mode: { type: "job", completions: 2, deadlineMs: 5000 },
        template: { image: "app" },
      }),
    );
    const of = { serviceId: made.id, nodeId: idOf(1) };
    await seedTask(t.kv, { ...of, id: idOf(2), slot: 1, desired: "stop" });
    await seedObserved(t.kv, seen(idOf(2), { state: "stopped" }));
    await seedTask(t.kv, { ...of, id: idOf(3), slot: 200_001, runId: idOf(4) });
    await seedObserved(t.kv, seen(idOf(3), { state: "succeeded" }));
    const phase = async () => {
      const { phase, counts } = okValue(await client.getService("calc"));
      return [phase, counts.succeeded];
    };
    assertEquals(await phase(), ["converging", 0]);
    await t.kv.atomic().set(key.elapsed(made.id, 0), { revision: 1, elapsedMs: 5000 }).commit();
    assertEquals(await phase(), ["failed", 0]);
  }));
