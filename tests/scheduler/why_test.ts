import { assertEquals, assertStringIncludes } from "@std/assert";
import { explain } from "../../scheduler/why.ts";
import type { World } from "../../scheduler/world.ts";
import {
  applyActions,
  counter,
  idOf,
  type NodeInput,
  nodes,
  planAll,
  type ServiceInput,
  type TaskInput,
  world,
} from "../support/world.ts";

interface Case {
  name: string;
  nodes: NodeInput[];
  template: ServiceInput["template"];
  others?: ServiceInput[];
  tasks?: TaskInput[];
  summary: string;
  remedy: string;
}

function pendingWhy(made: World) {
  const record = made.services.get(idOf("web"))?.live.get(1)?.[0];
  if (!record) throw new Error("web.1 was not created");
  return { stored: record.task.why, why: explain(made, record) };
}

const holder: ServiceInput = {
  name: "db",
  template: {
    ports: [{ target: 80, published: 8080, mode: "host" }],
    reserve: { cpus: 1, memoryMiB: 3584 },
  },
};

const CASES: Case[] = [
  {
    name: "no node has joined",
    nodes: [],
    template: {},
    summary: "there are no nodes yet",
    remedy: "join a node: `berth node join-token` prints the line to run on it",
  },
  {
    name: "memory is short: the smallest gap and both ways to close it",
    nodes: [...nodes(2), { name: "n3", memoryMiB: 512 }],
    template: { reserve: { memoryMiB: 1024 } },
    others: [holder],
    tasks: [
      { id: "a", service: "db", slot: 1, node: "n1" },
      { id: "b", service: "db", slot: 2, node: "n2" },
    ],
    summary: "0 of 3 nodes fit: 3 lack memory (smallest gap: 512 MiB of memory on n1)",
    remedy: "free 512 MiB of memory on n1 or lower the reservation to 512 MiB of memory",
  },
  {
    name: "CPU is short, and the node is too small for it at all",
    nodes: nodes(1, { cpus: 1.5 }),
    template: { reserve: { cpus: 2 } },
    summary: "0 of 1 node fits: 1 lacks CPU (smallest gap: 0.5 cores on n1)",
    remedy: "lower the reservation to 1.5 cores",
  },
  {
    name: "each state of a node is said plainly",
    nodes: [
      { name: "n1", state: "down" },
      { name: "n2", state: "down" },
      { name: "n3", availability: "cordon" },
      { name: "n4", availability: "drain" },
      { name: "n5", state: "joining", seenMs: -7000 },
    ],
    template: {},
    summary: "0 of 5 nodes fit: 2 are down, 1 is cordoned, 1 is draining, 1 is joining",
    remedy: "wait for the agent of n5 to poll",
  },
  {
    name: "no node carries the label",
    nodes: nodes(2, { labels: { zone: "b" } }),
    template: { placement: { labels: { zone: "a" } } },
    summary: "0 of 2 nodes fit: 2 do not carry label zone=a",
    remedy: "set label zone=a on n1 or drop it from the placement",
  },
  {
    name: "the host port is held by a task",
    nodes: nodes(1),
    template: { ports: [{ target: 80, published: 8080, mode: "host" }] },
    others: [holder],
    tasks: [{ id: "a", service: "db", slot: 1, node: "n1" }],
    summary: "0 of 1 node fits: 1 has host port tcp/8080 taken",
    remedy: "free host port tcp/8080 on n1 or publish another",
  },
  {
    name: "the host port is held by something else",
    nodes: nodes(1, { usedPorts: [8080] }),
    template: { ports: [{ target: 80, published: 8080, protocol: "udp", mode: "host" }] },
    summary: "0 of 1 node fits: 1 has host port udp/8080 taken",
    remedy: "free host port udp/8080 on n1 or publish another",
  },
  {
    name: "no node has a GPU",
    nodes: nodes(2, {}),
    template: { container: { deviceRequests: [{ count: 1 }] } },
    summary: "0 of 2 nodes fit: 2 have no GPUs (smallest gap: 1 GPU on n1)",
    remedy: "start the worker of n1 with --gpus, if it has some",
  },
  {
    name: "more GPUs are asked for than a node has",
    nodes: [{ name: "n1", gpus: 2 }],
    template: { container: { deviceRequests: [{ deviceIds: ["0", "1", "2"] }] } },
    summary: "0 of 1 node fits: 1 lacks GPUs (smallest gap: 1 GPU on n1)",
    remedy: "ask for 2 GPUs at most",
  },
  {
    name: "the node asked for is down: the remedy is about that node",
    nodes: [{ name: "n1" }, { name: "n2", state: "down" }],
    template: { placement: { node: "n2" } },
    summary: "0 of 2 nodes fit: 1 is down, 1 is not node n2",
    remedy: "bring n2 back: see to its agent and its network",
  },
  {
    name: "many reasons: a node counts for its first one",
    nodes: [
      { name: "n1", memoryMiB: 512 },
      { name: "n2", memoryMiB: 768, labels: { zone: "a" } },
      { name: "n3", state: "down", memoryMiB: 512 },
      { name: "n4", memoryMiB: 640, labels: { zone: "a" } },
    ],
    template: { reserve: { memoryMiB: 1024 }, placement: { labels: { zone: "a" } } },
    summary: "0 of 4 nodes fit: 2 lack memory (smallest gap: 256 MiB of memory on n2), " +
      "1 does not carry label zone=a, 1 is down",
    remedy: "lower the reservation to 768 MiB of memory",
  },
];

