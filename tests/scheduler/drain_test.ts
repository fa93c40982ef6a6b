import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import type { World } from "../../scheduler/world.ts";
import { putNode } from "../../scheduler/world_changes.ts";
import {
  converge,
  counter,
  idOf,
  liveOf,
  planAll,
  settle,
  type TaskInput,
  world,
} from "../support/world.ts";

const HUGE = { reserve: { cpus: 0, memoryMiB: 9000 } };
const OUT = { key: "out", effect: "no-execute" } as const;

interface More {
  tasks?: Partial<TaskInput>[];
  deadlineMs?: number;
  sinceMs?: number;
  /** Why they have to leave n1; default: it drains. */
  by?: "taint" | "both";
  /** The first task waits for room, of which no node has enough. */
  waits?: true;
}

/** `replicas` tasks on n1, which they have to leave; n2 has room. */
function draining(replicas: number, maxUnavailable: number, more: More = {}): World {
  const { by, deadlineMs, sinceMs = 0, waits } = more;
  const taints = by ? [OUT] : [];
  const made = world({
    nodes: [{ name: "n1", taints, seenMs: by ? sinceMs : 0 }, { name: "n2" }],
    services: [{ name: "web", replicas, maxUnavailable, template: waits ? HUGE : {} }],
    tasks: Array.from({ length: replicas }, (_, i) => ({
      id: `t${i + 1}`,
      service: "web",
      slot: i + 1,
      ...(waits && i === 0 ? {} : { node: "n1" }),
      ...more.tasks?.[i],
    })),
  });
  const node = made.nodes.get(idOf("n1"));
  if (!node) throw new Error("no node");
  const drain = deadlineMs === undefined ? {} : { drain: { deadlineMs } };
  const availability = by === "taint" ? "active" : "drain";
  const spec = { ...node.spec, availability, ...drain } as const;
  putNode(made, { node: node.node, spec }, by === "both" ? sinceMs + 3000 : sinceMs);
  return made;
}

const stops = (made: World, nowMs = 0) =>
  planAll(made, { nowMs }).actions.filter((a) => a.kind === "stop")
    .map((a) => "taskId" in a ? a.taskId : "");

const CASES: [property: string, made: () => World, stopped: string[], nowMs?: number][] = [
  ["a batch is as large as the budget", () => draining(5, 2), ["t1", "t2"]],
  ["a budget of the whole service moves it at once", () => draining(3, 3), ["t1", "t2", "t3"]],
  ["a budget of none stops nothing", () => draining(3, 0), []],
  [
    "a task that is down for another reason counts",
    () => draining(4, 2, { tasks: [{ node: "n2", state: "preparing" }] }),
    ["t2"],
  ],
  [
    "a task that is stopping counts",
    () => draining(4, 2, { tasks: [{ desired: "stop" }] }),
    ["t2"],
  ],
  [
    "a task that does not run yet is stopped at once",
    () => draining(2, 0, { tasks: [{ state: "starting" }] }),
    ["t1"],
  ],
  ["before the deadline the budget holds", () => draining(3, 0, { deadlineMs: 5000 }), [], 4999],
  [
    "at the deadline everything is stopped",
    () => draining(3, 0, { deadlineMs: 5000 }),
    ["t1", "t2", "t3"],
    5000,
  ],
  [
    "the deadline counts from when the drain began",
    () => draining(3, 0, { deadlineMs: 5000, sinceMs: 2000 }),
    [],
    6999,
  ],
  [
    "a task that waits for room counts, until the deadline",
    () => draining(2, 1, { waits: true, deadlineMs: 5000 }),
    [],
    4999,
  ],
  [
    "at the deadline a task that waits for room keeps no other one there",
    () => draining(2, 1, { waits: true, deadlineMs: 5000 }),
    ["t2"],
    5000,
  ],
  [
    "no-execute: a task that waits for room counts, until the deadline",
    () => draining(2, 1, { waits: true, deadlineMs: 5000, by: "taint" }),
    [],
    4999,
  ],
  [
    "no-execute: at the deadline a task that waits for room keeps no other one there",
    () => draining(2, 1, { waits: true, deadlineMs: 5000, by: "taint" }),
    ["t2"],
    5000,
  ],
  [
    "no-execute: the deadline counts from when the taint came",
    () => draining(3, 0, { deadlineMs: 5000, sinceMs: 2000, by: "taint" }),
    [],
    6999,
  ],
  [
    "no-execute: without one in the node's spec the deadline is an hour",
    () => draining(3, 0, { by: "taint" }),
    ["t1", "t2", "t3"],
    3600_000,
  ],
  [
    "a drain of a node that has long had such a taint has its whole time",
    () => draining(3, 0, { deadlineMs: 5000, by: "both" }),
    [],
    7999,
  ],
];

for (const [property, made, stopped, nowMs] of CASES) {
  Deno.test(`drain: ${property}`, () => {
    const drained = made();
    for (const node of drained.nodes.values()) node.lastSeenMs = 1e9;
    assertEquals(stops(drained, nowMs), stopped);
  });
}

Deno.test("drain: what the budget would have kept is told that the deadline has passed", () => {
  const made = draining(2, 1, { deadlineMs: 5000 });
  for (const node of made.nodes.values()) node.lastSeenMs = 1e9;
  const whys = planAll(made, { nowMs: 5000 }).actions.map((a) => a.kind === "stop" && a.why);
  assertEquals(whys, [
    "node n1 is being drained",
    "node n1 is being drained, and its deadline has passed",
  ]);
});

Deno.test("drain: a plan that waits for the deadline asks to be called then", () => {
  assertEquals(
    planAll(draining(3, 0, { deadlineMs: 5000 })).wakes.get(idOf("web")),
    5000,
  );
});

Deno.test("drain: whatever the budget, no more tasks are down than it allows, and the node gets empty", () =>
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 9 }),
      fc.integer({ min: 1, max: 5 }),
      (replicas, maxUnavailable) => {
        const made = draining(replicas, maxUnavailable);
        const newId = counter("u");
        const down = () =>
          replicas - liveOf(made, "web").filter((task) => task.endsWith(" running")).length;
        for (let round = 0; round < 60; round++) {
          converge(made, newId);
          assert(down() <= maxUnavailable, `${down()} down`);
          settle(made);
        }
        assertEquals(made.nodes.get(idOf("n1"))?.holding.size, 0);
        assertEquals(down(), 0);
      },
    ),
    { numRuns: 30 },
  ));
