import { assertEquals } from "@std/assert";
import { overlayOf } from "../../scheduler/overlay.ts";
import { place } from "../../scheduler/place.ts";
import { scoreOf } from "../../scheduler/scores.ts";
import { STRATEGIES } from "../../scheduler/strategies/table.ts";
import type { Placement } from "../../kv/schema/placement.ts";
import type { StrategyName } from "../../kv/schema/service.ts";
import type { z } from "zod";
import {
  addService,
  idOf,
  type NodeInput,
  nodes,
  planAll,
  requestFor,
  type ServiceInput,
  type TaskInput,
  world,
} from "../support/world.ts";

interface StrategyCase {
  name: StrategyName;
  property: string;
  nodes: NodeInput[];
  services: ServiceInput[];
  tasks: TaskInput[];
  slots: number[];
  chosen: string[];
}

const reserve = { cpus: 1, memoryMiB: 512 };
const STRATEGY_CASES: StrategyCase[] = [
  {
    name: "spread",
    property: "fewest tasks of the service first, though that node is the busiest",
    nodes: nodes(2),
    services: [{ name: "web" }, { name: "db", template: { reserve } }],
    tasks: [
      { id: "a", service: "web", slot: 1, node: "n1" },
      { id: "b", service: "db", slot: 1, node: "n2" },
      { id: "c", service: "db", slot: 2, node: "n2" },
    ],
    slots: [2],
    chosen: ["n2"],
  },
  {
    name: "spread",
    property: "then the least load, then the lower id",
    nodes: nodes(3),
    services: [{ name: "web" }, { name: "db", template: { reserve } }],
    tasks: [{ id: "b", service: "db", slot: 1, node: "n1" }],
    slots: [1, 2, 3, 4],
    chosen: ["n2", "n3", "n1", "n2"],
  },
  {
    name: "binpack",
    property: "the fullest node until it is full",
    nodes: nodes(3, { cpus: 2 }),
    services: [{ name: "web", template: { reserve } }],
    tasks: [{ id: "a", service: "web", slot: 9, node: "n2" }],
    slots: [1, 2, 3],
    chosen: ["n2", "n1", "n1"],
  },
  {
    name: "epvm",
    property: "the node on which the task costs least",
    nodes: [{ name: "n1", memoryMiB: 2048 }, { name: "n2", memoryMiB: 8192 }],
    services: [{ name: "web", template: { reserve } }],
    tasks: [],
    slots: [1, 2],
    chosen: ["n2", "n2"],
  },
  {
    name: "roundrobin",
    property: "the node whose last placement is the longest ago",
    nodes: nodes(3),
    services: [{ name: "web" }],
    tasks: [],
    slots: [1, 2, 3, 4],
    chosen: ["n1", "n2", "n3", "n1"],
  },
];

for (const { name, property, slots, chosen, ...input } of STRATEGY_CASES) {
  Deno.test(`${name}: ${property}`, () => {
    const made = world(input);
    const placed = place(overlayOf(made), requestFor(made, "web"), {
      strategy: STRATEGIES[name],
      slots,
    });
    assertEquals(placed.map((node) => node.record.node.name), chosen);
  });
}

Deno.test("epvm: the marginal cost is that of Lieb's constant over memory, CPU and tasks", () => {
  const made = world({
    nodes: nodes(1),
    services: [{ name: "web", template: { reserve: { cpus: 1, memoryMiB: 1024 } } }],
    tasks: [{ id: "a", service: "web", slot: 1, node: "n1" }],
  });
  const [node] = overlayOf(made).candidates;
  if (!node) throw new Error("no node");
  const L = Math.pow(4 / 3, 1.5);
  const expected = 2 * (L ** 0.5 - L ** 0.25) + L ** 0.02 - L ** 0.01;
  const score = scoreOf(STRATEGIES.epvm, node, requestFor(made, "web"), 2);
  assertEquals(Math.abs(score - expected) < 1e-12, true, `${score} is not ${expected}`);
});

Deno.test("random: the same for the same ids, even-handed over many slots", () => {
  const made = world({ nodes: nodes(10), services: [{ name: "web" }] });
  const slots = Array.from({ length: 2000 }, (_, i) => i + 1);
  const choose = () =>
    place(overlayOf(made), requestFor(made, "web"), { strategy: STRATEGIES.random, slots })
      .map((node) => node.record.node.name);
  const first = choose();
  assertEquals(choose(), first);
  const counts = Map.groupBy(first, (name) => name);
  assertEquals(counts.size, 10);
  for (const [name, { length }] of counts) {
    assertEquals(length > 140 && length < 260, true, `${name} got ${length} of 2000`);
  }
});

Deno.test("random: no task looks at all nodes, whatever the service prefers", () => {
  const preferred: z.input<typeof Placement>[] = [
    {},
    { spread: [{ label: "zone" }] },
    { spread: [{ label: "zone", required: true }] },
    { affinity: [{ to: { service: "web" }, anti: true }] },
    { affinity: [{ to: { constraint: "node.name==n7" } }] },
  ];
  for (const placement of preferred) {
    const made = world({
      nodes: nodes(400).map((node, i) => ({ ...node, labels: { zone: `z${i % 3}` } })),
      services: [{ name: "web", template: { placement } }],
    });
    let looks = 0;
    const counting = STRATEGIES.random.map(({ weight, scorer }) => ({
      weight,
      scorer: {
        ...scorer,
        score(...args: Parameters<typeof scorer.score>) {
          looks++;
          return scorer.score(...args);
        },
      },
    }));
    const slots = Array.from({ length: 500 }, (_, i) => i + 1);
    const placed = place(overlayOf(made), requestFor(made, "web"), { strategy: counting, slots });
    assertEquals(placed.length, 500);
    assertEquals(looks <= 400 + 500 * 20, true, `${JSON.stringify(placement)}: ${looks} looks`);
  }
});

Deno.test("a service's own strategy overrides the cluster's", () => {
  const made = world({ strategy: "spread", nodes: nodes(3) });
  addService(made, { name: "web", replicas: 3, template: { placement: { strategy: "binpack" } } });
  const placed = planAll(made).actions.map((a) => a.kind === "create" ? a.nodeId : a.kind);
  assertEquals(placed, [idOf("n1"), idOf("n1"), idOf("n1")]);
});
