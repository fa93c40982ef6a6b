import { assert, assertEquals } from "@std/assert";
import { describe } from "../../scheduler/action.ts";
import { explain } from "../../scheduler/why.ts";
import {
  addService,
  applyActions,
  converge,
  counter,
  idOf,
  liveOf,
  nodes,
  planAll,
  report,
  type ServiceInput,
  settle,
  type TaskInput,
  world,
} from "../support/world.ts";

const core = { template: { reserve: { cpus: 1 } } };

interface Case {
  property: string;
  nodes?: ReturnType<typeof nodes>;
  services: ServiceInput[];
  tasks: TaskInput[];
  /** Ids of the tasks that the first plan stops. */
  stops: string[];
}

const CASES: Case[] = [
  {
    property: "a task of lower priority makes room",
    services: [{ name: "high", priority: 1, ...core }, { name: "low", ...core }],
    tasks: [{ id: "a", service: "low", slot: 1, node: "n1" }],
    stops: ["a"],
  },
  {
    property: "equal priority does not",
    services: [{ name: "high", ...core }, { name: "low", ...core }, {
      name: "lower",
      priority: -1,
    }],
    tasks: [{ id: "a", service: "low", slot: 1, node: "n1" }],
    stops: [],
  },
  {
    property: "nothing is stopped that does not make the task fit",
    services: [
      { name: "high", priority: 1, template: { reserve: { cpus: 2 } } },
      { name: "low", ...core },
    ],
    tasks: [{ id: "a", service: "low", slot: 1, node: "n1" }],
    stops: [],
  },
  {
    property: "the lowest priority goes first, though it takes more tasks",
    nodes: nodes(2, { cpus: 1 }),
    services: [
      { name: "high", priority: 2, ...core },
      { name: "mid", priority: 1, ...core },
      { name: "low", replicas: 2, maxUnavailable: 2, template: { reserve: { cpus: 0.5 } } },
    ],
    tasks: [
      { id: "a", service: "mid", slot: 1, node: "n1" },
      { id: "b", service: "low", slot: 1, node: "n2" },
      { id: "c", service: "low", slot: 2, node: "n2" },
    ],
    stops: ["c", "b"],
  },
  {
    property: "at the same priority the fewest go",
    nodes: nodes(2, { cpus: 1 }),
    services: [
      { name: "high", priority: 2, ...core },
      { name: "one", ...core },
      { name: "two", replicas: 2, maxUnavailable: 2, template: { reserve: { cpus: 0.5 } } },
    ],
    tasks: [
      { id: "a", service: "two", slot: 1, node: "n1" },
      { id: "b", service: "two", slot: 2, node: "n1" },
      { id: "c", service: "one", slot: 1, node: "n2" },
    ],
    stops: ["c"],
  },
  {
    property: "no more goes than is needed",
    nodes: nodes(1, { cpus: 2 }),
    services: [
      { name: "high", priority: 2, ...core },
      { name: "low", replicas: 2, maxUnavailable: 2, ...core },
    ],
    tasks: [
      { id: "a", service: "low", slot: 1, node: "n1" },
      { id: "b", service: "low", slot: 2, node: "n1" },
    ],
    stops: ["b"],
  },
  {
    property: "the disruption budget holds: two would have to go, and one may",
    nodes: nodes(1, { cpus: 2 }),
    services: [
      { name: "high", priority: 2, template: { reserve: { cpus: 2 } } },
      { name: "low", replicas: 2, ...core },
    ],
    tasks: [
      { id: "a", service: "low", slot: 1, node: "n1" },
      { id: "b", service: "low", slot: 2, node: "n1" },
    ],
    stops: [],
  },
  {
    property: "the disruption budget counts what is down already",
    nodes: nodes(1, { cpus: 1 }),
    services: [{ name: "high", priority: 2, ...core }, { name: "low", replicas: 2, ...core }],
    tasks: [
      { id: "a", service: "low", slot: 1, node: "n1" },
      {
        id: "b",
        service: "low",
        slot: 2,
        why: "0 of 1 node fits: 1 lacks CPU (smallest gap: 1 core on n1)",
      },
    ],
    stops: [],
  },
  {
    property: "what does not run yet serves nobody and needs no budget",
    services: [{ name: "high", priority: 1, ...core }, { name: "low", maxUnavailable: 0, ...core }],
    tasks: [{ id: "a", service: "low", slot: 1, node: "n1", state: "preparing" }],
    stops: ["a"],
  },
  {
    property: "a host port is room as well",
    services: [
      {
        name: "high",
        priority: 1,
        template: { ports: [{ target: 80, published: 80, mode: "host" }] },
      },
      { name: "low", template: { ports: [{ target: 81, published: 80, mode: "host" }] } },
    ],
    tasks: [{ id: "a", service: "low", slot: 1, node: "n1" }],
    stops: ["a"],
  },
  {
    property: "a required anti-affinity is lifted by stopping who it is about",
    services: [
      {
        name: "high",
        priority: 1,
        template: {
          placement: { affinity: [{ to: { service: "low" }, anti: true, required: true }] },
        },
      },
      { name: "low" },
    ],
    tasks: [{ id: "a", service: "low", slot: 1, node: "n1" }],
    stops: ["a"],
  },
  {
    property: "constraints are not lifted by stopping anything",
    services: [
      {
        name: "high",
        priority: 1,
        template: { reserve: { cpus: 1 }, placement: { constraints: ["node.name==n9"] } },
      },
      { name: "low", ...core },
    ],
    tasks: [{ id: "a", service: "low", slot: 1, node: "n1" }],
    stops: [],
  },
  {
    property: "room that is being made already is waited for",
    nodes: nodes(2, { cpus: 1 }),
    services: [
      { name: "high", priority: 1, ...core },
      { name: "low", ...core },
      { name: "gone", replicas: 0, priority: 5, ...core },
    ],
    tasks: [
      { id: "a", service: "low", slot: 1, node: "n1" },
      { id: "b", service: "gone", slot: 1, node: "n2", desired: "stop" },
    ],
    stops: [],
  },
];

