import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { filtersFor } from "../../scheduler/filters.ts";
import {
  ask,
  type Overlay,
  overlayOf,
  rank,
  type Request,
  requestOf,
  take,
} from "../../scheduler/overlay.ts";
import { place } from "../../scheduler/place.ts";
import { ownPreference, preferencesFor, sharedPreference } from "../../scheduler/rules/rules.ts";
import { scoreOf, type Strategy } from "../../scheduler/scores.ts";
import { STRATEGIES } from "../../scheduler/strategies/table.ts";
import type { Affinity, Placement, Toleration } from "../../kv/schema/placement.ts";
import type { StrategyName } from "../../kv/schema/service.ts";
import type { z } from "zod";
import {
  addService,
  addTask,
  idOf,
  type NodeInput,
  nodes,
  planAll,
  type ServiceInput,
  type TaskInput,
  world,
} from "../support/world.ts";

const NAMES = Object.keys(STRATEGIES) as StrategyName[];

function requestFor(made: ReturnType<typeof world>, service: string): Request {
  const record = made.services.get(idOf(service));
  const template = record?.templates.get(record.service.revision);
  if (!template) throw new Error(`no service ${service}`);
  return requestOf(idOf(service), template);
}

/** The definition of placement: every task looks at every node. */
function fullScan(
  overlay: Overlay,
  request: Request,
  strategy: Strategy,
  slots: readonly number[],
): string[] {
  const chosen: string[] = [];
  const filters = filtersFor(overlay, request);
  const preferences = preferencesFor(request);
  rank(overlay);
  for (const slot of slots) {
    const scored = overlay.candidates.filter((node) => filters.every((f) => f.check(node, request)))
      .map((node) => {
        ask(node, request);
        const preference = ownPreference(preferences, node, request) +
          sharedPreference(preferences, node, request);
        return { node, preference, score: scoreOf(strategy, node, request, slot) };
      })
      .sort((a, b) =>
        a.preference - b.preference || a.score - b.score ||
        (a.node.record.node.id < b.node.record.node.id ? -1 : 1)
      );
    const best = scored[0]?.node;
    if (!best) break;
    take(overlay, best, request);
    chosen.push(best.record.node.name);
  }
  return chosen;
}

const effects = ["no-schedule", "prefer-no-schedule", "no-execute"] as const;

const someNodes: fc.Arbitrary<NodeInput[]> = fc.array(
  fc.record({
    cpus: fc.constantFrom(0, 1, 4),
    memoryMiB: fc.constantFrom(0, 512, 4096),
    labels: fc.constantFrom<Record<string, string>>(
      {},
      { zone: "a" },
      { zone: "b" },
      { zone: "a", rack: "r1" },
      { zone: "b", rack: "r2" },
      { rack: "r2" },
    ),
    availability: fc.constantFrom<("active" | "cordon")[]>("active", "active", "active", "cordon"),
    usedPorts: fc.constantFrom<number[][]>([], [], [8080]),
    pool: fc.constantFrom("default", "default", "edge"),
    taints: fc.array(
      fc.record({ key: fc.constantFrom("gpu", "old"), effect: fc.constantFrom(...effects) }),
      { maxLength: 1 },
    ),
  }),
  { maxLength: 12 },
).map((list) => list.map((node, i) => ({ ...node, name: `n${i + 1}` })));

const anAffinity: fc.Arbitrary<z.input<typeof Affinity>> = fc.record({
  to: fc.constantFrom(
    { service: "web" },
    { service: "db" },
    { service: "absent" },
    { constraint: "node.labels.zone==a" },
  ),
  label: fc.constantFrom("node", "zone", "rack"),
  anti: fc.boolean(),
  required: fc.constantFrom(false, false, true),
  weight: fc.constantFrom(1, 50),
}).map(({ label, ...affinity }) => ({
  ...affinity,
  topology: "constraint" in affinity.to ? "node" : label,
}));

