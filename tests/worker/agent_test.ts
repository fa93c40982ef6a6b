import { assert, assertEquals, assertLess, assertStringIncludes } from "@std/assert";
import { createAgentWorld } from "../support/agent_world.ts";
import { assignmentOf } from "../support/fake_server.ts";
import { idOf } from "../support/ids.ts";

const task = idOf(1);
Deno.test("an assignment runs, and where it runs is told", async () => {
  const world = createAgentWorld();
  const { server, control } = world;
  server.assign(assignmentOf(1, { ports: [{ target: 80 }] }));
  await world.running(async () => {
    await world.until(() => server.stateOf(task) === "1 running", "the task to run");
  });
  assertEquals(control.containers().map((c) => [c.taskId, c.state]), [[task, "running"]]);
  const row = server.rows.get(task);
  assertEquals(row?.ports.map((p) => p.target), [80]);
  assertEquals(row?.containerId, control.containers()[0]?.id);
});

Deno.test("a state that lasts is told while it does; one that passes quickly goes with the next", async () => {
  const world = createAgentWorld();
  const { server, control } = world;
  await world.running(async () => {
    server.assign(assignmentOf(1));
    await world.until(() => server.stateOf(task) === "1 running", "the task to run");
    assertEquals(server.history.get(task), ["1 running"]);
    control.hang("create");
    server.assign(assignmentOf(2));
    const other = assignmentOf(2).taskId;
    await world.until(() => server.stateOf(other) === "1 preparing", "the wait to be told");
  });
});

Deno.test("a new assignment takes a create, a start and one look: nothing else", async () => {
  const world = createAgentWorld();
  const { server, control, clock } = world;
  await world.running(async () => {
    await world.until(() => server.pollsMs.length > 1, "the first polls");
    await clock.advance(500);
    const lists = control.calls("list");
    server.assign(assignmentOf(1));
    await world.until(() => server.stateOf(task) === "1 running", "the task to run");
    await clock.advance(100);
    const calls = (["pull", "create", "start", "inspect"] as const).map((op) => control.calls(op));
    assertEquals(calls, [0, 1, 1, 1]);
    assertEquals(control.calls("list"), lists);
  });
});

Deno.test("a stop is graceful, is told, and keeps the container; an unassigned one goes", async () => {
  const world = createAgentWorld();
  const { server, control } = world;
  server.assign(assignmentOf(1));
  await world.running(async () => {
    await world.until(() => server.stateOf(task) === "1 running", "the task to run");
    server.assign(assignmentOf(1, {}, "stop"));
    await world.until(() => server.stateOf(task) === "1 stopped", "the task to stop");
    assertEquals(server.rows.get(task)?.exitCode, 143);
    assertEquals(control.containers().map((c) => c.state), ["exited"]);
    server.assign();
    await world.until(() => control.containers().length === 0, "the container to go");
  });
});

Deno.test("a task to stop that was never made is stopped at once, without an engine call", async () => {
  const world = createAgentWorld();
  world.server.assign(assignmentOf(1, {}, "stop"));
  const agent = world.agent();
  await world.round(agent);
  assertEquals(world.server.stateOf(task), "1 stopped");
  assertEquals(world.control.calls("create"), 0);
});

Deno.test("a task that leaves the set while it runs is stopped, told and removed", async () => {
  const world = createAgentWorld();
  world.server.assign(assignmentOf(1));
  await world.running(async () => {
    await world.until(() => world.server.stateOf(task) === "1 running", "the task to run");
    world.server.assign();
    await world.until(() => world.control.containers().length === 0, "the container to go");
    await world.until(() => world.server.stateOf(task) === "1 stopped", "the stop to be told");
  });
});

