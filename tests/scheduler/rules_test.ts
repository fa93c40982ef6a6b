import { assert, assertEquals } from "@std/assert";
import { overlayOf, requestOf } from "../../scheduler/overlay.ts";
import { place } from "../../scheduler/place.ts";
import { STRATEGIES } from "../../scheduler/strategies/table.ts";
import type { World } from "../../scheduler/world.ts";
import {
  addService,
  converge,
  counter,
  idOf,
  liveOf,
  type NodeInput,
  planAll,
  report,
  settle,
  world,
} from "../support/world.ts";
import { made, type Scene, zones } from "./rules_support.ts";

interface Case extends Scene {
  rule: string;
  /** The nodes that the next tasks of `web` get, in order; fewer than `tasks` when no more fit. */
  chosen: string[];
  tasks?: number;
}

const CONSTRAINTS: [constraint: string, node: Omit<NodeInput, "name">, meets: boolean][] = [
  ["node.labels.zone==a", { labels: { zone: "a" } }, true],
  ["node.labels.zone==a", { labels: { zone: "A" } }, true],
  ["node.labels.zone==a", { labels: { zone: "b" } }, false],
  ["node.labels.zone==a", {}, false],
  ["node.labels.zone!=a", {}, true],
  ["node.labels.zone!=a", { labels: { zone: "a" } }, false],
  ["engine.labels.disk==ssd", { engineLabels: { disk: "ssd" } }, true],
  ["engine.labels.disk==ssd", { labels: { disk: "ssd" } }, false],
  ["node.name==n1", {}, true],
  ["node.id==id-n1", {}, true],
  ["node.hostname==n1", {}, true],
  ["node.hostname==n1", { hostname: "box" }, false],
  ["node.hostname==box", { hostname: "box" }, true],
  ["node.pool==edge", { pool: "edge" }, true],
  ["node.pool!=default", {}, false],
  ["node.platform.os==Linux", {}, true],
  ["node.platform.arch==amd64", { arch: "x86_64" }, true],
  ["node.platform.arch==x86_64", { arch: "amd64" }, true],
  ["node.platform.arch==arm64", { arch: "x86_64" }, false],
  ["node.ip==10.0.0.0/24", { address: "10.0.0.7" }, true],
  ["node.ip!=10.0.0.0/24", { address: "10.0.0.7" }, false],
  ["node.ip==2001:db8::/32", { address: "2001:db8::7" }, true],
  ["node.ip==10.0.0.0/8", { address: "n1.example" }, false],
  ["node.ip!=10.0.0.0/8", { address: "n1.example" }, true],
];

for (const [constraint, node, meets] of CONSTRAINTS) {
  const what = JSON.stringify(node);
  Deno.test(`constraint ${constraint}: node ${what} ${meets ? "meets" : "fails"} it`, () => {
    const made = world({
      nodes: [{ ...node, name: "n1" }],
      services: [{ name: "web", template: { placement: { constraints: [constraint] } } }],
    });
    assertEquals(placed(made, 1), meets ? ["n1"] : []);
  });
}

