import { assertEquals } from "@std/assert";
import { pendingServices } from "../../scheduler/plan.ts";
import { dropNode } from "../../scheduler/world_changes.ts";
import {
  addNode,
  applyActions,
  converge,
  counter,
  idOf,
  liveOf,
  type NodeInput,
  nodes,
  planAll,
  world,
} from "../support/world.ts";

interface Case {
  property: string;
  node: Omit<NodeInput, "name">;
  lastSeenMs: number;
  nowMs: number;
  marks: string[];
  wakeAtMs?: number;
}

const CASES: Case[] = [
  {
    property: "a ready node that beats stays ready until its TTL",
    node: {},
    lastSeenMs: 1000,
    nowMs: 6999,
    marks: [],
    wakeAtMs: 7000,
  },
  {
    property: "a silent node is down, and the reason has figures",
    node: {},
    lastSeenMs: 1000,
    nowMs: 7200,
    marks: ["down: no sign of life for 6.2 s (limit 6 s)"],
  },
  {
    property: "a node planned exactly when it asked to be is down",
    node: {},
    lastSeenMs: 1000,
    nowMs: 7000,
    marks: ["down: no sign of life for 6 s (limit 6 s)"],
  },
  {
    property: "a node that joins is ready once it is seen",
    node: { state: "joining" },
    lastSeenMs: 1000,
    nowMs: 1500,
    marks: ["ready: seen for the first time"],
    wakeAtMs: 7000,
  },
  {
    property: "a node that joined and is not seen for the TTL is down",
    node: { state: "joining" },
    lastSeenMs: 0,
    nowMs: 6000,
    marks: ["down: no sign of life for 6 s (limit 6 s)"],
  },
  {
    property: "a node that is down and beats again is ready",
    node: { state: "down" },
    lastSeenMs: 9000,
    nowMs: 9500,
    marks: ["ready: seen again"],
    wakeAtMs: 15_000,
  },
  {
    property: "a node that is down and silent is left alone",
    node: { state: "down" },
    lastSeenMs: -Infinity,
    nowMs: 9500,
    marks: [],
  },
];

for (const { property, node, lastSeenMs, nowMs, marks, wakeAtMs } of CASES) {
  Deno.test(`nodes: ${property}`, () => {
    const made = world({ nodes: [{ name: "n1", ...node }] });
    const record = made.nodes.get(idOf("n1"));
    if (!record) throw new Error("no node");
    record.lastSeenMs = lastSeenMs;
    const planned = planAll(made, { nowMs });
    assertEquals(planned.actions.map((a) => a.kind === "mark" && `${a.state}: ${a.why}`), marks);
    assertEquals(planned.wakes.get(idOf("n1")), wakeAtMs);
    applyActions(made, planned.actions, counter(), nowMs);
    assertEquals(planAll(made, { nowMs }).actions, []);
  });
}

Deno.test("nodes: a node that a new leader finds down gets no grace period", () => {
  const made = world({ nodes: [{ name: "n1", state: "down", seenMs: 100 }] });
  assertEquals(planAll(made, { nowMs: 100 }).actions, []);
});

Deno.test("nodes: the tasks of a silent node are lost, and replaced elsewhere", () => {
  const made = world({
    nodes: nodes(2),
    services: [{ name: "web", replicas: 2 }],
    tasks: [
      { id: "a", service: "web", slot: 1, node: "n1" },
      { id: "b", service: "web", slot: 2, node: "n2", desired: "stop" },
    ],
  });
  const alive = made.nodes.get(idOf("n1"));
  if (!alive) throw new Error("no node");
  alive.lastSeenMs = 9000;
  const rounds = converge(made, counter(), { nowMs: 9000 });
  assertEquals(rounds[0]?.map(({ kind }) => kind), ["mark", "lose"]);
  assertEquals(rounds[0]?.[1], { kind: "lose", taskId: "b", why: "node n2 is down" });
  assertEquals(liveOf(made, "web"), ["1@n1 running", "2@n1 assigned"]);
});

Deno.test("nodes: nothing is placed on a node that the same plan gives up", () => {
  const made = world({ nodes: nodes(1), services: [{ name: "web" }] });
  const { actions } = planAll(made, { nowMs: 7000 });
  assertEquals(actions.map((a) => a.kind === "create" ? a.nodeId ?? a.why : a.kind), [
    "mark",
    "0 of 1 node fits: 1 is down",
  ]);
});

Deno.test("nodes: a node that becomes ready gets the waiting tasks in the same plan", () => {
  const made = world({
    nodes: nodes(1, { state: "joining" }),
    services: [{ name: "web" }, { name: "db" }],
    tasks: [{ id: "a", service: "web", slot: 1 }],
  });
  assertEquals(pendingServices(made), [idOf("web")]);
  const { actions } = planAll(made, { service: "db" });
  assertEquals(actions.map((a) => a.kind === "create" && a.nodeId), [undefined]);
  const all = planAll(made).actions;
  assertEquals(all.map(({ kind }) => kind), ["mark", "create", "assign"]);
});

Deno.test("nodes: what the limit cuts of a lost node is lost in the next plan", () => {
  const tasks = [1, 2, 3, 4, 5].map((slot) => ({
    id: `t${slot}`,
    service: "web",
    slot,
    node: "n1",
  }));
  const made = world({ nodes: nodes(1), services: [{ name: "web", replicas: 5 }], tasks });
  const first = planAll(made, { nowMs: 7000, limit: 3 });
  assertEquals(first.actions.length, 3);
  assertEquals(first.more, true);
  assertEquals(first.wakes.get(idOf("n1")), 7000);
  applyActions(made, first.actions, counter(), 7000);
  const second = planAll(made, { nowMs: 7000, limit: 3 });
  assertEquals(second.actions.map(({ kind }) => kind), ["lose", "lose", "lose"]);
});

Deno.test("nodes: tasks of a node that was dropped are lost; if it comes back first, it keeps them", () => {
  const made = world({
    nodes: nodes(1),
    services: [{ name: "web", template: { reserve: { cpus: 1 } } }],
    tasks: [{ id: "a", service: "web", slot: 1, node: "n1" }],
  });
  dropNode(made, idOf("n1"));
  assertEquals(planAll(made, { service: "web" }).actions.map(({ kind }) => kind), ["lose"]);
  addNode(made, { name: "n1" });
  assertEquals(planAll(made).actions, []);
  assertEquals(made.nodes.get(idOf("n1"))?.usedMilliCpus, 1000);
});
