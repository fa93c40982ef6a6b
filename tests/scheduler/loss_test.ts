import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { MASS_LOSS } from "../../scheduler/loss.ts";
import { strictWaitAfterRemovalMs, strictWaitMs } from "../../scheduler/strict.ts";
import type { World } from "../../scheduler/world.ts";
import { dropNode } from "../../scheduler/world_changes.ts";
import {
  converge,
  counter,
  idOf,
  liveOf,
  nodes,
  planAll,
  type ServiceInput,
  settle,
  world,
} from "../support/world.ts";

const TTL_MS = 6000;

/** A service with one task on n1, which falls silent at 0; n2 stays. */
function cutOff(service: Omit<ServiceInput, "name"> = {}): World {
  const made = world({
    nodes: nodes(2),
    services: [{ name: "web", ...service }],
    tasks: [{ id: "a", service: "web", slot: 1, node: "n1" }],
  });
  seen(made, "n2", 1e9);
  return made;
}

function seen(made: World, name: string, atMs: number): void {
  const node = made.nodes.get(idOf(name));
  if (node) node.lastSeenMs = atMs;
}

interface Case {
  property: string;
  service?: Omit<ServiceInput, "name">;
  nowMs: number;
  live: string[];
}

const STRICT_MS = strictWaitMs(TTL_MS);
const CASES: Case[] = [
  { property: "a lost task is replaced at once", nowMs: TTL_MS, live: ["1@n2 assigned"] },
  {
    property: "a strict one is not replaced while its container may live",
    service: { singleton: "strict" },
    nowMs: STRICT_MS - 1,
    live: ["1@n1 running"],
  },
  {
    property: "a strict one is replaced when its container must be dead",
    service: { singleton: "strict" },
    nowMs: STRICT_MS,
    live: ["1@n2 assigned"],
  },
  {
    property: "replaceAfterMs is counted from when the node went down",
    service: { disconnect: { replaceAfterMs: 5000 } },
    nowMs: TTL_MS + 4999,
    live: ["1@n1 running"],
  },
  {
    property: "after replaceAfterMs it is replaced",
    service: { disconnect: { replaceAfterMs: 5000 } },
    nowMs: TTL_MS + 5000,
    live: ["1@n2 assigned"],
  },
  {
    property: "what nobody wants any more is lost without patience",
    service: { disconnect: { replaceAfterMs: 5000 }, stopped: true },
    nowMs: TTL_MS,
    live: [],
  },
  {
    property: "keep-old puts the task aside and replaces it",
    service: { disconnect: { reconcile: "keep-old" } },
    nowMs: TTL_MS,
    live: ["1@n1 running", "1@n2 assigned"],
  },
  {
    property: "a strict task is never put aside",
    service: { singleton: "strict", disconnect: { reconcile: "keep-old" } },
    nowMs: STRICT_MS,
    live: ["1@n2 assigned"],
  },
];

for (const { property, service, nowMs, live } of CASES) {
  Deno.test(`loss: ${property}`, () => {
    const made = cutOff(service);
    converge(made, counter(), { nowMs });
    assertEquals(liveOf(made, "web"), live);
  });
}

Deno.test("loss: a plan that waits asks to be called when the wait is over", () => {
  const made = cutOff({ singleton: "strict" });
  assertEquals(planAll(made, { nowMs: TTL_MS }).wakes.get(idOf("n1")), STRICT_MS);
});

Deno.test("loss: a node that returns in time keeps its tasks", () => {
  const made = cutOff({ disconnect: { replaceAfterMs: 5000 } });
  converge(made, counter(), { nowMs: TTL_MS });
  seen(made, "n1", 8000);
  converge(made, counter(), { nowMs: 8000 });
  assertEquals(liveOf(made, "web"), ["1@n1 running"]);
});

Deno.test("loss: keep-old keeps the old task when its node returns, and stops the new one", () => {
  const made = cutOff({ disconnect: { reconcile: "keep-old" } });
  const newId = counter();
  converge(made, newId, { nowMs: TTL_MS });
  settle(made);
  seen(made, "n1", 9000);
  converge(made, newId, { nowMs: 9000 });
  assertEquals(liveOf(made, "web"), ["1@n1 running", "1@n2 running!"]);
  settle(made);
  converge(made, newId, { nowMs: 9000 });
  assertEquals(liveOf(made, "web"), ["1@n1 running"]);
});

Deno.test("loss: a node's own TTL counts instead of the cluster's", () => {
  const made = cutOff();
  const node = made.nodes.get(idOf("n1"));
  if (!node) throw new Error("no node");
  node.spec = { ...node.spec, ttlMs: 60_000 };
  assertEquals(planAll(made, { nowMs: 59_999 }).actions, []);
  assertEquals(planAll(made, { nowMs: 60_000 }).actions[0]?.kind, "mark");
});