Deno.test("a killed container returns in place, the same container, as the next attempt", async () => {
  const world = createAgentWorld();
  const { server, control, clock } = world;
  server.assign(assignmentOf(1));
  await world.running(async () => {
    await world.until(() => server.stateOf(task) === "1 running", "the task to run");
    const id = control.containers()[0]?.id;
    const killedMs = clock.monoMs();
    control.kill(task);
    await world.until(() => server.stateOf(task) === "2 running", "the second attempt");
    assertLess(clock.monoMs() - killedMs, 300);
    assertEquals(control.containers()[0]?.id, id);
    control.kill(task);
    await world.until(() => server.stateOf(task) === "3 preparing", "the wait");
    const row = server.rows.get(task);
    assertEquals([row?.message, row?.exitCode], ["exited with 137, restarting in 1 s", 137]);
    await world.until(() => server.stateOf(task) === "3 running", "the third attempt");
  });
});

Deno.test("a container removed behind the agent's back is made again", async () => {
  const world = createAgentWorld();
  const { server, control } = world;
  server.assign(assignmentOf(1));
  await world.running(async () => {
    await world.until(() => server.stateOf(task) === "1 running", "the task to run");
    control.removeBehindBack(task);
    await world.until(() => server.stateOf(task) === "2 running", "the second attempt");
    assertEquals(control.containers().length, 1);
  });
});

Deno.test("a task whose budget is spent fails and stays down", async () => {
  const world = createAgentWorld();
  const { server, control, clock } = world;
  const env = { SIM_RUN_MS: "50", SIM_EXIT: "3" };
  server.assign(assignmentOf(1, { env, restart: { maxAttempts: 2 } }));
  await world.running(async () => {
    await world.until(() => server.stateOf(task) === "3 failed", "the task to fail");
    assertStringIncludes(server.rows.get(task)?.message ?? "", "exited with 3; restarted 2 times");
    const starts = control.calls("start");
    await clock.advance(60_000);
    assertEquals(control.calls("start"), starts);
  });
});

Deno.test("what cannot work here is rejected, and not tried again", async () => {
  const world = createAgentWorld();
  const { server, control, clock } = world;
  control.failPull("nope:1");
  server.assign(
    assignmentOf(1, { image: "nope:1" }),
    assignmentOf(2, { env: { SIM_START_ERROR: "port is already allocated" } }),
  );
  await world.running(async () => {
    await world.until(
      () => [1, 2].every((n) => server.stateOf(idOf(n)) === "1 rejected"),
      "both to be rejected",
    );
    assertStringIncludes(server.rows.get(task)?.message ?? "", "pull access denied");
    assertEquals(server.rows.get(idOf(2))?.message, "port is already allocated");
    await clock.advance(30_000);
    assertEquals([control.calls("pull"), control.calls("start")], [1, 1]);
  });
});

Deno.test("a finished job does not run again after the agent restarts", async () => {
  const world = createAgentWorld();
  const { server, control, clock } = world;
  const env = { SIM_RUN_MS: "50", SIM_EXIT: "0" };
  server.assign(assignmentOf(1, { env, restart: { condition: "on-failure" } }));
  await world.running(async () => {
    await world.until(() => server.stateOf(task) === "1 succeeded", "the job to finish");
  });
  control.removeBehindBack(task); // Not even when nothing is left to see that it ran.
  await world.running(async () => await clock.advance(20_000));
  assertEquals(control.calls("start"), 1);
});

Deno.test("an engine that comes back without its containers costs them no restart", async () => {
  const world = createAgentWorld();
  const { server, control, clock } = world;
  server.assign(assignmentOf(1, { restart: { maxAttempts: 1 } }));
  await world.running(async () => {
    await world.until(() => server.stateOf(task) === "1 running", "the task to run");
    for (let attempt = 2; attempt < 5; attempt++) {
      control.setAvailable(false);
      control.kill(task);
      await clock.advance(20_000);
      control.setAvailable(true);
      await world.until(() => server.stateOf(task) === `${attempt} running`, "the return");
      await clock.advance(6_000);
    }
  });
});

