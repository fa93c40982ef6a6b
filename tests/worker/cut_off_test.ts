import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { CallError } from "../../api/client.ts";
import { createNoGuard, type Guard } from "../../worker/guard_client.ts";
import { containerName } from "../../worker/runtime.ts";
import { createAgentWorld } from "../support/agent_world.ts";
import { assignmentOf } from "../support/fake_server.ts";
import { idOf } from "../support/ids.ts";

const task = idOf(1);
const UNREACHABLE: CallError = { kind: "unreachable", message: "cannot reach the server" };
const strict = { ...assignmentOf(1, { stopGraceMs: 0 }), strict: true };

/** When the container stops, after the server became unreachable; the server's TTL is 6 s. */
async function cutOffMs(
  assignment: Parameters<ReturnType<typeof createAgentWorld>["server"]["assign"]>[0],
) {
  const world = createAgentWorld();
  const { server, control, clock } = world;
  server.assign(assignment);
  let stoppedAfterMs = NaN;
  await world.running(async () => {
    await world.until(() => server.stateOf(task) === "1 running", "the task to run");
    await clock.advance(10_000);
    assertEquals(server.stateOf(task), "1 running", "with contact it runs on");
    const lastMs = server.pollsMs.at(-1) ?? NaN;
    server.failure = UNREACHABLE;
    server.nudge();
    await world.until(() => control.containers()[0]?.state === "exited", "the stop", 120_000);
    stoppedAfterMs = clock.monoMs() - lastMs;
    server.failure = undefined;
    await world.until(() => server.stateOf(task) === "1 stopped", "the report");
  });
  return { stoppedAfterMs, message: server.rows.get(task)?.message ?? "" };
}

Deno.test("a strict task is dead before the TTL ends without an answer, and says why", async () => {
  const { stoppedAfterMs, message } = await cutOffMs(strict);
  assert(stoppedAfterMs > 3000 && stoppedAfterMs < 6000, `${stoppedAfterMs}`);
  assertStringIncludes(message, "strict singleton");
});

Deno.test("stopAfterMs stops a task that was cut off for so long", async () => {
  const { stoppedAfterMs, message } = await cutOffMs({ ...assignmentOf(1), stopAfterMs: 30_000 });
  assert(stoppedAfterMs >= 29_000 && stoppedAfterMs < 33_000, `${stoppedAfterMs}`);
  assertStringIncludes(message, "stopAfterMs");
});

Deno.test("a task without a lease runs on without the control plane", async () => {
  const world = createAgentWorld();
  const { server, control, clock } = world;
  server.assign(assignmentOf(1));
  await world.running(async () => {
    await world.until(() => server.stateOf(task) === "1 running", "the task to run");
    server.failure = UNREACHABLE;
    await clock.advance(600_000);
    assertEquals(control.containers()[0]?.state, "running");
  });
});

Deno.test("a strict task is rejected, with the reason, where no guard can run", async () => {
  const world = createAgentWorld();
  const guard: Guard = {
    ...createNoGuard(),
    mark: () => Promise.resolve(undefined),
    cover: () => Promise.resolve({ ok: false, kind: "refused", message: "needs --allow-run" }),
  };
  world.server.assign(strict);
  await world.running(async () => {
    await world.until(() => world.server.stateOf(task) === "1 rejected", "the rejection");
  }, world.agent({ guard }));
  assertEquals(world.server.rows.get(task)?.message, "needs --allow-run");
  assertEquals(world.control.containers(), []);
});

Deno.test("a strict task that is to stop is guarded for as long as its container may run", async () => {
  const world = createAgentWorld();
  const { server, control } = world;
  const marked: (readonly string[])[] = [];
  let told: typeof marked = [];
  const guard: Guard = {
    ...createNoGuard(),
    mark(names) {
      marked.push(names);
      return Promise.resolve(marked.length);
    },
  };
  server.assign(strict);
  await world.running(async () => {
    await world.until(() => server.stateOf(task) === "1 running", "the task to run");
    control.hang("stop");
    server.assign({ ...strict, desired: "stop" });
    await world.until(() => control.calls("stop") > 0, "the stop");
    const [polls, marks] = [server.pollsMs.length, marked.length];
    await world.until(() => server.pollsMs.length > polls + 1, "further polls", 120_000);
    told = marked.slice(marks);
    control.unhang("stop");
    control.kill(task);
    await world.until(() => server.stateOf(task) === "1 stopped", "the end", 120_000);
  }, world.agent({ guard }));
  assert(told.length > 0, "the guard was told nothing");
  assertEquals(told.at(-1), [containerName(strict)]);
});

Deno.test("answers of which the leader does not know extend no strict lease", async () => {
  const world = createAgentWorld();
  const { server, control, clock } = world;
  server.assign(strict);
  await world.running(async () => {
    await world.until(() => server.stateOf(task) === "1 running", "the task to run");
    const sinceMs = clock.monoMs();
    const grow = setUnheard(() => clock.monoMs() - sinceMs);
    await world.until(() => control.containers()[0]?.state === "exited", "the stop", 10_000);
    grow.stop();
    const stoppedAfterMs = clock.monoMs() - sinceMs;
    assert(stoppedAfterMs > 2000 && stoppedAfterMs < 6000, `${stoppedAfterMs}`);
    assert(server.pollsMs.some((atMs) => atMs > sinceMs + 1000), "polls were answered meanwhile");
  });

  /** As a replica answers that cannot write beats any more. */
  function setUnheard(ageMs: () => number) {
    const { poll } = server;
    server.poll = (...given) => {
      server.unheardMs = Math.max(1, ageMs());
      return poll(...given);
    };
    return { stop: () => void (server.poll = poll) };
  }
});

Deno.test("a strict task waits for a contact that the leader can know of, and starts then", async () => {
  const world = createAgentWorld();
  const { server, control, clock } = world;
  server.unheardMs = 6_000;
  server.assign(strict);
  await world.running(async () => {
    await clock.advance(3_000);
    assertEquals(control.containers(), []);
    assert(server.pollsMs.length < 20, `${server.pollsMs.length} polls`);
    assertEquals(server.rows.get(task)?.state ?? "preparing", "preparing");
    server.unheardMs = 0;
    await world.until(() => server.stateOf(task) === "1 running", "the start", 3_000);
  });
});

for (const guarded of [true, false]) {
  Deno.test(`an agent that starts without contact ${guarded ? "leaves a strict task to an earlier guard" : "stops a strict task that nobody guards"}`, async () => {
    const world = createAgentWorld();
    const { server, control, clock } = world;
    server.assign(strict);
    await world.running(async () => {
      await world.until(() => server.stateOf(task) === "1 running", "the task to run");
    });
    server.failure = UNREACHABLE;
    const guard: Guard = { ...createNoGuard(), earlier: () => Promise.resolve(guarded) };
    await world.running(async () => {
      await clock.advance(2_000);
      assertEquals(control.containers()[0]?.state, guarded ? "running" : "exited");
    }, world.agent({ guard }));
  });
}

Deno.test("a restart that is asked for is told, made once, and leaves containers running", async () => {
  const world = createAgentWorld();
  const { server, control } = world;
  server.assign(assignmentOf(1));
  const agent = world.agent();
  const signal = new AbortController();
  const ended = agent.run(signal.signal);
  await world.until(() => server.stateOf(task) === "1 running", "the task to run");
  server.nextPoll = { restart: idOf(77) };
  server.nudge();
  await world.clock.until(ended);
  assertEquals(await ended, { reason: "restart" });
  assertEquals(control.containers()[0]?.state, "running");
});
