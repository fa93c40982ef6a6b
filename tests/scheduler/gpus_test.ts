import { assertEquals } from "@std/assert";
import { addService, applyActions, counter, planAll, world } from "../support/world.ts";

const gpus = (count: number) => ({ container: { deviceRequests: [{ count }] } });

/** Where the live tasks of a service are, `-` for one that waits. */
function homes(made: ReturnType<typeof world>, service: string): string[] {
  return [...made.tasks.values()]
    .filter(({ task }) => task.serviceId === `id-${service}`)
    .map(({ task }) => task.nodeId?.replace("id-", "") ?? "-").sort();
}

function place(made: ReturnType<typeof world>): void {
  applyActions(made, planAll(made).actions, counter(), 0);
}

Deno.test("gpus: a task has those that it asks for to itself, and what is over waits", () => {
  const made = world({
    nodes: [{ name: "n1", gpus: 2 }, { name: "n2" }, { name: "n3", gpus: 1 }],
    services: [{ name: "train", replicas: 4, template: gpus(1) }],
  });
  place(made);
  assertEquals(homes(made, "train"), ["-", "n1", "n1", "n3"]);
});

Deno.test("gpus: who asks for all of a node's gets a node whose GPUs are free, and no other joins it", () => {
  const made = world({
    nodes: [{ name: "n1", gpus: 2 }, { name: "n2", gpus: 4 }, { name: "n3" }],
    services: [{ name: "one", template: { ...gpus(1), placement: { node: "n1" } } }],
  });
  place(made);
  const all = { name: "all", replicas: 2, template: gpus(-1) };
  const late = { name: "late", replicas: 2, template: gpus(1) };
  for (const service of [all, late]) {
    addService(made, service);
    place(made);
  }
  assertEquals([homes(made, "all"), homes(made, "late")], [["-", "n2"], ["-", "n1"]]);
});

Deno.test("gpus: other devices are not counted", () => {
  const other = { capabilities: ["tpu"], count: 3 };
  const made = world({
    nodes: [{ name: "n1" }],
    services: [{ name: "web", template: { container: { deviceRequests: [other] } } }],
  });
  place(made);
  assertEquals(homes(made, "web"), ["n1"]);
});
