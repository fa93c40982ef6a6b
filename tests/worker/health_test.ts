import { assert, assertEquals, assertLess } from "@std/assert";
import { createAgentWorld } from "../support/agent_world.ts";
import { assignmentOf } from "../support/fake_server.ts";
import { idOf } from "../support/ids.ts";

const task = idOf(1);
const tcp = { type: "tcp" as const, port: 80 };
const often = { probe: tcp, intervalMs: 1_000, retries: 2 };

Deno.test("an unhealthy task is told, stopped and started in place, as a failed attempt", async () => {
  const world = createAgentWorld();
  const { server, control } = world;
  server.assign(assignmentOf(1, { health: often, restart: { delayMs: 500 } }));
  await world.running(async () => {
    const row = () => server.rows.get(task);
    await world.until(() => row()?.health === "healthy", "the task to be healthy");
    const id = control.containers()[0]?.id;
    control.setHealth(task, { healthy: false });
    await world.until(() => server.stateOf(task) === "2 preparing", "the restart");
    assertEquals(row()?.message, "unhealthy: simulated failure, restarting in 0.5 s");
    assertEquals(row()?.exitCode, 143);
    await world.until(() => row()?.health === "healthy", "the task to be healthy again");
    assertEquals([server.stateOf(task), control.containers()[0]?.id], ["2 running", id]);
    const told = server.reports.flat().map((r) => `${r.attempt} ${r.state} ${r.health}`);
    assert(told.includes("1 running unhealthy"), told.join(", "));
    const ready = server.reports.flat().filter((r) => r.state === "running" && r.health === "none");
    assertEquals(ready, [], "it is never told to be up before its first success");
  });
});

Deno.test("a task that stays unhealthy spends its restarts and fails", async () => {
  const world = createAgentWorld();
  const { server } = world;
  const env = { SIM_UNHEALTHY_AFTER_MS: "0" };
  server.assign(assignmentOf(1, { env, health: often, restart: { maxAttempts: 2 } }));
  await world.running(async () => {
    await world.until(() => server.stateOf(task) === "3 failed", "the task to fail");
    assertEquals(
      server.rows.get(task)?.message,
      "unhealthy: simulated failure; restarted 2 times within 300 s, the most allowed",
    );
  });
});

Deno.test("a task that ends with 0 when it is stopped for its health has failed all the same", async () => {
  const world = createAgentWorld();
  const { server, control } = world;
  server.assign(assignmentOf(1, {
    command: ["sh", "-c", "trap 'exit 0' TERM; sleep infinity"],
    health: often,
    restart: { condition: "on-failure", maxAttempts: 0 },
  }));
  await world.running(async () => {
    await world.until(() => server.rows.get(task)?.health === "healthy", "the task to be healthy");
    control.setHealth(task, { healthy: false });
    await world.until(() => server.stateOf(task) === "1 failed", "the task to fail");
  });
});

Deno.test("an agent killed between an unhealthy task's stop and its restart counts the failure", async () => {
  const world = createAgentWorld();
  const { server, control } = world;
  server.assign(assignmentOf(1, {
    command: ["sh", "-c", "trap 'exit 0' TERM; sleep infinity"],
    health: often,
    restart: { condition: "on-failure" },
  }));
  await world.running(async () => {
    await world.until(() => server.rows.get(task)?.health === "healthy", "the task to be healthy");
    control.hang("stop");
    control.setHealth(task, { healthy: false });
    await world.until(() => server.rows.get(task)?.health === "unhealthy", "the verdict");
  });
  control.unhang("stop");
  control.exit(task, 0);
  await world.running(async () => {
    await world.until(() => server.stateOf(task) === "2 running", "the restart");
  });
});

Deno.test("an agent's restart does not make healthy and ready tasks start anew", async () => {
  const world = createAgentWorld();
  const { server, clock } = world;
  const readiness = { probe: tcp };
  server.assign(assignmentOf(1, { health: { ...often, intervalMs: 30_000 }, readiness }));
  await world.running(async () => {
    await world.until(() => server.rows.get(task)?.health === "healthy", "the task to be healthy");
    await world.until(() => server.rows.get(task)?.ready === true, "the task to be ready");
  });
  const before = server.reports.length;
  await world.running(async () => await clock.advance(10_000));
  const rows = server.reports.slice(before).flat();
  assertEquals(rows.filter((row) => row.health !== "healthy" || row.ready !== true), []);
});

Deno.test("a task is not ready until its probe says so, and nothing is restarted for it", async () => {
  const world = createAgentWorld();
  const { server, control, clock } = world;
  const env = { SIM_READY_AFTER_MS: "3000" };
  server.assign(assignmentOf(1, { env, readiness: { probe: tcp } }));
  await world.running(async () => {
    const row = () => server.rows.get(task);
    await world.until(() => row()?.message !== undefined, "a reason");
    assertEquals([row()?.state, row()?.ready], ["running", false]);
    assertEquals(row()?.message, "not ready: simulated failure");
    await world.until(() => row()?.ready === true, "the task to be ready", 4_000);
    assertEquals(row()?.message, undefined);
    control.setHealth(task, { ready: false });
    const sinceMs = clock.monoMs();
    await world.until(() => row()?.ready === false, "the task not to be ready");
    assert(clock.monoMs() - sinceMs > 4_000, "three failures, 2 s apart");
    control.setHealth(task, { ready: true });
    await world.until(() => row()?.ready === true, "the task to be ready again", 3_000);
    assertEquals([control.calls("start"), row()?.attempt], [1, 1]);
  });
});

Deno.test("the engine's verdict counts like the agent's", async () => {
  const world = createAgentWorld();
  const { server, control } = world;
  server.assign(assignmentOf(1, { health: { probe: { type: "engine" } } }));
  await world.running(async () => {
    await world.until(() => server.rows.get(task)?.health === "healthy", "the task to be healthy");
    control.setHealth(task, { healthy: false });
    await world.until(() => server.stateOf(task) === "2 running", "the restart");
    assertEquals(control.calls("probe"), 0);
  });
});

Deno.test("an engine that is away makes nothing unhealthy", async () => {
  const world = createAgentWorld();
  const { server, control, clock } = world;
  server.assign(assignmentOf(1, { health: { ...often, retries: 1 } }));
  await world.running(async () => {
    await world.until(() => server.rows.get(task)?.health === "healthy", "the task to be healthy");
    control.setAvailable(false);
    await clock.advance(20_000);
    control.setAvailable(true);
    await clock.advance(10_000);
    assertEquals([server.stateOf(task), control.calls("start")], ["1 running", 1]);
  });
});

Deno.test("hanging probes delay neither the heartbeat nor other tasks, and end with the agent", async () => {
  const world = createAgentWorld();
  const { server, control, clock } = world;
  control.hang("probe");
  server.assign(
    ...Array.from({ length: 40 }, (_, i) => assignmentOf(i + 1, { readiness: { probe: tcp } })),
  );
  await world.running(async () => {
    await world.until(() => server.rows.get(idOf(40))?.state === "running", "all to run");
    server.pollsMs.length = 0;
    await clock.advance(20_000);
    const gaps = server.pollsMs.slice(1).map((atMs, i) => atMs - (server.pollsMs[i] ?? 0));
    assertLess(Math.max(...gaps), 2_200);
    control.kill(task);
    const killedMs = clock.monoMs();
    await world.until(() => server.stateOf(task) === "2 running", "the restart");
    assertLess(clock.monoMs() - killedMs, 300);
  });
  await clock.advance(0);
  assertEquals(clock.sleepers, 0);
});
