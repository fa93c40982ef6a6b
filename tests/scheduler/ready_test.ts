import { assertEquals } from "@std/assert";
import type { World } from "../../scheduler/world.ts";
import { putTask } from "../../scheduler/world_changes.ts";
import {
  addNode,
  addService,
  converge,
  counter,
  liveOf,
  nodes,
  planAll,
  settle,
  world,
} from "../support/world.ts";

/** The task's node says whether it is ready. */
function tell(made: World, taskId: string, ready: boolean): void {
  const record = made.tasks.get(taskId);
  if (!record?.observed) throw new Error(`task ${taskId} was not seen yet`);
  putTask(made, record.task, { ...record.observed, ready }, 0);
}

function rolled(): { made: World; newId: () => string } {
  const made = world({ nodes: nodes(2), services: [{ name: "web", replicas: 3 }] });
  const newId = counter();
  converge(made, newId);
  settle(made);
  addService(made, { name: "web", replicas: 3, revision: 2 });
  converge(made, newId);
  settle(made);
  converge(made, newId);
  settle(made);
  return { made, newId };
}

Deno.test("a roll-out waits for its new task to be ready, not only to run", () => {
  const { made } = rolled();
  tell(made, "t000004", false);
  assertEquals(planAll(made).actions, []);
  tell(made, "t000004", true);
  assertEquals(planAll(made).actions, [
    { kind: "stop", taskId: "t000002", why: "replaced by revision 2" },
  ]);
});

Deno.test("outdated tasks that serve nobody are replaced at once", () => {
  const made = world({ nodes: nodes(2), services: [{ name: "web", replicas: 3 }] });
  converge(made, counter());
  settle(made);
  for (const id of ["t000001", "t000002", "t000003"]) tell(made, id, false);
  addService(made, { name: "web", replicas: 3, revision: 2 });
  assertEquals(planAll(made).actions.map(({ kind }) => kind), ["rollout", "stop", "stop", "stop"]);
});

Deno.test("a drain waits for the successor of the last task to be ready", () => {
  const made = world({ nodes: nodes(1), services: [{ name: "web", replicas: 2 }] });
  const newId = counter();
  converge(made, newId);
  settle(made);
  addNode(made, { name: "n1", availability: "drain" });
  addNode(made, { name: "n2" });
  converge(made, newId);
  settle(made);
  converge(made, newId);
  settle(made);
  assertEquals(liveOf(made, "web"), ["1@n2 running", "2@n1 running"]);
  tell(made, "t000003", false);
  assertEquals(planAll(made).actions, []);
  tell(made, "t000003", true);
  assertEquals(planAll(made).actions.map(({ kind }) => kind), ["stop"]);
});
