import { assertEquals, assertMatch } from "@std/assert";
import { plan } from "../../../scheduler/plan.ts";
import { explain } from "../../../scheduler/why.ts";
import {
  addNode,
  addService,
  applyActions,
  converge,
  counter,
  idOf,
  liveOf,
  type NodeInput,
  nodes,
  OPTIONS,
  planAll,
  report,
  type ServiceInput,
  settle,
  type TaskInput,
  world,
} from "../../support/world.ts";

const agent = (more: Partial<ServiceInput> = {}): ServiceInput => ({
  name: "agent",
  mode: { type: "global" },
  ...more,
});

const t = (id: string, slot: number, rest: Partial<TaskInput> = {}): TaskInput => ({
  id,
  slot,
  service: "agent",
  ...rest,
});

const OUT = { key: "out", effect: "no-execute" } as const;

interface Case {
  property: string;
  nodes: NodeInput[];
  service?: Partial<ServiceInput>;
  tasks?: TaskInput[];
  live: string[];
}

const ON_ALL = [t("a", 1, { node: "n1" }), t("b", 2, { node: "n2" }), t("c", 3, { node: "n3" })];
const [n1 = { name: "n1" }, n2 = { name: "n2" }, n3 = { name: "n3" }] = nodes(3);

const CASES: Case[] = [
  {
    property: "each node gets one task",
    nodes: nodes(3),
    live: ["1@n1 assigned", "2@n2 assigned", "3@n3 assigned"],
  },
  {
    property: "only nodes that carry the labels get one",
    nodes: [n1, { ...n2, labels: { zone: "a" } }, n3],
    service: { template: { placement: { labels: { zone: "a" } } } },
    live: ["1@n2 assigned"],
  },
  {
    property: "a limit of one task a node is no reason to stop that one",
    nodes: nodes(3),
    service: { template: { placement: { maxPerNode: 1 } } },
    tasks: ON_ALL,
    live: ["1@n1 running", "2@n2 running", "3@n3 running"],
  },
  {
    property: "a no-execute taint takes a node's task away, other taints leave it",
    nodes: [
      { ...n1, taints: [{ key: "repair", effect: "no-execute" }] },
      { ...n2, taints: [{ key: "repair", effect: "no-schedule" }] },
      n3,
    ],
    tasks: ON_ALL,
    live: ["1@n1 running!", "2@n2 running", "3@n3 running"],
  },
  {
    property: "a node that is not ready gets none",
    nodes: [n1, { ...n2, seenMs: -9000 }, { ...n3, state: "down", seenMs: -9000 }],
    live: ["1@n1 assigned"],
  },
  {
    property: "the task of a drained node is stopped, and no other node gets it",
    nodes: [n1, { ...n2, availability: "drain" }, n3],
    tasks: ON_ALL,
    live: ["1@n1 running", "2@n2 running!", "3@n3 running"],
  },
  {
    property: "a cordoned node keeps its task",
    nodes: [n1, { ...n2, availability: "cordon" }, n3],
    tasks: ON_ALL,
    live: ["1@n1 running", "2@n2 running", "3@n3 running"],
  },
  {
    property: "a cordoned node gets no new task",
    nodes: [n1, { ...n2, availability: "cordon" }, n3],
    live: ["1@n1 assigned", "2@n3 assigned"],
  },
  {
    property: "a node that lost the label loses its task",
    nodes: [{ ...n1, labels: { zone: "a" } }, n2],
    service: { template: { placement: { labels: { zone: "a" } } } },
    tasks: ON_ALL.slice(0, 2),
    live: ["1@n1 running", "2@n2 running!"],
  },
  {
    property: "a node without room has its task wait for it",
    nodes: [n1, { ...n2, memoryMiB: 100 }, n3],
    service: { template: { reserve: { cpus: 0, memoryMiB: 512 } } },
    live: ["1@n1 assigned", "2 pending", "3@n3 assigned"],
  },
  {
    property: "maxPerNode keeps no node from its one task",
    nodes: [n1, n2],
    service: { template: { placement: { maxPerNode: 1 } } },
    tasks: [t("a", 1, { node: "n1" })],
    live: ["1@n1 running", "2@n2 assigned"],
  },
  {
    property: "a no-execute taint empties its nodes at once, and keeps new tasks away",
    nodes: [n1, ...[n2, { name: "n3" }].map((node) => ({ ...node, taints: [OUT] }))],
    tasks: ON_ALL,
    live: ["1@n1 running", "2@n2 running!", "3@n3 running!"],
  },
  {
    property: "a task that waits for room holds up no other's leaving by a no-execute taint",
    nodes: [{ ...n1, memoryMiB: 100 }, { ...n2, taints: [OUT] }, n3],
    service: { template: { reserve: { cpus: 0, memoryMiB: 512 } } },
    tasks: ON_ALL.map((task) =>
      task.node === "n1" ? t("a", 1, { node: "n1", state: "lost" }) : task
    ),
    live: ["1 pending", "2@n2 running!", "3@n3 running"],
  },
  {
    property: "of two tasks on one node the running one stays",
    nodes: [n1],
    tasks: [t("a", 1, { node: "n1", state: "starting" }), t("b", 2, { node: "n1" })],
    live: ["1@n1 starting!", "2@n1 running"],
  },
  {
    property: "a stopped service stops everywhere",
    nodes: nodes(2),
    service: { stopped: true },
    tasks: ON_ALL.slice(0, 2),
    live: ["1@n1 running!", "2@n2 running!"],
  },
];

