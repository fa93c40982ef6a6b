import { assert, assertEquals, assertNotEquals } from "@std/assert";
import type { TaskView } from "../../kv/schema/task.ts";
import type { EngineConnection } from "../../worker/docker/connect.ts";
import { type ChaosProxy, chaosProxy } from "../support/chaos_proxy.ts";
import { engineTest } from "../support/engine.ts";
import { type EngineWatch, type ListedContainer, watchEngine } from "../support/engine_watch.ts";
import { eventually } from "../support/eventually.ts";
import { inRig, type Rig } from "../support/rig.ts";

const TTL_MS = 2000;

interface Scene extends Rig {
  proxy: ChaosProxy;
  /** The engine itself, past the proxy. */
  watch: EngineWatch;
  /** One line for each thing that the engine told of the service's containers. */
  seen: string[];
  containers(): Promise<Map<string, ListedContainer>>;
  /** The service's task in that slot. */
  task(slot: number): Promise<TaskView>;
  /** Waits until the task in that slot runs and was started so often. */
  attempt(slot: number, attempt: number): Promise<void>;
  /** Waits for the clock's sake: until so long after now. */
  elapse(ms: number): Promise<void>;
}

/** Three sleeping tasks of `web` on one worker, whose engine is behind a chaos proxy. */
async function scene(
  connection: EngineConnection,
  body: (scene: Scene) => Promise<void>,
): Promise<void> {
  if (connection.kind !== "socket") throw new Error("needs an engine on a socket");
  const dir = await Deno.makeTempDir({ prefix: "berth-chaos-" });
  const proxy = chaosProxy(`${dir}/engine.sock`, connection.path);
  const seen: string[] = [];
  const env = { DOCKER_HOST: `unix://${proxy.path}` };
  try {
    await inRig(connection, { workers: ["a"], ttlMs: TTL_MS, env }, async (rig) => {
      const watch = await watchEngine(
        connection,
        { labels: [`berth.project=${rig.project}`], events: ["create", "start", "die"] },
        ({ Action, Actor }) => seen.push(`${Action} ${Actor.Attributes["berth.slot"]}`),
      );
      const task = async (slot: number) => {
        const found = (await rig.live("web")).find((one) => one.slot === slot);
        if (!found) throw new Error(`no live task in slot ${slot}`);
        return found;
      };
      try {
        await rig.run({ name: "web", mode: { type: "replicated", replicas: 3 } });
        await rig.running("web", 3);
        await body({
          ...{ ...rig, proxy, watch, seen, task },
          containers: async () =>
            new Map((await watch.list()).map((one) => [one.Labels["berth.slot"] ?? "", one])),
          attempt: async (slot, attempt) => {
            await eventually(async () => {
              const { state, observed } = await task(slot);
              return state === "running" && observed?.attempt === attempt;
            }, {
              timeoutMs: 30_000,
              what: `attempt ${attempt} in slot ${slot} to run`,
            });
          },
          elapse: async (ms) => {
            const beganMs = performance.now();
            await eventually(() => performance.now() - beganMs > ms, { timeoutMs: 2 * ms });
          },
        });
      } finally {
        proxy.pass();
        await watch.close();
      }
    });
  } finally {
    await proxy.close();
    await Deno.remove(dir, { recursive: true });
  }
}

/** Whether anything happened to the node since it became ready. */
async function nodeStayedReady({ server }: Rig): Promise<boolean> {
  const events = await server.client.listEvents({ limit: 500 });
  assert(events.ok);
  return !events.value.items.some(({ type }) => type === "node.down");
}

engineTest(
  "what is killed, restarted or removed behind Berth's back runs again, and its neighbours never stop",
  (connection) =>
    scene(connection, async ({ watch, containers, task, attempt, running, seen }) => {
      const before = await containers();
      const tasks = await Promise.all([1, 2, 3].map(task));
      await watch.kill(before.get("1")?.Id ?? "");
      await watch.remove(before.get("2")?.Id ?? "");
      await attempt(1, 2);
      await attempt(2, 2);
      await watch.restart(before.get("1")?.Id ?? "");
      await attempt(1, 3);
      await running("web", 3);
      const after = await containers();
      assertEquals(after.size, 3);
      assertEquals(after.get("1")?.Id, before.get("1")?.Id);
      assertNotEquals(after.get("2")?.Id, before.get("2")?.Id);
      assertEquals(
        (await Promise.all([1, 2, 3].map(task))).map((t) => t.id),
        tasks.map((t) => t.id),
      );
      assertEquals(seen.filter((line) => line.endsWith(" 3")), ["create 3", "start 3"]);
    }),
);