Deno.test("an engine that shuts down container by container fails no task", async () => {
  const world = createAgentWorld();
  const { server, control, clock } = world;
  server.assign(assignmentOf(1, { restart: { maxAttempts: 1 } }));
  await world.running(async () => {
    await world.until(() => server.stateOf(task) === "1 running", "the task to run");
    for (let attempt = 2; attempt < 8; attempt += 2) {
      control.kill(task);
      await world.until(() => server.stateOf(task) === `${attempt} running`, "the restart");
      await clock.advance(500);
      control.kill(task);
      await clock.advance(1_000);
      control.setAvailable(false);
      await clock.advance(20_000);
      control.setAvailable(true);
      await world.until(() => server.stateOf(task) === `${attempt + 1} running`, "the return");
      await clock.advance(6_000);
    }
    control.kill(task);
    await world.until(() => server.stateOf(task) === "8 running", "the one restart it has");
    control.kill(task);
    await world.until(() => server.stateOf(task) === "8 failed", "the end");
  });
});

Deno.test("a step that the engine did not do is tried again soon, although nothing else happens", async () => {
  const world = createAgentWorld();
  const { server, clock } = world;
  await world.running(async () => {
    await world.until(() => server.pollsMs.length > 0, "the first poll");
    world.control.loseAnswer("pull");
    server.assign(assignmentOf(1, { image: "busybox:2" }));
    const sinceMs = clock.monoMs();
    await world.until(() => server.stateOf(task) === "1 running", "the task to run");
    assert(clock.monoMs() - sinceMs < 3_000, `${clock.monoMs() - sinceMs}`);
  });
});

Deno.test("a pull that is no longer wanted is cut short", async () => {
  const world = createAgentWorld();
  const { server, control, clock } = world;
  control.hang("pull");
  server.assign(assignmentOf(1, { image: "slow:1" }));
  await world.running(async () => {
    await world.until(() => control.calls("pull") === 1, "the pull");
    const askedMs = clock.monoMs();
    server.assign(assignmentOf(1, { image: "slow:1" }, "stop"));
    await world.until(() => server.stateOf(task) === "1 stopped", "the stop");
    assertLess(clock.monoMs() - askedMs, 1_000);
  });
});

Deno.test("a slow stop does not keep other tasks from starting", async () => {
  const world = createAgentWorld();
  const { server, clock } = world;
  const stubborn = { command: ["sh", "-c", "trap '' TERM; sleep infinity"], stopGraceMs: 60_000 };
  const many = Array.from({ length: 20 }, (_, i) => assignmentOf(i + 1, stubborn));
  server.assign(...many);
  await world.running(async () => {
    await world.until(() => server.rows.get(idOf(20))?.state === "running", "all to run");
    const askedMs = clock.monoMs();
    server.assign(...many.map((a) => ({ ...a, desired: "stop" as const })), assignmentOf(50));
    await world.until(() => server.stateOf(idOf(50)) === "1 running", "the new task to run");
    assertLess(clock.monoMs() - askedMs, 1_000);
  });
});

Deno.test("a job that was stopped is stopped, even if it ends with 0", async () => {
  const world = createAgentWorld();
  const { server } = world;
  const job = assignmentOf(1, {
    command: ["sh", "-c", "trap 'exit 0' TERM; sleep infinity"],
    restart: { condition: "on-failure" },
  });
  server.assign(job);
  await world.running(async () => {
    await world.until(() => server.stateOf(task) === "1 running", "the job to run");
    server.assign({ ...job, desired: "stop" });
    await world.until(() => server.stateOf(task) === "1 stopped", "the job to stop");
    assertEquals(server.rows.get(task)?.exitCode, 0);
  });
});

Deno.test("a stopped agent leaves nothing waiting", async () => {
  const world = createAgentWorld();
  world.server.assign(assignmentOf(1), assignmentOf(2, { image: "other:1" }));
  world.control.hang("create");
  await world.running(async () => await world.clock.advance(3_000));
  await world.clock.advance(0);
  assertEquals(world.clock.sleepers, 0);
});
