import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { Client } from "../../api/client.ts";
import { listTasksOf } from "../../cli/find.ts";
import type { ServiceSpecInput, ServiceView } from "../../kv/schema/service.ts";
import type { TaskView } from "../../kv/schema/task.ts";
import { systemClock } from "../../kv/schema/time.ts";
import { okValue } from "../support/api.ts";
import type { EngineConnection } from "../../worker/docker/connect.ts";
import { engineTest, TEST_IMAGE } from "../support/engine.ts";
import { eventually } from "../support/eventually.ts";
import { inRig } from "../support/rig.ts";

/** A control plane and a worker on the real engine; what they started is gone afterwards. */
function inCluster(
  connection: EngineConnection,
  run: (client: Client) => Promise<void>,
): Promise<void> {
  return inRig(connection, { workers: ["n1"] }, ({ server }) => run(server.client));
}

function spec(
  page: string,
  { replicas, update, start }: {
    replicas: number;
    update: ServiceSpecInput["update"];
    start?: string;
  },
): ServiceSpecInput {
  const serve = `mkdir -p /www; echo ${page} > /www/index.html; exec httpd -f -p 80 -h /www`;
  return {
    name: "web",
    mode: { type: "replicated", replicas },
    template: {
      image: TEST_IMAGE,
      command: ["sh", "-c", start ?? serve],
      ports: [{ target: 80 }],
      ...(start === undefined
        ? { readiness: { probe: { type: "http", port: 80 }, startIntervalMs: 100 } }
        : {}),
      stopGraceMs: 500,
      restart: { condition: "any", maxAttempts: 0 },
    },
    update,
  };
}

async function until(client: Client, state: string, timeoutMs = 120_000): Promise<ServiceView> {
  let last = "";
  return await eventually(async () => {
    const service = okValue(await client.getService("web"));
    last = JSON.stringify(service.rollout);
    return service.rollout?.state === state && service.phase === "running" ? service : undefined;
  }, { timeoutMs, what: () => `the rollout to be ${state}; it is ${last}` });
}

const REFRESH_MS = 100;
const PACE_MS = 10;
const ENOUGH = 50;

/** Where a client sends requests: per slot to the newest revision that is ready, like a balancer. */
function endpoints(tasks: readonly TaskView[]): string[] {
  const bySlot = new Map<number, TaskView>();
  for (const task of tasks) {
    const { ready, desired, slot, revision } = task;
    if (!ready || desired !== "run") continue;
    if (revision > (bySlot.get(slot)?.revision ?? 0)) bySlot.set(slot, task);
  }
  return [...bySlot.values()].flatMap((task) =>
    (task.observed?.ports ?? []).map((port) => `http://127.0.0.1:${port.published}/`)
  );
}

/** Sends requests one after the other, to each endpoint in turn, until the signal; retries nothing. */
function steadyClient(client: Client, service: ServiceView, signal: AbortSignal) {
  const pages = new Map<string, number>();
  const lost: string[] = [];
  let targets: string[] = [];
  const refresh = async () => {
    while (!signal.aborted) {
      targets = endpoints(okValue(await listTasksOf(client, service)));
      await systemClock.sleep(REFRESH_MS, signal);
    }
  };
  const send = async () => {
    for (let i = 0; !signal.aborted; i++) {
      const target = targets[i % Math.max(1, targets.length)];
      try {
        if (target === undefined) continue;
        const response = await fetch(target);
        const page = (await response.text()).trim();
        pages.set(page, (pages.get(page) ?? 0) + 1);
      } catch (error) {
        lost.push(`${target}: ${error instanceof Error ? error.message : error}`);
      } finally {
        await systemClock.sleep(PACE_MS, signal);
      }
    }
  };
  return { pages, lost, ended: Promise.all([refresh(), send()]) };
}

engineTest("a start-first rollout of 10 replicas under load loses no request", async (engine) => {
  await inCluster(engine, async (client) => {
    const update = {
      order: "start-first" as const,
      parallelism: 5,
      drainMs: 3000,
      monitorMs: 1000,
    };
    okValue(await client.createService(spec("one", { replicas: 10, update })));
    const before = await until(client, "done");
    assertEquals(before.rollout?.updated, 10);
    const stop = new AbortController();
    const load = steadyClient(client, before, stop.signal);
    try {
      await eventually(() => (load.pages.get("one") ?? 0) > ENOUGH, { what: "load on the first" });
      okValue(await client.putService("web", spec("two", { replicas: 10, update })));
      const after = await until(client, "done");
      assertEquals([after.rollout?.updated, after.rollout?.retiring], [10, 0]);
      const two = load.pages.get("two") ?? 0;
      await eventually(() => (load.pages.get("two") ?? 0) > two + ENOUGH, {
        what: "load on the second",
      });
    } finally {
      stop.abort();
      await load.ended;
    }
    assertEquals(load.lost, []);
  });
});

engineTest("a revision that fails is rolled back, and what served goes on", async (engine) => {
  await inCluster(engine, async (client) => {
    const update = {
      failureAction: "rollback" as const,
      monitorMs: 2000,
      delayMs: 1500,
      drainMs: 0,
    };
    okValue(await client.createService(spec("one", { replicas: 3, update })));
    const service = await until(client, "done");
    const first = okValue(await listTasksOf(client, service)).map(({ id }) => id);
    okValue(
      await client.putService("web", spec("two", { replicas: 3, update, start: "exit 3" })),
    );
    const after = await until(client, "rolled-back");
    assertStringIncludes(after.rollout?.why ?? "", "1 of 3 slots failed with revision 2");
    assertEquals([after.revision, after.rollout?.goal], [2, 1]);
    const tasks = okValue(await listTasksOf(client, service));
    const kept = tasks.filter(({ id, state }) => first.includes(id) && state === "running");
    assertEquals(kept.length, 2, "one was replaced, and came back as another");
    const undone = okValue(await client.steerRollout("web", { action: "undo" }));
    assertEquals(undone.revision, 1);
    await until(client, "done");
    const events = okValue(await client.listEvents({ last: 500 })).items.map(({ type }) => type);
    for (const type of ["rollout.started", "rollout.rolling-back", "rollout.rolled-back"]) {
      assert(events.some((seen) => seen === type), type);
    }
  });
});
