import { assertEquals } from "@std/assert";
import type { World } from "../../scheduler/world.ts";
import {
  addService,
  converge,
  counter,
  idOf,
  liveOf,
  nodes,
  planAll,
  report,
  settle,
  world,
} from "../support/world.ts";

function running(replicas: number): { made: World; newId: () => string } {
  const made = world({ nodes: nodes(2), services: [{ name: "web", replicas }] });
  const newId = counter();
  converge(made, newId);
  settle(made);
  return { made, newId };
}

function ask(made: World, ...tasks: string[]): void {
  const record = made.services.get(idOf("web"));
  if (record) record.restarts = tasks;
}

Deno.test("a task whose restart was asked for is stopped, and no other", () => {
  const { made } = running(3);
  ask(made, "t000002", "t999999");
  const [first, ...rest] = planAll(made).actions;
  assertEquals([first, rest], [
    { kind: "stop", taskId: "t000002", why: "a restart was asked for" },
    [],
  ]);
});

Deno.test("its slot gets a new task once it has ended, and that is all that follows", () => {
  const { made, newId } = running(2);
  ask(made, "t000001");
  converge(made, newId);
  assertEquals(planAll(made).actions, [], "while it stops nothing else is done");
  report(made, "t000001", "stopped");
  converge(made, newId);
  settle(made);
  assertEquals(liveOf(made, "web").length, 2);
  assertEquals(planAll(made).actions, [], "the new task is not meant");
  assertEquals(made.tasks.get("t000001")?.state, "stopped");
});

Deno.test("a restart during a rollout gives the slot the new revision", () => {
  const { made, newId } = running(2);
  addService(made, { name: "web", replicas: 2, revision: 2 });
  ask(made, "t000002");
  for (let round = 0; round < 20; round++) {
    if (converge(made, newId).length === 0) break;
    settle(made);
  }
  const revisions = [...made.tasks.values()].filter(({ state }) => state === "running")
    .map(({ task }) => task.revision);
  assertEquals(revisions, [2, 2]);
});