const aPlacement: fc.Arbitrary<z.input<typeof Placement>> = fc.oneof(
  fc.constantFrom<z.input<typeof Placement>>(
    {},
    { labels: { zone: "a" } },
    { node: "n2" },
    { constraints: ["node.labels.rack!=r1"] },
    { pool: "edge" },
    { tolerations: [{ key: "gpu", operator: "exists" }] },
  ),
  fc.record({
    tolerations: fc.constantFrom<z.input<typeof Toleration>[][]>([], [{ operator: "exists" }]),
    affinity: fc.array(anAffinity, { maxLength: 3 }),
    spread: fc.array(
      fc.record({
        label: fc.constantFrom("zone", "rack"),
        maxSkew: fc.integer({ min: 1, max: 2 }),
        required: fc.boolean(),
      }),
      { maxLength: 2 },
    ),
    maxPerNode: fc.constantFrom(3, 100),
  }),
);

const aTemplate: fc.Arbitrary<NonNullable<ServiceInput["template"]>> = fc.record({
  reserve: fc.record({
    cpus: fc.constantFrom(0, 0.25, 1),
    memoryMiB: fc.constantFrom(0, 100, 512),
  }),
  ports: fc.constantFrom([], [], [], [{ target: 80, published: 8080, mode: "host" }]),
  placement: aPlacement,
});

Deno.test("place chooses what a full scan for every task would choose, by every strategy", () => {
  fc.assert(
    fc.property(
      someNodes,
      aTemplate,
      fc.constantFrom<z.input<typeof Placement>>(
        {},
        {},
        { affinity: [{ to: { service: "web" }, anti: true, required: true, topology: "zone" }] },
      ),
      fc.array(fc.nat(11), { maxLength: 8 }),
      fc.integer({ min: 0, max: 40 }),
      fc.constantFrom(...NAMES),
      fc.array(fc.nat(11), { maxLength: 3 }),
      (machines, template, placement, taken, count, name, failing) => {
        const made = world({
          nodes: machines,
          services: [{ name: "web", template }, {
            name: "db",
            template: { reserve: { cpus: 0.5 }, placement },
          }],
        });
        for (const [i, at] of taken.entries()) {
          const node = machines[at]?.name;
          if (node) {
            addTask(made, { id: `t${i}`, service: i % 2 ? "db" : "web", slot: i + 1, node });
          }
        }
        for (const at of failing) {
          const status = made.nodes.get(idOf(machines[at]?.name ?? ""))?.status;
          if (status) status.failing = { [idOf("web")]: "two of its tasks failed there" };
        }
        const slots = Array.from({ length: count }, (_, i) => i + 1);
        const strategy = STRATEGIES[name];
        const request = requestFor(made, "web");
        const scanned = fullScan(overlayOf(made), request, strategy, slots);
        const placed = place(overlayOf(made), request, { strategy, slots });
        assertEquals(placed.map((node) => node.record.node.name), scanned);
      },
    ),
    { numRuns: 1500, seed: 7 },
  );
});

Deno.test("place never writes to the world", () => {
  const made = world({
    nodes: nodes(3),
    services: [{
      name: "web",
      template: { reserve: { cpus: 1 }, ports: [{ target: 80, published: 80, mode: "host" }] },
    }],
  });
  const before = structuredClone(made);
  place(overlayOf(made), requestFor(made, "web"), {
    strategy: STRATEGIES.roundrobin,
    slots: [1, 2, 3, 4],
  });
  assertEquals(made, before);
});

Deno.test("two placements on one overlay see each other's tasks", () => {
  const made = world({
    nodes: nodes(2),
    services: [
      { name: "web", template: { ports: [{ target: 80, published: 80, mode: "host" }] } },
      { name: "db", template: { ports: [{ target: 81, published: 80, mode: "host" }] } },
    ],
  });
  const overlay = overlayOf(made);
  const options = { strategy: STRATEGIES.spread, slots: [1] };
  const [first] = place(overlay, requestFor(made, "web"), options);
  const [second] = place(overlay, requestFor(made, "db"), options);
  assertEquals([first, second].map((node) => node?.record.node.name), ["n1", "n2"]);
  assertEquals(place(overlay, requestFor(made, "db"), options), []);
});

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