const CASES: Case[] = [
  {
    rule: "a pool is asked for by name",
    nodes: [{ name: "n1" }, { name: "n2", pool: "edge" }],
    placement: { pool: "edge" },
    chosen: ["n2"],
  },
  {
    rule: "taints no-schedule and no-execute keep tasks away, prefer-no-schedule comes last",
    nodes: [
      { name: "n1", taints: [{ key: "a", effect: "no-schedule" }] },
      { name: "n2", taints: [{ key: "a", effect: "no-execute" }] },
      { name: "n3", taints: [{ key: "a", effect: "prefer-no-schedule" }] },
      { name: "n4" },
    ],
    placement: { maxPerNode: 1 },
    tasks: 3,
    chosen: ["n4", "n3"],
  },
  {
    rule: "a toleration with exists takes every value of its key",
    nodes: [{ name: "n1", taints: [{ key: "gpu", value: "x", effect: "no-schedule" }] }],
    placement: { tolerations: [{ key: "gpu", operator: "exists" }] },
    chosen: ["n1"],
  },
  {
    rule: "a toleration with equal takes its value only",
    nodes: [
      { name: "n1", taints: [{ key: "gpu", value: "x", effect: "no-schedule" }] },
      { name: "n2", taints: [{ key: "gpu", value: "y", effect: "no-schedule" }] },
    ],
    placement: { tolerations: [{ key: "gpu", value: "y" }] },
    tasks: 2,
    chosen: ["n2", "n2"],
  },
  {
    rule: "a toleration for one effect leaves the others",
    nodes: [{ name: "n1", taints: [{ key: "gpu", effect: "no-execute" }] }],
    placement: { tolerations: [{ key: "gpu", operator: "exists", effect: "no-schedule" }] },
    chosen: [],
  },
  {
    rule: "maxPerNode counts the service's own tasks",
    nodes: [{ name: "n1" }, { name: "n2" }],
    placement: { maxPerNode: 2, strategy: "binpack" },
    there: ["web@n1", "db@n2"],
    tasks: 5,
    chosen: ["n1", "n2", "n2"],
  },
  {
    rule: "required affinity to nodes is a constraint",
    nodes: zones("a", "b"),
    placement: { affinity: [{ to: { constraint: "node.labels.zone==b" }, required: true }] },
    chosen: ["n2"],
  },
  {
    rule: "required anti-affinity to nodes is the opposite",
    nodes: zones("a", "b", ""),
    placement: {
      affinity: [{ to: { constraint: "node.labels.zone==a" }, required: true, anti: true }],
      maxPerNode: 1,
    },
    tasks: 3,
    chosen: ["n2", "n3"],
  },
  {
    rule: "preferred affinity to nodes comes before the strategy, and gives way to filters",
    nodes: zones("a", "b"),
    placement: {
      affinity: [{ to: { constraint: "node.labels.zone==b" } }],
      maxPerNode: 2,
    },
    tasks: 3,
    chosen: ["n2", "n2", "n1"],
  },
  {
    rule: "required affinity to a service: in its domain only",
    nodes: zones("a", "b", "b"),
    placement: {
      affinity: [{ to: { service: "db" }, required: true, topology: "zone" }],
      maxPerNode: 1,
    },
    there: ["db@n2"],
    tasks: 3,
    chosen: ["n3", "n2"],
  },
  {
    rule: "required affinity to a service without tasks: nowhere",
    nodes: zones("a"),
    placement: { affinity: [{ to: { service: "db" }, required: true }] },
    chosen: [],
  },
  {
    rule: "required affinity to itself: the first task goes anywhere, the others go with it",
    nodes: zones("a", "b", "b"),
    placement: {
      affinity: [{ to: { service: "web" }, required: true, topology: "zone" }],
      constraints: ["node.name!=n1"],
    },
    tasks: 3,
    chosen: ["n2", "n3", "n2"],
  },
  {
    rule: "required affinity to itself on a node: all on the first one",
    nodes: zones("", "", ""),
    placement: { affinity: [{ to: { service: "web" }, required: true }] },
    tasks: 3,
    chosen: ["n1", "n1", "n1"],
  },
  {
    rule: "required anti-affinity to itself: one a domain, and a node without the label is one",
    nodes: zones("a", "a", "b", "", ""),
    placement: {
      affinity: [{ to: { service: "web" }, anti: true, required: true, topology: "zone" }],
    },
    tasks: 9,
    chosen: ["n1", "n3", "n4", "n5"],
  },
  {
    rule: "preferred anti-affinity to itself spreads, whatever the strategy",
    nodes: zones("a", "a", "b"),
    placement: {
      affinity: [{ to: { service: "web" }, anti: true, topology: "zone" }],
      strategy: "binpack",
    },
    tasks: 4,
    chosen: ["n1", "n3", "n1", "n3"],
  },
  {
    rule: "a preferred affinity is met by one task and piles up no more",
    nodes: zones("", "", ""),
    placement: { affinity: [{ to: { service: "db" } }] },
    there: ["db@n2", "db@n2", "db@n3"],
    tasks: 3,
    chosen: ["n3", "n2", "n3"],
  },
  {
    rule: "the heavier preference wins",
    nodes: zones("a", "b"),
    placement: {
      affinity: [
        { to: { constraint: "node.labels.zone==a" }, weight: 10 },
        { to: { constraint: "node.labels.zone==b" }, weight: 11 },
      ],
    },
    chosen: ["n2"],
  },
  {
    rule: "a required anti-affinity of another service keeps this one away as well",
    nodes: zones("a", "a", "b"),
    placement: { maxPerNode: 1 },
    others: [{
      name: "db",
      template: {
        placement: {
          affinity: [{ to: { service: "web" }, anti: true, required: true, topology: "zone" }],
        },
      },
    }],
    there: ["db@n2"],
    tasks: 3,
    chosen: ["n3"],
  },
  {
    rule: "required spread: within the skew, and nodes without the label get nothing",
    nodes: zones("a", "b", "b", ""),
    placement: { spread: [{ label: "zone", required: true }], strategy: "binpack" },
    there: ["web@n2"],
    tasks: 4,
    chosen: ["n1", "n1", "n2", "n1"],
  },
  {
    rule: "required spread: a larger skew is used up",
    nodes: zones("a", "b"),
    placement: {
      spread: [{ label: "zone", required: true, maxSkew: 2 }],
      affinity: [{ to: { constraint: "node.labels.zone==a" } }],
    },
    tasks: 5,
    chosen: ["n1", "n1", "n2", "n1", "n2"],
  },
  {
    rule: "required spread: a full domain holds the others back",
    nodes: [
      { name: "n1", labels: { zone: "a" } },
      { name: "n2", labels: { zone: "b" }, cpus: 1 },
    ],
    placement: { spread: [{ label: "zone", required: true }] },
    tasks: 6,
    chosen: ["n1", "n2", "n1"],
  },
  {
    rule: "required spread: a domain that is down or excluded does not",
    nodes: [
      { name: "n1", labels: { zone: "a" } },
      { name: "n2", labels: { zone: "b" }, state: "down" },
      { name: "n3", labels: { zone: "c" } },
    ],
    placement: {
      spread: [{ label: "zone", required: true }],
      constraints: ["node.labels.zone!=c"],
    },
    tasks: 3,
    chosen: ["n1", "n1", "n1"],
  },
  {
    rule: "preferred spread: evenly, and nodes without the label last",
    nodes: zones("", "a", "b", "b"),
    placement: { spread: [{ label: "zone" }], maxPerNode: 2 },
    tasks: 8,
    chosen: ["n2", "n3", "n4", "n2", "n3", "n4", "n1", "n1"],
  },
];

