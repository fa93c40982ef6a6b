import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Hook } from "../../kv/schema/container.ts";
import { createDockerRuntime } from "../../worker/docker/docker.ts";
import { runHooks } from "../../worker/hooks.ts";
import { createAgentWorld } from "../support/agent_world.ts";
import { engineTest, ensureTestImage, TEST_IMAGE } from "../support/engine.ts";
import { assignmentOf } from "../support/fake_server.ts";
import { idOf } from "../support/ids.ts";

const task = idOf(1);
const hook = (...command: string[]) => ({ command, privileged: false, env: {} });

Deno.test("a task counts as running once its post_start hooks are done, in order", async () => {
  const world = createAgentWorld();
  const { server } = world;
  const postStart = [hook("sleep", "2"), hook("echo", "done")];
  server.assign(assignmentOf(1, { container: { postStart } }));
  await world.running(async () => {
    await world.until(() => server.stateOf(task) === "1 starting", "the start");
    const beganMs = world.clock.monoMs();
    await world.until(() => server.stateOf(task) === "1 running", "the task to run");
    assert(world.clock.monoMs() - beganMs >= 1_900, "it did not wait for its hooks");
  });
});

Deno.test("a post_start hook that fails is a failure of the task, told in its words", async () => {
  const world = createAgentWorld();
  const { server } = world;
  const container = { postStart: [hook("true"), hook("false")] };
  server.assign(assignmentOf(1, { container, restart: { maxAttempts: 1 } }));
  await world.running(async () => {
    await world.until(() => server.stateOf(task) === "2 failed", "the task to fail");
    assertStringIncludes(server.rows.get(task)?.message ?? "", "post_start 2 of 2: exit code 1");
    assertEquals(world.control.containers()[0]?.state, "exited");
    const ready = server.reports.flat().filter((row) => row.ready === true);
    assertEquals(ready, [], "it never served");
  });
});

Deno.test("hooks of a start run again after the agent died in them, and not after they were done", async () => {
  const world = createAgentWorld();
  const { server } = world;
  server.assign(assignmentOf(1, { container: { postStart: [hook("sleep", "5")] } }));
  await world.running(async () => {
    await world.until(() => server.stateOf(task) === "1 starting", "the start");
  });
  const beganMs = world.clock.monoMs();
  await world.running(async () => {
    await world.until(() => server.stateOf(task) === "1 running", "the task to run");
    assert(world.clock.monoMs() - beganMs >= 4_900, "the hooks were not run again");
  });
  const polls = server.pollsMs.length;
  const againMs = world.clock.monoMs();
  await world.running(async () => {
    await world.until(() => server.pollsMs.length > polls, "a poll");
    assertEquals(server.stateOf(task), "1 running");
    assert(world.clock.monoMs() - againMs < 4_900, "the hooks were run once more");
  });
});

Deno.test("a task that is no longer wanted does not wait for its hooks", async () => {
  const world = createAgentWorld();
  const { server } = world;
  server.assign(assignmentOf(1, { container: { postStart: [hook("sleep", "200")] } }));
  await world.running(async () => {
    await world.until(() => server.stateOf(task) === "1 starting", "the start");
    server.assign();
    await world.until(() => world.control.containers().length === 0, "the container to go", 20_000);
  });
});

Deno.test("pre_stop hooks come before the signal and have their time from the grace period", async () => {
  const world = createAgentWorld();
  const { server, control } = world;
  const container = { preStop: [hook("sleep", "3")] };
  server.assign(assignmentOf(1, { container, stopGraceMs: 10_000 }));
  await world.running(async () => {
    await world.until(() => server.stateOf(task) === "1 running", "the task to run");
    server.assign();
    const beganMs = world.clock.monoMs();
    await world.until(() => control.containers().length === 0, "the container to go");
    const tookMs = world.clock.monoMs() - beganMs;
    assert(tookMs >= 2_900 && tookMs < 9_000, `it took ${tookMs} ms`);
  });
});

engineTest("hooks run in the container, as whom and where they say", async (connection) => {
  await ensureTestImage(connection);
  const nodeId = "hooks-test";
  const taskId = idOf(77_002);
  const runtime = createDockerRuntime({ connection, nodeId });
  const signal = AbortSignal.timeout(30_000);
  const exec = (...args: Parameters<typeof runtime.exec>) => runtime.exec(...args);
  const hooks = (...all: Record<string, unknown>[]) => all.map((one) => Hook.parse(one));
  const run = (...all: Record<string, unknown>[]) =>
    runHooks(exec, { taskId, hooks: hooks(...all), kind: "post_start" }, signal);
  const wanted = {
    ...assignmentOf(1, { image: TEST_IMAGE, command: ["sleep", "60"], stopGraceMs: 0 }),
    taskId,
  };
  try {
    assertEquals(await runtime.create(wanted, signal), { ok: true, value: undefined });
    assertEquals(await runtime.start(taskId, signal), { ok: true, value: undefined });
    const script = 'test "$(id -u) $PWD $A" = "65534 /bin 1"';
    const done = await run(
      { command: ["sh", "-c", script], user: "65534", workingDir: "/bin", env: { A: "1" } },
    );
    assertEquals(done, { ok: true, value: undefined });
    // Where the machine itself may not give all capabilities, the attempt shows that they were asked for.
    const hasAll = "grep -q 'CapEff:.*3f' /proc/self/status";
    const privileged = await run({ command: ["sh", "-c", hasAll], privileged: true });
    assert(privileged.ok || /apply caps/.test(privileged.message), JSON.stringify(privileged));
    const failed = await run({ command: ["sh", "-c", "echo no disk >&2; exit 3"] });
    assertEquals(failed, {
      ok: false,
      kind: "refused",
      message: "post_start: exit code 3: no disk",
    });
  } finally {
    await runtime.remove(taskId, AbortSignal.timeout(10_000));
    await runtime.close();
  }
});
