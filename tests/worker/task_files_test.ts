import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { Assignment } from "../../kv/schema/agent.ts";
import { encodeBase64 } from "../../kv/schema/base64.ts";
import { createAgentWorld } from "../support/agent_world.ts";
import { assignmentOf, type FakeServer } from "../support/fake_server.ts";
import { idOf } from "../support/ids.ts";

const task = idOf(1);
const CANARY = "canary-77c2";

/** A task with a secret and a config, whose values the server has. */
function withFiles(server: FakeServer, more: Partial<Assignment> = {}): Assignment {
  const data = encodeBase64(new TextEncoder().encode(CANARY));
  server.files.set(task, [
    { kind: "secret", source: "pw", version: 1, data },
    { kind: "config", source: "app", version: 1, data },
  ]);
  return {
    ...assignmentOf(1, {
      secrets: [{ source: "pw", mode: 0o400 }],
      configs: [{ source: "app", target: "/etc/app.conf" }],
      restart: { condition: "any", delayMs: 0 },
    }),
    resolved: {
      secrets: { pw: { id: idOf(70), version: 1 } },
      configs: { app: { id: idOf(71), version: 1 } },
      volumes: {},
    },
    ...more,
  };
}

Deno.test("a task starts with its files, asked for once, also when it starts again while the server is away", async () => {
  const world = createAgentWorld();
  const { server, control } = world;
  server.assign(withFiles(server));
  await world.running(async () => {
    await world.until(() => server.stateOf(task) === "1 running", "the task to run");
    assertEquals([...control.files(task).keys()], ["/run/secrets/pw", "/etc/app.conf"]);
    server.failure = { kind: "unreachable", message: "cannot reach the server" };
    const before = control.calls("start");
    control.exit(task, 1);
    await world.until(() => control.calls("start") > before, "the restart");
    await world.until(() => control.containers()[0]?.state === "running", "it to run");
    assertEquals([...control.files(task).keys()], ["/run/secrets/pw", "/etc/app.conf"]);
  });
  assertEquals(server.filesAsked, 1);
});

Deno.test("without its values a task waits and says why; it starts once they can be had", async () => {
  const world = createAgentWorld();
  const { server, control } = world;
  server.assign(withFiles(server));
  const files = server.files.get(task) ?? [];
  server.files.clear();
  await world.running(async () => {
    await world.until(
      () => server.rows.get(task)?.message?.includes("secret pw") === true,
      "the reason",
    );
    assertEquals(control.containers().map(({ state }) => state), ["created"]);
    server.files.set(task, files);
    await world.until(() => server.stateOf(task) === "1 running", "the task to run");
  });
});

Deno.test("values are forgotten with the last task that has them, and new versions are asked for", async () => {
  const world = createAgentWorld();
  const { server } = world;
  const first = withFiles(server);
  server.assign(first);
  await world.running(async () => {
    await world.until(() => server.stateOf(task) === "1 running", "the task to run");
    server.assign();
    await world.until(() => world.control.containers().length === 0, "the container to go");
    const again = { ...first, taskId: idOf(2) };
    server.files.set(idOf(2), server.files.get(task) ?? []);
    server.assign(again);
    await world.until(() => server.stateOf(idOf(2)) === "1 running", "the next task to run");
  });
  assertEquals(server.filesAsked, 2);
});

Deno.test("no value is in the agent's state or log", async () => {
  const world = createAgentWorld();
  const { server, store, logs } = world;
  server.assign(withFiles(server));
  await world.running(async () => {
    await world.until(() => server.stateOf(task) === "1 running", "the task to run");
  });
  assertStringIncludes(store.text ?? "", "pw");
  for (const text of [store.text ?? "", JSON.stringify(logs), JSON.stringify(server.reports)]) {
    assert(!text.includes(CANARY) && !text.includes(btoa(CANARY)));
  }
});