for (const { property, nodes, service, tasks, live } of CASES) {
  Deno.test(`global: ${property}`, () => {
    const made = world({ nodes, services: [agent(service)], tasks: tasks ?? [] });
    converge(made, counter("x"));
    assertEquals(liveOf(made, "agent"), live);
  });
}

Deno.test("global: a node keeps its slot through restarts, and a new node gets the lowest free one", () => {
  const made = world({ nodes: nodes(2), services: [agent()], tasks: ON_ALL.slice(0, 2) });
  const newId = counter("x");
  report(made, "a", "failed", 0, 20_000);
  addNode(made, { name: "n0" });
  converge(made, newId);
  assertEquals(liveOf(made, "agent"), ["1@n1 assigned", "2@n2 running", "3@n0 assigned"]);
});

Deno.test("global: the task of a node that fell silent is lost, replaced nowhere, and comes back with it", () => {
  const made = world({ nodes: nodes(2), services: [agent()], tasks: ON_ALL.slice(0, 2) });
  const newId = counter("x");
  const node = made.nodes.get(idOf("n2"));
  const other = made.nodes.get(idOf("n1"));
  if (!node || !other) throw new Error("no nodes");
  other.lastSeenMs = 7000;
  converge(made, newId, { nowMs: 7000 });
  assertEquals(liveOf(made, "agent"), ["1@n1 running"]);
  node.lastSeenMs = 8000;
  const seen = planAll(made, { nowMs: 8000 });
  applyActions(made, seen.actions, newId, 8000);
  converge(made, newId, { nowMs: 8000 });
  assertEquals(liveOf(made, "agent"), ["1@n1 running", "2@n2 assigned"]);
});

Deno.test("global: a node that becomes ready is noticed by planning the node alone", () => {
  const made = world({
    nodes: [n1, { ...n2, state: "joining" }],
    services: [agent()],
    tasks: ON_ALL.slice(0, 1),
  });
  const scope = { services: [], nodes: [idOf("n2")] };
  const { actions } = plan(made, 0, scope, OPTIONS);
  const kinds = actions.map((a) => a.kind === "create" ? `create ${a.nodeId}` : a.kind);
  assertEquals(kinds, ["mark", "create id-n2"]);
});