for (const { name, summary, remedy, template, others = [], ...input } of CASES) {
  Deno.test(`why a task waits: ${name}`, () => {
    const web: ServiceInput = { name: "web", ...(template ? { template } : {}) };
    const made = world({ ...input, services: [web, ...others] });
    applyActions(made, planAll(made, { service: "web" }).actions, counter(), 0);
    const { stored, why } = pendingWhy(made);
    assertEquals(stored, summary, "the task row and the explanation agree");
    assertEquals(why.summary, summary);
    assertEquals(why.remedy, remedy);
    assertEquals(why.name, "web.1");
  });
}

Deno.test("why names every refusal of a node, and the task that holds its port", () => {
  const made = world({
    nodes: nodes(1, { availability: "cordon" }),
    services: [{ ...holder, name: "web", replicas: 0 }, holder],
    tasks: [
      { id: "a", service: "db", slot: 1, node: "n1" },
      { id: "b", service: "web", slot: 1 },
    ],
  });
  const record = made.tasks.get("b");
  if (!record) throw new Error("no task");
  const [verdict] = explain(made, record).nodes;
  assertEquals(verdict?.fits, false);
  assertEquals(verdict?.refusals.map(({ filter }) => filter), ["ready", "resources", "hostports"]);
  assertEquals(
    verdict?.refusals[1]?.reason,
    "n1 lacks 3072 MiB of memory: 3584 MiB of memory asked for, 512 MiB of memory free",
  );
  assertEquals(verdict?.refusals[2]?.reason, "on n1, host port tcp/8080 is held by task db.1");
});

Deno.test("why of a placed task scores the nodes as if it were placed now, without itself", () => {
  const made = world({
    nodes: nodes(2),
    services: [holder],
    tasks: [{ id: "a", service: "db", slot: 1, node: "n2" }],
  });
  const record = made.tasks.get("a");
  if (!record) throw new Error("no task");
  const why = explain(made, record);
  assertEquals(why.nodes.map(({ node, fits }) => [node, fits]), [["n1", true], ["n2", true]]);
  assertEquals(why.nodes[0]?.scores, why.nodes[1]?.scores, "both are empty without it");
  assertEquals(
    why.summary,
    "running on n2, number 2 by spread as things are now (2 of 2 nodes fit now)",
  );
  assertEquals(why.remedy, undefined);
});

Deno.test("why of an ended task says how it ended and where", () => {
  const made = world({
    nodes: nodes(1),
    services: [holder],
    tasks: [{ id: "a", service: "db", slot: 1, node: "n1", state: "lost", why: "node n1 is down" }],
  });
  const record = made.tasks.get("a");
  if (!record) throw new Error("no task");
  assertStringIncludes(explain(made, record).summary, "lost on n1: node n1 is down");
});
