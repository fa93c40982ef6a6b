import { assertEquals, assertStringIncludes } from "@std/assert";
import { initCluster } from "../../kv/cluster.ts";
import { prefix } from "../../kv/keys.ts";
import { VolumeNode } from "../../kv/schema/volume.ts";
import { createService, deleteService } from "../../kv/services.ts";
import { listRows } from "../../kv/store.ts";
import { beginRemoval, finishRemoval, getVolume } from "../../kv/volumes.ts";
import { loadWorld } from "../../scheduler/load.ts";
import { createTicker } from "../../scheduler/tick.ts";
import { dropNode } from "../../scheduler/world_changes.ts";
import { explain } from "../../scheduler/why.ts";
import { systemClock } from "../../kv/schema/time.ts";
import { countingIds, idOf as ulidOf } from "../support/ids.ts";
import { withKv } from "../support/kv.ts";
import { assertOk } from "../support/outcome.ts";
import { seedNode, specOf } from "../support/seed.ts";
import {
  addService,
  addTask,
  converge,
  counter,
  idOf,
  liveOf,
  nodes,
  type ServiceInput,
  settle,
  type VolumeInput,
  world,
} from "../support/world.ts";

const DATA = { type: "volume", source: "data", target: "/data" } as const;

interface Case {
  rule: string;
  service: Omit<ServiceInput, "name">;
  volumes?: VolumeInput[];
  live: string[];
}

const CASES: Case[] = [
  {
    rule: "the first task decides where a new volume is, the others of the plan follow",
    service: { replicas: 3, template: { mounts: [DATA] } },
    volumes: [{ name: "data" }],
    live: ["1@n1 running", "2@n1 running", "3@n1 running"],
  },
  {
    rule: "tasks go to the node that has the volume, whatever the strategy says",
    service: { replicas: 2, template: { mounts: [DATA], placement: { strategy: "spread" } } },
    volumes: [{ name: "data", nodes: ["n3"] }],
    live: ["1@n3 running", "2@n3 running"],
  },
  {
    rule: "also with a strategy that looks at the slot",
    service: { replicas: 3, template: { mounts: [DATA], placement: { strategy: "random" } } },
    volumes: [{ name: "data", nodes: ["n2"] }],
    live: ["1@n2 running", "2@n2 running", "3@n2 running"],
  },
  {
    rule: "a volume of a driver that shares it binds nothing",
    service: { replicas: 3, template: { mounts: [{ ...DATA, driver: "rexray" }] } },
    volumes: [{ name: "data", driver: "rexray", nodes: ["n1"] }],
    live: ["1@n1 running", "2@n2 running", "3@n3 running"],
  },
  {
    rule: "what the volume was made with counts, not what a mount leaves out",
    service: { replicas: 2, template: { mounts: [DATA] } },
    volumes: [{ name: "data", driver: "rexray", nodes: ["n1"] }],
    live: ["1@n1 running", "2@n2 running"],
  },
  {
    rule: "of a global service each node has its own",
    service: { mode: { type: "global" }, template: { mounts: [DATA] } },
    volumes: [{ name: "data" }],
    live: ["1@n1 running", "2@n2 running", "3@n3 running"],
  },
  {
    rule: "volumes without a name, binds and memory bind nothing",
    service: {
      replicas: 2,
      template: {
        mounts: [
          { type: "volume", target: "/a" },
          { type: "bind", source: "/srv", target: "/b" },
          { type: "tmpfs", target: "/c" },
        ],
      },
    },
    live: ["1@n1 running", "2@n2 running"],
  },
];

for (const { rule, service, volumes = [], live } of CASES) {
  Deno.test(`volumes: ${rule}`, () => {
    const made = world({ nodes: nodes(3), services: [{ name: "db", ...service }], volumes });
    converge(made, counter());
    settle(made);
    assertEquals(liveOf(made, "db"), live);
  });
}

Deno.test("volumes: two services with one new volume come together", () => {
  const template = { mounts: [DATA] };
  const made = world({
    nodes: nodes(3),
    services: [{ name: "a", template }, { name: "b", template }],
    volumes: [{ name: "data" }],
  });
  converge(made, counter());
  assertEquals([...liveOf(made, "a"), ...liveOf(made, "b")], ["1@n1 assigned", "1@n1 assigned"]);
});