for (const { property, stops, services, tasks, ...input } of CASES) {
  Deno.test(`preemption: ${property}`, () => {
    const made = world({ nodes: input.nodes ?? nodes(1, { cpus: 1 }), services, tasks });
    const { actions } = planAll(made);
    assertEquals(actions.flatMap((a) => a.kind === "stop" ? [a.taskId] : []), stops);
    const waits = actions.find((a) => a.kind === "create" && a.serviceId === idOf("high"));
    assert(waits?.kind === "create" && waits.nodeId === undefined, "it waits for the stop");
    const newId = counter();
    applyActions(made, actions, newId, 0);
    assertEquals(planAll(made).actions.map(describe), [], "the next plan has nothing to add");
  });
}

Deno.test("the stop names the preemptor, the waiting task where room is made for it", () => {
  const made = world({
    nodes: nodes(1, { cpus: 1 }),
    services: [{ name: "high", priority: 7, ...core }, { name: "low", ...core }],
    tasks: [{ id: "a", service: "low", slot: 1, node: "n1" }],
  });
  const { actions } = planAll(made);
  assertEquals(actions.map((a) => "why" in a && a.why), [
    "preempted by high.1, which has priority 7",
    "waits for room on n1: tasks are stopping there",
  ]);
  applyActions(made, actions, counter(), 0);
  const [record] = made.services.get(idOf("high"))?.live.get(1) ?? [];
  assertEquals(record?.task.nominated, idOf("n1"));
  assert(record);
  assertEquals(explain(made, record).summary, "waits for room on n1: tasks are stopping there");
});