Deno.test("loss: strict tasks of a removed node wait for its credential and its TTL to end", () => {
  const made = cutOff({ singleton: "strict" });
  dropNode(made, idOf("n1"), 1000);
  const atMs = 1000 + strictWaitAfterRemovalMs(TTL_MS);
  const waits = planAll(made, { nowMs: atMs - 1 });
  assertEquals([waits.actions, waits.wakes.get(idOf("web"))], [[], atMs]);
  assertEquals(planAll(made, { nowMs: atMs }).actions.map(({ kind }) => kind), ["lose"]);
});

Deno.test("loss: a new leader waits for a strict task as if its node had been seen at the takeover", () => {
  const made = world({
    nodes: [{ name: "n1", state: "down", seenMs: 100 }, { name: "n2" }],
    services: [{ name: "web", singleton: "strict" }],
    tasks: [{ id: "a", service: "web", slot: 1, node: "n1" }],
  });
  seen(made, "n2", 1e9);
  assertEquals(planAll(made, { nowMs: 100 + STRICT_MS - 1 }).actions, []);
  assertEquals(planAll(made, { nowMs: 100 + STRICT_MS }).actions[0]?.kind, "lose");
});

/** `silent` of `all` nodes fall silent at 0, each with `each` tasks. */
function partition(all: number, silent: number, each: number): World {
  const tasks = Array.from({ length: silent * each }, (_, i) => ({
    id: `t${String(i).padStart(4, "0")}`,
    service: "web",
    slot: i + 1,
    node: `n${i % silent + 1}`,
  }));
  const made = world({
    nodes: nodes(all, { cpus: 1000 }),
    services: [{ name: "web", replicas: tasks.length }],
    tasks,
  });
  for (let n = silent + 1; n <= all; n++) seen(made, `n${n}`, 1e9);
  return made;
}

const losses = (actions: { kind: string }[]) => actions.filter((a) => a.kind === "lose").length;

const MASS: [property: string, all: number, silent: number, slow: boolean][] = [
  ["one of two nodes is no mass", 2, 1, false],
  ["both of two nodes are too few", 2, 2, false],
  ["a third of the nodes is no mass", 9, 3, false],
  ["more than a third is", 8, 3, true],
  ["all of them are", 40, 40, true],
];

for (const [property, all, silent, slow] of MASS) {
  Deno.test(`mass loss: ${property}`, () => {
    const made = partition(all, silent, 20);
    const { actions } = planAll(made, { nowMs: TTL_MS });
    assertEquals(losses(actions), slow ? MASS_LOSS.tasksPerBatch : silent * 20);
    const why = actions.find((a) => a.kind === "mark");
    assert(why?.kind === "mark");
    assertEquals(
      why.why.includes(`one of ${silent} nodes that went silent together: replacing slowly`),
      slow,
    );
  });
}

Deno.test("mass loss: all are down at once, and their tasks go at a bounded rate, to the last", () =>
  fc.assert(
    fc.property(
      fc.integer({ min: 3, max: 12 }),
      fc.integer({ min: 1, max: 9 }),
      (silent, each) => {
        const made = partition(silent + 2, silent, each);
        const newId = counter();
        let lost = 0;
        for (let nowMs = TTL_MS; nowMs < TTL_MS + 60_000; nowMs += 250) {
          for (const actions of converge(made, newId, { nowMs })) lost += losses(actions);
          const seconds = Math.floor((nowMs - TTL_MS) / MASS_LOSS.batchMs) + 1;
          assert(lost <= seconds * MASS_LOSS.tasksPerBatch, `${lost} lost after ${seconds} s`);
        }
        assertEquals(lost, silent * each);
        for (let n = 1; n <= silent; n++) {
          assertEquals(made.nodes.get(idOf(`n${n}`))?.status?.state, "down");
        }
      },
    ),
    { numRuns: 25 },
  ));

Deno.test("mass loss: a node that comes back meanwhile keeps what is left to it", () => {
  const made = partition(4, 4, 20);
  const newId = counter();
  converge(made, newId, { nowMs: TTL_MS });
  for (const name of ["n1", "n2", "n3", "n4"]) seen(made, name, 6500);
  converge(made, newId, { nowMs: 6500 });
  const kept = liveOf(made, "web").filter((task) => task.endsWith("running")).length;
  assertEquals(kept, 80 - MASS_LOSS.tasksPerBatch);
});
