import { assert, assertEquals, assertLess } from "@std/assert";
import type { CallError } from "../../api/client.ts";
import { createAgentWorld } from "../support/agent_world.ts";
import { assignmentOf } from "../support/fake_server.ts";
import { idOf } from "../support/ids.ts";

const task = idOf(1);
const UNREACHABLE: CallError = { kind: "unreachable", message: "cannot reach the server" };

Deno.test("an answer older than the set in effect is ignored", async () => {
  const world = createAgentWorld();
  const { server, control } = world;
  server.assign(assignmentOf(1));
  const agent = world.agent();
  await world.round(agent);
  await world.round(agent);
  server.nextPoll = { version: server.version - 1, assignments: [] };
  await world.round(agent);
  assertEquals(control.containers().map((c) => c.state), ["running"]);
  assert(world.logs.some(({ message }) => message.startsWith("ignored an answer")));
});

Deno.test("the heartbeat goes on while the engine hangs, and work goes on after it", async () => {
  const world = createAgentWorld();
  const { server, control, clock } = world;
  const operations = ["list", "inspect", "pull", "create", "start", "info"] as const;
  for (const operation of operations) control.hang(operation);
  server.assign(assignmentOf(1));
  await world.running(async () => {
    await clock.advance(100_000);
    const gaps = server.pollsMs.slice(1).map((atMs, i) => atMs - (server.pollsMs[i] ?? 0));
    assertLess(Math.max(...gaps), 2_200);
    for (const operation of operations) control.unhang(operation);
    await world.until(() => server.stateOf(task) === "1 running", "the task to run", 700_000);
  });
});

Deno.test("without a server the last known set lives on, also across a restart of the agent", async () => {
  const world = createAgentWorld();
  const { server, control, clock } = world;
  server.assign(assignmentOf(1));
  await world.running(async () => {
    await world.until(() => server.stateOf(task) === "1 running", "the task to run");
    server.failure = UNREACHABLE;
    control.kill(task);
    await world.until(() => control.containers()[0]?.state === "exited", "the exit");
    await world.until(() => control.containers()[0]?.state === "running", "the restart");
  });
  control.kill(task);
  await world.running(async () => {
    await world.until(() => control.containers()[0]?.state === "running", "the next restart");
    const downMs = clock.monoMs();
    await clock.advance(30_000);
    assert(server.pollsMs.filter((atMs) => atMs > downMs).length >= 12, "polls go on");
    server.failure = undefined;
    await world.until(() => server.stateOf(task) === "3 running", "the resync");
  });
});

Deno.test("containers of unknown tasks are left alone until a poll says that they are", async () => {
  const world = createAgentWorld();
  const { server, control, clock } = world;
  const { signal } = new AbortController();
  const runtime = world.runtime();
  await clock.until(runtime.create(assignmentOf(1), signal));
  await clock.until(runtime.start(task, signal));
  server.failure = UNREACHABLE;
  await world.running(async () => {
    await clock.advance(30_000);
    assertEquals(control.containers().map((c) => c.state), ["running"]);
    server.failure = undefined;
    await world.until(() => control.containers().length === 0, "the container to go");
  });
});

Deno.test("a node that the server no longer knows ends, and leaves its containers running", async () => {
  const world = createAgentWorld();
  const { server, control } = world;
  server.assign(assignmentOf(1));
  const agent = world.agent();
  await world.round(agent);
  server.failure = {
    kind: "problem",
    problem: { type: "about:blank", title: "unknown credential", status: 401 },
  };
  const end = await world.clock.until(world.agent().run(new AbortController().signal));
  assertEquals(end, { reason: "removed", message: "unknown credential" });
  assertEquals(control.containers().map((c) => c.state), ["running"]);
});

Deno.test("a damaged state is a warning; what runs is adopted and its attempts go on", async () => {
  const world = createAgentWorld();
  const { server, control, store } = world;
  server.assign(assignmentOf(1));
  await world.running(async () => {
    await world.until(() => server.stateOf(task) === "1 running", "the task to run");
    control.kill(task);
    await world.until(() => server.stateOf(task) === "2 running", "the second attempt");
  });
  store.text = store.text?.slice(0, -20);
  const starts = control.calls("start");
  await world.running(async (agent) => {
    await world.until(() => agent.rows()[0]?.attempt === 2, "the attempt to be told back");
    assertEquals(agent.rows()[0]?.state, "running");
    assertEquals(control.calls("start"), starts);
    control.kill(task);
    await world.until(() => server.stateOf(task) === "3 running", "the third attempt");
  });
  assertEquals(control.containers().length, 1);
  assert(world.logs.some(({ message }) => message.startsWith("the agent's state is lost")));
});

Deno.test("an agent that lost its state and may not start again what ran has that told", async () => {
  const world = createAgentWorld();
  const { server, control, store } = world;
  const secret = { source: "password", uid: 0, gid: 0, mode: 0o400 };
  const resolved = { secrets: { password: { id: idOf(8), version: 1 } }, configs: {}, volumes: {} };
  server.assign({ ...assignmentOf(1, { secrets: [secret] }), resolved });
  server.files.set(task, [{ kind: "secret", source: "password", version: 1, data: "eA==" }]);
  await world.running(async () => {
    await world.until(() => server.stateOf(task) === "1 running", "the task to run");
  });
  control.removeBehindBack(task);
  store.text = undefined;
  const gone = { type: "about:blank", title: "not this node's", status: 404 };
  server.taskFiles = () =>
    Promise.resolve({ ok: false, error: { kind: "problem", problem: gone } });
  await world.running(async () => {
    await world.until(() => server.stateOf(task) === "1 rejected", "the refusal to be told");
  });
});

Deno.test("a state that cannot be saved is said, and holds up nothing", async () => {
  const world = createAgentWorld();
  const { server } = world;
  const state = { ...world.store, save: () => Promise.reject(new Error("disk full")) };
  server.assign(assignmentOf(1));
  await world.running(async () => {
    await world.until(() => server.stateOf(task) === "1 running", "the task to run");
  }, world.agent({ state }));
  assert(world.logs.some(({ fields }) => fields.reason === "disk full"));
});

Deno.test("after an interruption everything is told again, since the server may have lost it", async () => {
  const world = createAgentWorld();
  const { server, clock } = world;
  server.assign(assignmentOf(1), assignmentOf(2));
  await world.running(async () => {
    const both = () => [1, 2].every((n) => server.stateOf(idOf(n)) === "1 running");
    await world.until(both, "both to run");
    await clock.advance(3_000);
    server.failure = UNREACHABLE;
    await clock.advance(5_000);
    server.rows.clear();
    server.failure = undefined;
    await world.until(both, "both to be told again");
  });
});

Deno.test("a set is saved before it takes effect", async () => {
  const world = createAgentWorld();
  const { server, store } = world;
  server.assign(assignmentOf(1));
  const runtime = world.runtime();
  const savedAtStop: (number | undefined)[] = [];
  const watched = {
    ...runtime,
    stop: (...args: Parameters<typeof runtime.stop>) => {
      savedAtStop.push(JSON.parse(store.text ?? "{}").version);
      return runtime.stop(...args);
    },
  };
  await world.running(async () => {
    await world.until(() => server.stateOf(task) === "1 running", "the task to run");
    server.assign();
    await world.until(() => world.control.containers().length === 0, "the container to go");
  }, world.agent({ runtime: watched }));
  assertEquals(savedAtStop, [server.version]);
});