Deno.test("volumes: a task stays where its volume is: it waits, with the reason, while that node is gone", () => {
  const [down, ...up] = nodes(3);
  const made = world({
    nodes: [{ ...down!, state: "down" }, ...up],
    services: [{ name: "db", template: { mounts: [DATA] } }],
    volumes: [{ name: "data", nodes: ["n1"] }],
    tasks: [{ id: "t0", service: "db", slot: 1 }],
  });
  converge(made, counter());
  assertEquals(liveOf(made, "db"), ["1 pending"]);
  const reasons = () => {
    const record = made.tasks.get("t0");
    const why = record && explain(made, record);
    const verdict = why?.nodes.find(({ node }) => node === "n2");
    return [why?.summary ?? "", verdict?.refusals.map(({ reason }) => reason).join() ?? ""];
  };
  const [summary, reason] = reasons();
  assertEquals(
    summary,
    "0 of 3 nodes fit: 2 do not have volume data (it is on n1), 1 is down",
  );
  assertEquals(reason, "n2 does not have volume data: it is on n1, which is down");
  dropNode(made, idOf("n1"));
  assertEquals(reasons()[1], "n2 does not have volume data: it is on n1, which was removed");
});

Deno.test("volumes: several that are on different nodes are nowhere together", () => {
  const made = world({
    nodes: nodes(2),
    services: [{
      name: "db",
      template: { mounts: [DATA, { type: "volume", source: "logs", target: "/logs" }] },
    }],
    volumes: [{ name: "data", nodes: ["n1"] }, { name: "logs", nodes: ["n2"] }],
  });
  converge(made, counter());
  const [task] = [...made.tasks.values()];
  assertEquals(
    task?.task.why,
    "0 of 2 nodes fit: 1 does not have volume data (it is on n1), " +
      "1 does not have volume logs (it is on n2)",
  );
});

Deno.test("volumes: a replacement follows the volume, not the emptier node", () => {
  const made = world({
    nodes: nodes(2),
    services: [{ name: "db", template: { mounts: [DATA] } }, { name: "web", replicas: 0 }],
    volumes: [{ name: "data", nodes: ["n1"] }],
  });
  addService(made, { name: "web", replicas: 3 });
  for (let slot = 1; slot <= 3; slot++) {
    addTask(made, { id: `w${slot}`, service: "web", slot, node: "n1" });
  }
  converge(made, counter());
  assertEquals(liveOf(made, "db"), ["1@n1 assigned"]);
});

Deno.test("where a volume is outlives its tasks and the leader, and goes with the volume", () =>
  withKv(async (kv) => {
    const newId = countingIds(1000);
    const deps = { kv, newId, clock: systemClock };
    await initCluster(kv, { newId, wallMs: 0 });
    const status = { state: "ready" as const, since: "2030-01-01T00:00:00.000Z", why: "test" };
    await seedNode(kv, ulidOf(1), "n1", status);
    await seedNode(kv, ulidOf(2), "n2", status);
    const ticker = () =>
      createTicker({
        ...{ kv, newId, clock: systemClock, replicaId: newId(), exclusive: true, log: () => {} },
        ...{ nodeTtlMs: 86_400_000, leaderTtlMs: 5000, historyLimit: 0, logLimit: 100 },
      });
    const template = { image: "postgres:17", mounts: [DATA] };
    const db = specOf({ name: "db", template });
    assertOk(await createService(deps, db));
    await ticker().tick();
    const placed = async () => {
      const rows: string[] = [];
      for await (const entry of listRows(kv, prefix.allVolumeNodes(), VolumeNode)) {
        rows.push(entry.row.node);
      }
      return rows;
    };
    assertEquals(await placed(), ["n1"]);
    const loaded = await loadWorld(kv, 0, () => {});
    assertEquals([...loaded.volumeNodes.get("default/data") ?? []], [[ulidOf(1), "n1"]]);
    const ref = { ref: "data", project: "default" };
    const refused = await beginRemoval(deps, ref);
    assertStringIncludes(JSON.stringify(refused), "in use by service db");
    // As if its container were gone.
    const view = assertOk(await getVolume(kv, ref));
    assertEquals([view.usedBy, view.nodes.map(({ node }) => node)], [["db"], ["n1"]]);
    await deleteService(deps, { ref: "db", project: "default" });
    for await (const entry of kv.list({ prefix: ["task_of"] })) {
      await kv.atomic().set(["observed", String(entry.key[2])], {
        ...{
          taskId: String(entry.key[2]),
          attempt: 1,
          state: "stopped",
          health: "none",
          ports: [],
        },
      }).commit();
    }
    const next = ticker();
    for (let i = 0; i < 5; i++) await next.tick();
    const removed = assertOk(await beginRemoval(deps, ref));
    assertOk(await finishRemoval(deps, removed.id));
    assertEquals(await placed(), []);
  }));