Deno.test("the preempted task's room goes to the preemptor, and its successor waits", () => {
  const made = world({
    nodes: nodes(1, { cpus: 1 }),
    services: [{ name: "high", priority: 1, ...core }, { name: "low", ...core }],
    tasks: [{ id: "a", service: "low", slot: 1, node: "n1" }],
  });
  const newId = counter();
  converge(made, newId);
  report(made, "a", "stopped");
  converge(made, newId);
  assertEquals(liveOf(made, "high"), ["1@n1 assigned"]);
  assertEquals(liveOf(made, "low"), ["1 pending"]);
  const [high] = made.services.get(idOf("high"))?.live.get(1) ?? [];
  assertEquals([high?.task.nominated, high?.task.why], [undefined, undefined]);
});

Deno.test("room that is being made is not taken by lower priority, even when that is planned alone", () => {
  const made = world({
    nodes: nodes(1, { cpus: 4 }),
    services: [
      { name: "high", priority: 5, template: { reserve: { cpus: 4 } } },
      { name: "low", template: { reserve: { cpus: 3 } } },
    ],
    tasks: [{ id: "a", service: "low", slot: 1, node: "n1" }],
  });
  const newId = counter();
  converge(made, newId);
  // One core is free while the three others are being freed.
  addService(made, { name: "thief", priority: 1, ...core });
  applyActions(made, planAll(made, { service: "thief" }).actions, newId, 0);
  assertEquals(liveOf(made, "thief"), ["1 pending"]);
  report(made, "a", "stopped");
  applyActions(made, planAll(made, { service: "thief" }).actions, newId, 0);
  assertEquals(liveOf(made, "thief"), ["1 pending"]);
  assertEquals(liveOf(made, "high"), ["1@n1 assigned"]);
});

Deno.test("what waits for room is no company yet: who has to be with it waits, too", () => {
  const ports = [{ target: 80, published: 80, mode: "host" as const }];
  const affinity = [{ to: { service: "high" }, required: true }];
  const made = world({
    nodes: nodes(1),
    services: [
      { name: "high", priority: 2, template: { ports } },
      { name: "friend", priority: 1, template: { placement: { affinity } } },
      { name: "low", template: { ports } },
    ],
    tasks: [{ id: "a", service: "low", slot: 1, node: "n1" }],
  });
  const newId = counter();
  converge(made, newId);
  assertEquals(["high", "friend"].map((name) => liveOf(made, name)), [["1 pending"], [
    "1 pending",
  ]]);
  report(made, "a", "stopped");
  converge(made, newId);
  const there = ["1@n1 assigned"];
  assertEquals(["high", "friend"].map((name) => liveOf(made, name)), [there, there]);
});

Deno.test("nominations of different sizes are kept: nothing more is stopped", () => {
  const made = world({
    nodes: nodes(2, { cpus: 4 }),
    services: [
      { name: "small", priority: 9, ...core },
      { name: "large", priority: 8, template: { reserve: { cpus: 4 } } },
      { name: "one", ...core },
      { name: "four", template: { reserve: { cpus: 4 } } },
      { name: "filler", priority: 9, template: { reserve: { cpus: 3 } } },
    ],
    tasks: [
      { id: "a", service: "four", slot: 1, node: "n1" },
      { id: "b", service: "one", slot: 1, node: "n2" },
      { id: "c", service: "filler", slot: 1, node: "n2" },
    ],
  });
  const newId = counter();
  const done = converge(made, newId).flat();
  assertEquals(done.flatMap((a) => a.kind === "stop" ? [a.taskId] : []).sort(), ["a", "b"]);
  settle(made);
  converge(made, newId);
  assertEquals(liveOf(made, "small"), ["1@n2 assigned"]);
  assertEquals(liveOf(made, "large"), ["1@n1 assigned"]);
});

Deno.test("higher priority is placed first, whatever the order in scope", () => {
  const made = world({
    nodes: nodes(1, { cpus: 1 }),
    services: [{ name: "a", ...core }, { name: "b", priority: 1, ...core }],
  });
  converge(made, counter());
  assertEquals(liveOf(made, "b"), ["1@n1 assigned"]);
  assertEquals(liveOf(made, "a"), ["1 pending"]);
});
