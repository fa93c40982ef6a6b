import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { filtersFor } from "../../scheduler/filters.ts";
import { ask, type Overlay, overlayOf, rank, type Request, take } from "../../scheduler/overlay.ts";
import { place } from "../../scheduler/place.ts";
import { ownPreference, preferencesFor, sharedPreference } from "../../scheduler/rules/rules.ts";
import { scoreOf, type Strategy } from "../../scheduler/scores.ts";
import { STRATEGIES } from "../../scheduler/strategies/table.ts";
import type { Affinity, Placement, Toleration } from "../../kv/schema/placement.ts";
import type { StrategyName } from "../../kv/schema/service.ts";
import type { z } from "zod";
import {
  addTask,
  idOf,
  type NodeInput,
  nodes,
  requestFor,
  type ServiceInput,
  world,
} from "../support/world.ts";

const NAMES = Object.keys(STRATEGIES) as StrategyName[];

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