/** Places tasks of `web`, each with a core. */
function placed(made: World, tasks: number): string[] {
  const template = made.services.get(idOf("web"))?.templates.get(1);
  assert(template);
  const strategy = STRATEGIES[template.placement.strategy ?? "spread"];
  const slots = Array.from({ length: tasks }, (_, i) => i + 1);
  return place(overlayOf(made), requestOf(idOf("web"), template), { strategy, slots })
    .map((node) => node.record.node.name);
}

for (const entry of CASES) {
  Deno.test(`rule: ${entry.rule}`, () => {
    assertEquals(placed(made(entry), entry.tasks ?? 1), entry.chosen);
  });
}

Deno.test("a no-execute taint moves tasks away one by one, except those that tolerate it", () => {
  const scene = world({
    nodes: [
      { name: "n1", taints: [{ key: "repair", effect: "no-execute" }] },
      { name: "n2" },
    ],
    services: [
      { name: "web", replicas: 2 },
      { name: "db", template: { placement: { tolerations: [{ operator: "exists" }] } } },
    ],
    tasks: [
      { id: "a", service: "web", slot: 1, node: "n1" },
      { id: "b", service: "web", slot: 2, node: "n1" },
      { id: "c", service: "db", slot: 1, node: "n1" },
    ],
  });
  assertEquals(planAll(scene).actions, [
    { kind: "stop", taskId: "a", why: "node n1 has taint repair:no-execute" },
  ]);
  const newId = counter();
  for (let round = 0; round < 9; round++) {
    converge(scene, newId);
    settle(scene);
  }
  assertEquals(liveOf(scene, "web"), ["1@n2 running", "2@n2 running"]);
  assertEquals(liveOf(scene, "db"), ["1@n1 running"]);
});

Deno.test("a task that waits for company is placed by the plan that places the company", () => {
  const scene = world({
    nodes: [{ name: "n1" }, { name: "n2" }],
    services: [{
      name: "app",
      template: { placement: { affinity: [{ to: { service: "db" }, required: true }] } },
    }],
  });
  const newId = counter();
  converge(scene, newId);
  assertEquals(liveOf(scene, "app"), ["1 pending"]);
  addService(scene, { name: "db", template: { placement: { node: "n2" } } });
  const { actions } = planAll(scene, { service: "db" });
  assertEquals(actions.map(({ kind }) => kind), ["create", "assign"]);
});

Deno.test("a task that waits for an even spread is placed when the fewest get more room", () => {
  const spread = [{ label: "zone", required: true }];
  const scene = world({
    nodes: [
      { name: "n1", labels: { zone: "a" }, cpus: 4 },
      { name: "n2", labels: { zone: "b" }, cpus: 1 },
    ],
    services: [
      { name: "web", replicas: 4, template: { reserve: { cpus: 1 }, placement: { spread } } },
      { name: "db", template: { reserve: { cpus: 1 } } },
    ],
    tasks: [{ id: "d", service: "db", slot: 1, node: "n2" }],
  });
  const newId = counter();
  converge(scene, newId);
  assertEquals(liveOf(scene, "web").filter((task) => task.endsWith("assigned")).length, 1);
  addService(scene, { name: "db", replicas: 0, template: { reserve: { cpus: 1 } } });
  converge(scene, newId);
  report(scene, "d", "stopped");
  converge(scene, newId);
  assertEquals(liveOf(scene, "web"), [
    "1@n1 assigned",
    "2@n2 assigned",
    "3@n1 assigned",
    "4 pending",
  ]);
});