engineTest(
  "all containers removed by hand at once: each slot has one again",
  (connection) =>
    scene(connection, async ({ watch, containers, attempt, running }) => {
      await Promise.all([...(await containers()).values()].map(({ Id }) => watch.remove(Id)));
      for (const slot of [1, 2, 3]) await attempt(slot, 2);
      await running("web", 3);
      const states = [...(await containers()).values()].map(({ State }) => State);
      assertEquals(states, ["running", "running", "running"]);
    }),
);

engineTest(
  "an engine that hangs: the node stays ready, its tasks are left alone, and what was asked for comes once it answers",
  (connection) =>
    scene(connection, async (s) => {
      const before = await s.containers();
      const tasks = await s.live("web");
      s.proxy.hang();
      await s.run({ name: "late", mode: { type: "replicated", replicas: 2 } });
      await s.elapse(1.5 * TTL_MS);
      assertEquals((await s.live("late")).filter((t) => t.state === "running"), []);
      assertEquals((await s.live("web")).map((t) => t.id), tasks.map((t) => t.id));
      s.proxy.pass();
      await s.running("late", 2);
      await s.running("web", 3);
      assert(await nodeStayedReady(s), "the node's heartbeat does not wait for the engine");
      assertEquals(
        (await s.live("web")).map((t) => [t.id, t.observed?.attempt]),
        tasks.map((t) => [t.id, 1]),
      );
      const after = await s.containers();
      for (const [slot, { Id }] of before) assertEquals(after.get(slot)?.Id, Id);
    }),
);

engineTest(
  "an engine that hangs while tasks are started, and breaks off: each is started once",
  (connection) =>
    scene(connection, async (s) => {
      await s.run({ name: "late", mode: { type: "replicated", replicas: 4 } });
      await eventually(async () => (await s.live("late")).length === 4);
      s.proxy.hang();
      await s.elapse(TTL_MS / 2);
      s.proxy.down();
      s.proxy.up();
      await s.running("late", 4);
      const starts = s.seen.filter((line) => line.startsWith("start")).length;
      assertEquals(starts, 3 + 4, s.seen.join("\n"));
      assert(await nodeStayedReady(s));
    }),
);

engineTest(
  "an engine that restarts: what lived on is left alone, what died with it runs again at no charge",
  (connection) =>
    scene(connection, async (s) => {
      const before = await s.containers();
      const tasks = await s.live("web");
      s.proxy.down();
      await s.watch.kill(before.get("1")?.Id ?? "");
      await s.watch.remove(before.get("2")?.Id ?? "");
      await s.run({ name: "late" });
      await s.elapse(1.5 * TTL_MS);
      assert(await nodeStayedReady(s));
      s.proxy.up();
      await s.attempt(1, 2);
      await s.attempt(2, 2);
      await s.running("late", 1);
      await s.running("web", 3);
      const third = await s.task(3);
      assertEquals(third.observed?.attempt, 1);
      assertEquals((await s.live("web")).map((t) => t.id), tasks.map((t) => t.id));
      assertEquals((await s.containers()).get("3")?.Id, before.get("3")?.Id);
      assert(await nodeStayedReady(s));
    }),
);

engineTest(
  "an engine that answers slowly does what it is asked for, once",
  (connection) =>
    scene(connection, async (s) => {
      s.proxy.slow(200);
      await s.run({ name: "late", mode: { type: "replicated", replicas: 2 } });
      await s.running("late", 2);
      assertEquals(s.seen.filter((line) => line.startsWith("start")).length, 3 + 2);
      assert(await nodeStayedReady(s));
    }),
);
