import { assertEquals, assertStringIncludes } from "@std/assert";
import { FAILING } from "../../scheduler/failing.ts";
import { explain } from "../../scheduler/why.ts";
import type { World } from "../../scheduler/world.ts";
import { StrategyName } from "../../kv/schema/service.ts";
import {
  addService,
  addTask,
  applyActions,
  converge,
  counter,
  idOf,
  liveOf,
  nodes,
  planAll,
  report,
  world,
} from "../support/world.ts";

const { windowMs } = FAILING;
const quiet = { nodeTtlMs: 1e9 };

function failingOn(made: World, node: string): string[] {
  return Object.keys(made.nodes.get(idOf(node))?.status?.failing ?? {});
}

/** A task of the service fails on the node at this time. */
function failOn(made: World, node: string, nowMs: number, service = "web"): void {
  const id = `f${made.tasks.size}`;
  addTask(made, { id, service, slot: 9, node });
  report(made, id, "failed", nowMs);
}

Deno.test("a node ranks last from the second failure within five minutes, until the first is that old", () => {
  const table: [string, number[], number, boolean][] = [
    ["one failure", [0], 0, false],
    ["two", [0, 1_000], 1_000, true],
    ["two, until the first is old", [0, 1_000], windowMs - 1, true],
    ["two, the first of which is old", [0, 1_000], windowMs, false],
    ["two, far apart", [0, windowMs], windowMs, false],
    ["three, of which one is old", [0, 1_000, windowMs], windowMs, true],
  ];
  for (const [what, failures, nowMs, expected] of table) {
    const made = world({ nodes: nodes(2), services: [{ name: "web" }] });
    for (const atMs of failures) {
      failOn(made, "n1", atMs);
      converge(made, counter(`${atMs}-`), { ...quiet, nowMs: atMs });
    }
    converge(made, counter(), { ...quiet, nowMs });
    assertEquals([failingOn(made, "n1"), failingOn(made, "n2")], [
      expected ? [idOf("web")] : [],
      [],
    ], what);
  }
});

Deno.test("the planner asks to be woken when the verdict ends, and lifts it then", () => {
  const made = world({ nodes: nodes(1), services: [{ name: "web" }] });
  failOn(made, "n1", 0);
  failOn(made, "n1", 1_000);
  converge(made, counter(), { ...quiet, nowMs: 1_000 });
  const planned = planAll(made, { ...quiet, nowMs: 2_000, service: "web" });
  assertEquals([planned.actions, planned.wakes.get(idOf("web"))], [[], windowMs]);
  const lifted = planAll(made, { ...quiet, nowMs: windowMs, service: "web" });
  assertEquals(lifted.actions, [{ kind: "rank", nodeId: idOf("n1"), serviceId: idOf("web") }]);
  assertEquals(lifted.unfinished, [idOf("web")]);
});

for (const strategy of StrategyName.options) {
  Deno.test(`${strategy}: tasks go elsewhere first, and there when nowhere else has room`, () => {
    const template = { reserve: { cpus: 1 }, placement: { strategy } };
    const made = world({
      nodes: nodes(2, { cpus: 2 }),
      services: [{ name: "web", replicas: 0, template }],
    });
    failOn(made, "n1", 0);
    failOn(made, "n1", 0);
    addService(made, { name: "web", replicas: 3, template });
    converge(made, counter(), quiet);
    assertEquals(liveOf(made, "web"), ["1@n2 assigned", "2@n2 assigned", "3@n1 assigned"]);
  });
}

Deno.test("another service is placed as if nothing had happened", () => {
  const made = world({ nodes: nodes(2), services: [{ name: "web", replicas: 0 }, { name: "db" }] });
  failOn(made, "n1", 0);
  failOn(made, "n1", 0);
  converge(made, counter(), quiet);
  assertEquals(liveOf(made, "db"), ["1@n1 assigned"]);
});

Deno.test("a stop, a loss and an old end are nobody's failure", () => {
  const made = world({
    nodes: nodes(2),
    services: [{ name: "web", replicas: 0 }],
    tasks: [
      { id: "a", service: "web", slot: 1, node: "n1", state: "failed" },
      { id: "b", service: "web", slot: 1, node: "n1", state: "failed" },
      { id: "c", service: "web", slot: 2, node: "n1", desired: "stop" },
      { id: "d", service: "web", slot: 3, node: "n1", desired: "stop" },
    ],
  });
  report(made, "c", "failed");
  report(made, "d", "failed");
  converge(made, counter(), quiet);
  assertEquals(failingOn(made, "n1"), []);
});

Deno.test("a deleted service takes its verdicts with it", () => {
  const made = world({ nodes: nodes(1), services: [{ name: "web", replicas: 0 }] });
  failOn(made, "n1", 0);
  failOn(made, "n1", 0);
  converge(made, counter(), quiet);
  assertEquals(failingOn(made, "n1"), [idOf("web")]);
  addService(made, { name: "web", replicas: 0, deleting: true });
  converge(made, counter(), quiet);
  assertEquals([failingOn(made, "n1"), made.services.size], [[], 0]);
});

Deno.test("why shows the verdict among the scores", () => {
  const made = world({ nodes: nodes(2), services: [{ name: "web" }] });
  failOn(made, "n1", 0);
  failOn(made, "n1", 0);
  const [first] = [planAll(made, { ...quiet, service: "web" })];
  const [action] = first.actions;
  assertStringIncludes(
    action?.kind === "rank" ? action.why ?? "" : "",
    "2 tasks of default/web failed there within 5 minutes",
  );
  applyActions(made, first.actions, counter(), 0);
  converge(made, counter(), quiet);
  const task = made.services.get(idOf("web"))?.live.get(1)?.[0];
  const why = task && explain(made, task);
  assertEquals(
    why?.nodes.map(({ node, scores }) => [node, scores?.failing]),
    [["n2", 0], ["n1", 1]],
  );
});
