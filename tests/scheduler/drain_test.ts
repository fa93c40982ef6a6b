import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import type { World } from "../../scheduler/world.ts";
import {
  converge,
  counter,
  idOf,
  liveOf,
  nodes,
  planAll,
  settle,
  type TaskInput,
  world,
} from "../support/world.ts";

/** `replicas` tasks on n1, which drains; n2 has room. */
function draining(
  replicas: number,
  maxUnavailable: number,
  more: { tasks?: Partial<TaskInput>[]; deadlineMs?: number; sinceMs?: number } = {},
): World {
  const made = world({
    nodes: nodes(2),
    services: [{ name: "web", replicas, maxUnavailable }],
    tasks: Array.from({ length: replicas }, (_, i) => ({
      id: `t${i + 1}`,
      service: "web",
      slot: i + 1,
      node: "n1",
      ...more.tasks?.[i],
    })),
  });
  const node = made.nodes.get(idOf("n1"));
  if (!node) throw new Error("no node");
  node.drainSinceMs = more.sinceMs ?? 0;
  node.spec = {
    ...node.spec,
    availability: "drain",
    ...(more.deadlineMs === undefined ? {} : { drain: { deadlineMs: more.deadlineMs } }),
  };
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
];

for (const [property, made, stopped, nowMs] of CASES) {
  Deno.test(`drain: ${property}`, () => {
    const drained = made();
    for (const node of drained.nodes.values()) node.lastSeenMs = 1e9;
    assertEquals(stops(drained, nowMs), stopped);
  });
}

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
