import { assert, assertEquals } from "@std/assert";
import {
  addNode,
  addService,
  converge,
  counter,
  liveOf,
  nodes,
  planAll,
  report,
  settle,
  type TaskInput,
  world,
} from "../support/world.ts";
import type { World } from "../../scheduler/world.ts";

function runningOf(made: World, service: string): number {
  return liveOf(made, service).filter((task) => task.endsWith(" running")).length;
}

/** Plans and lets the containers follow until nothing changes; answers the fewest that ran meanwhile. */
function follow(made: World, newId: () => string, service = "web"): number {
  let fewest = runningOf(made, service);
  for (let round = 0; round < 100; round++) {
    const done = converge(made, newId);
    fewest = Math.min(fewest, runningOf(made, service));
    if (done.length === 0) return fewest;
    settle(made);
    fewest = Math.min(fewest, runningOf(made, service));
  }
  throw new Error("does not come to rest");
}

function revisionsOf(made: World): number[] {
  return [...made.tasks.values()].filter((r) => r.state === "running").map((r) => r.task.revision);
}

Deno.test("a new revision replaces one running task at a time", () => {
  const made = world({ nodes: nodes(2), services: [{ name: "web", replicas: 4 }] });
  const newId = counter();
  follow(made, newId);
  addService(made, { name: "web", replicas: 4, revision: 2 });
  assertEquals(planAll(made).actions.slice(1), [
    { kind: "stop", taskId: "t000001", why: "replaced by revision 2" },
  ]);
  assertEquals(follow(made, newId), 3, "never fewer than three run");
  assertEquals(revisionsOf(made), [2, 2, 2, 2]);
});

Deno.test("scaling alone replaces nothing", () => {
  const made = world({ nodes: nodes(2), services: [{ name: "web", replicas: 2 }] });
  const newId = counter();
  follow(made, newId);
  addService(made, { name: "web", replicas: 3 });
  assertEquals(follow(made, newId), 2);
  assertEquals([...made.tasks.values()].filter((r) => r.state === "stopped"), []);
});

Deno.test("a roll-out does not go on while its new task fails", () => {
  const made = world({ nodes: nodes(2), services: [{ name: "web", replicas: 3 }] });
  const newId = counter();
  follow(made, newId);
  addService(made, { name: "web", replicas: 3, revision: 2 });
  converge(made, newId);
  settle(made);
  converge(made, newId);
  report(made, "t000004", "failed", 0, 10);
  const waits = planAll(made, { nowMs: 500 });
  assertEquals(waits.actions, [], "the slot backs off; nothing else is stopped");
  assertEquals(runningOf(made, "web"), 2);
});

Deno.test("a roll-out waits while its new task finds no room", () => {
  const made = world({ nodes: nodes(1), services: [{ name: "web", replicas: 2 }] });
  const newId = counter();
  follow(made, newId);
  addService(made, { name: "web", replicas: 2, revision: 2, template: { reserve: { cpus: 64 } } });
  assertEquals(follow(made, newId), 1);
  assertEquals(liveOf(made, "web"), ["1 pending", "2@n1 running"]);
});

Deno.test("what does not run yet is replaced at once, running tasks wait", () => {
  const tasks: TaskInput[] = [
    { id: "a", service: "web", slot: 1, node: "n1", revision: 1 },
    { id: "b", service: "web", slot: 2, node: "n1", revision: 1, state: "preparing" },
    { id: "c", service: "web", slot: 3, revision: 1 },
  ];
  const services = [{ name: "web", replicas: 3, revision: 2 }];
  const made = world({ nodes: nodes(1), services, tasks });
  assertEquals(planAll(made).actions.map((a) => "taskId" in a ? `${a.kind} ${a.taskId}` : a.kind), [
    "rollout",
    "stop b",
    "stop c",
  ]);
});

Deno.test("draining moves one task of a service at a time", () => {
  const made = world({ nodes: nodes(2), services: [{ name: "web", replicas: 6 }] });
  const newId = counter();
  follow(made, newId);
  const before = made.nodes.get("id-n1");
  if (!before) throw new Error("no node");
  before.spec = { ...before.spec, availability: "drain" };
  const first = planAll(made);
  assertEquals(first.actions.length, 1);
  assert("why" in first.actions[0]! && first.actions[0].why === "node n1 is being drained");
  assertEquals(follow(made, newId), 5, "never fewer than five run");
  assert(liveOf(made, "web").every((task) => task.includes("@n2 ")));
});

Deno.test("at its deadline a drain empties the node even if there is no room elsewhere, and says so", () => {
  const made = world({
    nodes: nodes(2, { cpus: 2 }),
    services: [{ name: "web", replicas: 4, template: { reserve: { cpus: 1 } } }],
  });
  const newId = counter();
  follow(made, newId);
  const node = made.nodes.get("id-n1");
  if (!node) throw new Error("no node");
  node.spec = { ...node.spec, availability: "drain", drain: { deadlineMs: 0 } };
  node.drainSinceMs = 0;
  const [stop] = planAll(made).actions;
  assertEquals(
    stop?.kind === "stop" && stop.why,
    "node n1 is being drained; there is no room elsewhere: 0 of 2 nodes fit: 1 is draining, " +
      "1 lacks CPU (smallest gap: 1 core on n2)",
  );
  follow(made, newId);
  assertEquals(node.holding.size, 0);
  assertEquals(liveOf(made, "web").filter((task) => task.endsWith("pending")).length, 2);
});

Deno.test("a node in scope that drains brings its services into scope", () => {
  const made = world({
    nodes: [{ name: "n1", availability: "drain" }, { name: "n2" }],
    services: [{ name: "web" }],
    tasks: [{ id: "a", service: "web", slot: 1, node: "n1" }],
  });
  assertEquals(planAll(made).actions.length, 1);
});

Deno.test("a cordoned node keeps its tasks and gets no more", () => {
  const made = world({
    nodes: [{ name: "n1", availability: "cordon" }],
    services: [{ name: "web", replicas: 2 }],
    tasks: [{ id: "a", service: "web", slot: 1, node: "n1" }],
  });
  converge(made, counter());
  assertEquals(liveOf(made, "web"), ["1@n1 running", "2 pending"]);
  addNode(made, { name: "n2" });
  converge(made, counter("u"));
  assertEquals(liveOf(made, "web"), ["1@n1 running", "2@n2 assigned"]);
});
