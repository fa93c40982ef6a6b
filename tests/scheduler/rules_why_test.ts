import { assert, assertEquals } from "@std/assert";
import { explain } from "../../scheduler/why.ts";
import { addTask } from "../support/world.ts";
import { made, type Scene, zones } from "./rules_support.ts";

interface WhyCase extends Scene {
  what: string;
  summary: string;
  remedy: string;
}

const WHY: WhyCase[] = [
  {
    what: "a constraint on a label",
    nodes: zones("b", "b"),
    placement: { constraints: ["node.labels.zone==a"] },
    summary: "0 of 2 nodes fit: 2 do not meet node.labels.zone==a",
    remedy: "set label zone=a on n1 or drop the constraint",
  },
  {
    what: "several constraints",
    nodes: zones("b"),
    placement: { constraints: ["node.labels.zone==a", "node.ip==192.168.0.0/16"] },
    summary: "0 of 1 node fits: 1 does not meet node.labels.zone==a and node.ip==192.168.0.0/16",
    remedy: "set label zone=a on n1 and add a node with node.ip 192.168.0.0/16 or drop these " +
      "constraints",
  },
  {
    what: "a pool",
    nodes: zones(""),
    placement: { pool: "edge" },
    summary: "0 of 1 node fits: 1 is not in pool edge",
    remedy: "put n1 into pool edge or ask for no pool",
  },
  {
    what: "a taint",
    nodes: [{ name: "n1", taints: [{ key: "gpu", value: "yes", effect: "no-schedule" }] }],
    placement: {},
    summary: "0 of 1 node fits: 1 has taint gpu=yes:no-schedule",
    remedy: "tolerate gpu=yes:no-schedule or remove it from n1",
  },
  {
    what: "the limit per node",
    nodes: zones(""),
    placement: { maxPerNode: 1 },
    there: ["web@n1"],
    summary: "0 of 1 node fits: 1 has 1 task of the service",
    remedy: "add a node or raise maxPerNode to 2",
  },
  {
    what: "no company",
    nodes: zones("a", "b"),
    placement: { affinity: [{ to: { service: "db" }, required: true, topology: "zone" }] },
    summary: "0 of 2 nodes fit: 2 have no task of db in their zone",
    remedy: "place a task of db on zone a or drop the affinity",
  },
  {
    what: "company that does not exist",
    nodes: zones(""),
    placement: { affinity: [{ to: { service: "cache", project: "shop" }, required: true }] },
    summary: "0 of 1 node fits: 1 has no task of shop/cache",
    remedy: "create service shop/cache or drop the affinity",
  },
  {
    what: "unwanted company",
    nodes: zones("a", "a"),
    placement: {
      affinity: [{ to: { service: "db" }, anti: true, required: true, topology: "zone" }],
    },
    there: ["db@n1"],
    summary: "0 of 2 nodes fit: 2 have a task of db in their zone",
    remedy: "move db away from zone a or drop the anti-affinity",
  },
  {
    what: "company that does not want it",
    nodes: zones("a"),
    placement: {},
    others: [{
      name: "db",
      template: {
        placement: { affinity: [{ to: { service: "web" }, anti: true, required: true }] },
      },
    }],
    there: ["db@n1"],
    summary: "0 of 1 node fits: 1 has a task of db, which keeps away",
    remedy: "move db away from n1 or drop the anti-affinity of db",
  },
  {
    what: "an uneven spread",
    nodes: [
      { name: "n1", labels: { zone: "a" } },
      { name: "n2", labels: { zone: "b" }, cpus: 0 },
      { name: "n3" },
    ],
    placement: { spread: [{ label: "zone", required: true }] },
    there: ["web@n1"],
    summary: "0 of 3 nodes fit: 1 does not carry label zone, 1 has enough in its zone, " +
      "1 lacks CPU (smallest gap: 1 core on n2)",
    remedy: "lower the reservation to 0 cores",
  },
];

for (const { what, summary, remedy, ...input } of WHY) {
  Deno.test(`why a task waits: ${what}`, () => {
    const scene = made(input);
    addTask(scene, { id: "w", service: "web", slot: 99 });
    const record = scene.tasks.get("w");
    assert(record);
    const why = explain(scene, record);
    assertEquals(why.summary, summary);
    assertEquals(why.remedy, remedy);
  });
}

Deno.test("why of a placed task names the preferences beside the strategy's scorers", () => {
  const scene = made({
    nodes: [
      ...zones("a", "b"),
      { name: "n3", taints: [{ key: "old", effect: "prefer-no-schedule" }] },
    ],
    placement: {
      affinity: [{ to: { service: "web" }, anti: true, weight: 3 }],
      spread: [{ label: "zone", weight: 7 }],
    },
    there: ["web@n1", "web@n2", "web@n2"],
  });
  const record = scene.tasks.get("t0");
  assert(record);
  const { nodes, summary } = explain(scene, record);
  assertEquals(nodes.map(({ node, preference }) => [node, preference]), [
    ["n1", 0],
    ["n2", 20],
    ["n3", 1e9 + 100],
  ]);
  assertEquals(Object.keys(nodes[1]?.scores ?? {}), [
    "taints",
    "affinity",
    "spread",
    "failing",
    "siblings",
    "load",
  ]);
  assertEquals(nodes[1]?.scores?.["affinity"], 6);
  assertEquals(
    summary,
    "running on n1, number 1 by spread as things are now (3 of 3 nodes fit now)",
  );
});