Deno.test("global: a waiting task names its node alone, and is placed there when there is room", () => {
  const made = world({
    nodes: [n1, { ...n2, memoryMiB: 1024 }],
    services: [
      agent({ template: { reserve: { cpus: 0, memoryMiB: 800 } } }),
      { name: "hog", template: { reserve: { cpus: 0, memoryMiB: 900 } } },
    ],
    tasks: [{ id: "h", service: "hog", slot: 1, node: "n2" }],
  });
  converge(made, counter("x"));
  assertEquals(liveOf(made, "agent"), ["1@n1 assigned", "2 pending"]);
  const waiting = [...made.tasks.values()].find(({ state }) => state === "pending");
  if (!waiting) throw new Error("nothing waits");
  assertEquals(
    waiting.task.why,
    "0 of 1 node fits: 1 lacks memory (smallest gap: 676 MiB of memory on n2)",
  );
  assertEquals(explain(made, waiting).nodes.map(({ node }) => node), ["n2"]);
  report(made, "h", "stopped");
  const hog = made.services.get(idOf("hog"));
  if (hog) hog.service = { ...hog.service, stopped: true };
  converge(made, counter("y"));
  assertEquals(liveOf(made, "agent"), ["1@n1 assigned", "2@n2 assigned"]);
});

Deno.test("global: a waiting task is told of rules that look at other nodes than its own", () => {
  const reserve = { cpus: 0, memoryMiB: 512 };
  const spread = [{ label: "zone", required: true }];
  const made = world({
    nodes: [
      { name: "n1", labels: { zone: "a" } },
      { name: "n2", labels: { zone: "a" } },
      { name: "n3", labels: { zone: "b" }, memoryMiB: 100 },
    ],
    services: [agent({ template: { reserve, placement: { spread } } })],
    tasks: [t("a", 1, { node: "n1" })],
  });
  converge(made, counter("x"));
  assertEquals(liveOf(made, "agent"), ["1@n1 running", "2 pending", "3 pending"]);
  const waiting = [...made.tasks.values()].find(({ task }) => task.pin === idOf("n2"));
  assertMatch(waiting?.task.why ?? "", /^0 of 1 node fits: 1 .*zone/);
  if (!waiting) throw new Error("nothing waits");
  const why = explain(made, waiting);
  assertEquals([why.summary, why.nodes.map(({ node }) => node)], [waiting.task.why, ["n2"]]);
});

Deno.test("global: a new revision replaces one node's task at a time, each on its own node", () => {
  const made = world({
    nodes: nodes(3),
    services: [agent({ revision: 2 })],
    tasks: ON_ALL.map((task) => ({ ...task, revision: 1 })),
  });
  const newId = counter("x");
  for (let round = 0; round < 12; round++) {
    converge(made, newId);
    const stopping = liveOf(made, "agent").filter((line) => line.endsWith("!"));
    assertEquals(stopping.length <= 1, true, stopping.join());
    settle(made);
  }
  assertEquals(liveOf(made, "agent"), ["1@n1 running", "2@n2 running", "3@n3 running"]);
  for (const { task, state } of made.tasks.values()) {
    if (state === "running") assertEquals(task.revision, 2);
  }
});

Deno.test("global: a task that a taint drives out is replaced on its node by a revision that stays", () => {
  const made = world({
    nodes: [{ ...n1, taints: [{ key: "repair", effect: "no-execute" }] }, n2],
    services: [agent()],
    tasks: [t("a", 1, { node: "n1" }), t("b", 2, { node: "n2" })],
  });
  const tolerations = [{ key: "repair", operator: "exists" as const }];
  addService(made, agent({ revision: 2, template: { placement: { tolerations } } }));
  const stops = planAll(made).actions.filter((action) => action.kind === "stop");
  assertEquals(stops.map(({ taskId }) => taskId), ["a"]);
});

Deno.test("global: turned into replicas, what runs is kept as far as it is wanted", () => {
  const made = world({ nodes: nodes(3), services: [agent()], tasks: ON_ALL });
  assertEquals(planAll(made).actions, []);
  const record = made.services.get(idOf("agent"));
  if (record) record.service = { ...record.service, mode: { type: "replicated", replicas: 2 } };
  converge(made, counter("x"));
  assertEquals(liveOf(made, "agent"), ["1@n1 running", "2@n2 running", "3@n3 running!"]);
});
