import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { describe } from "../../scheduler/action.ts";
import type { World } from "../../scheduler/world.ts";
import {
  applyActions,
  counter,
  planAll,
  settle,
  type TaskInput,
  world,
  type WorldInput,
} from "../support/world.ts";

/** Small nodes full of running tasks of low priority, and services of higher priority that come. */
const aFullWorld: fc.Arbitrary<WorldInput> = fc.record({
  machines: fc.array(fc.constantFrom(1, 2, 3), { minLength: 1, maxLength: 4 }),
  services: fc.array(
    fc.record({
      replicas: fc.integer({ min: 0, max: 4 }),
      priority: fc.integer({ min: -2, max: 2 }),
      maxUnavailable: fc.constantFrom(0, 1, 1, 2),
      cpus: fc.constantFrom(0.5, 1, 2),
      port: fc.constantFrom(false, false, true),
      far: fc.boolean(),
    }),
    { minLength: 2, maxLength: 5 },
  ),
  tasks: fc.array(fc.record({ service: fc.nat(4), node: fc.nat(3), ready: fc.boolean() }), {
    maxLength: 12,
  }),
}).map(({ machines, services, tasks }) => {
  const slots = services.map(() => 0);
  const free: number[] = [...machines];
  return {
    nodes: machines.map((cpus, i) => ({ name: `n${i + 1}`, cpus })),
    services: services.map(({ cpus, port, far, ...service }, i) => ({
      ...service,
      name: `s${i}`,
      template: {
        reserve: { cpus },
        ports: port ? [{ target: 80, published: 80, mode: "host" }] : [],
        placement: far
          ? { affinity: [{ to: { service: "s0" }, anti: true, required: true }], maxPerNode: 2 }
          : {},
      },
    })),
    tasks: tasks.flatMap(({ service, node, ready }, i): TaskInput[] => {
      const wants = services[service];
      if (!wants || (free[node] ?? 0) < wants.cpus) return [];
      free[node] = (free[node] ?? 0) - wants.cpus;
      slots[service] = (slots[service] ?? 0) + 1;
      const at = { id: `t${i}`, service: `s${service}`, slot: slots[service] ?? 1 };
      return [{ ...at, node: `n${node + 1}`, state: ready ? "running" : "starting" }];
    }),
  };
});

Deno.test("preempting comes to rest, and a finished plan leaves nothing to add", () => {
  fc.assert(
    fc.property(aFullWorld, (input) => {
      const made = world(input);
      const newId = counter("z");
      for (let round = 0;; round++) {
        assert(round < 60, "does not come to rest");
        const { actions, more } = planAll(made);
        if (actions.length === 0) {
          const before = [...made.tasks.values()].map(({ state }) => state).join();
          settle(made);
          if ([...made.tasks.values()].map(({ state }) => state).join() === before) return;
          continue;
        }
        applyActions(made, actions, newId, 0);
        if (!more) assertEquals(planAll(made).actions.map(describe), []);
      }
    }),
    { numRuns: 400, seed: 6 },
  );
});

/** Whether the task runs in a slot that its service wants. */
function isWanted(made: World, taskId: string): boolean {
  const record = made.tasks.get(taskId);
  const mode = made.services.get(record?.task.serviceId ?? "")?.service.mode;
  return record?.state === "running" && mode?.type === "replicated" &&
    record.task.slot <= mode.replicas;
}

/** How many of the tasks that a replicated service wants do not run. */
function downOf(made: World, id: string): number {
  const record = made.services.get(id);
  if (record?.service.mode.type !== "replicated") return 0;
  const wanted = record.service.stopped || record.service.deleting
    ? 0
    : record.service.mode.replicas;
  let down = 0;
  for (let slot = 1; slot <= wanted; slot++) {
    const runs = record.live.get(slot)?.some(({ task, state }) =>
      task.desired === "run" && state === "running"
    );
    if (!runs) down++;
  }
  return down;
}

Deno.test("preemption never exceeds a disruption budget, and stops only what has lower priority", () => {
  let preempted = 0;
  fc.assert(
    fc.property(aFullWorld, (input) => {
      const made = world(input);
      const newId = counter("z");
      for (let round = 0; round < 12; round++) {
        const { actions } = planAll(made);
        if (actions.length === 0) settle(made);
        const stops = actions.flatMap((a) =>
          a.kind === "stop" && a.why.startsWith("preempted by ") ? [a] : []
        );
        const victims = stops.map(({ taskId }) => made.tasks.get(taskId)?.task.serviceId ?? "");
        const counted = stops.filter(({ taskId }) => isWanted(made, taskId))
          .map(({ taskId }) => made.tasks.get(taskId)?.task.serviceId ?? "");
        applyActions(made, actions, newId, 0);
        preempted += stops.length;
        for (const [i, { why }] of stops.entries()) {
          const priority = made.services.get(victims[i] ?? "")?.service.priority ?? 0;
          assert(priority < Number(/priority (-?\d+)$/.exec(why)?.[1]), why);
        }
        for (const id of counted) {
          const { disruption, mode } = made.services.get(id)?.service ?? {};
          if (mode?.type !== "replicated") continue;
          const down = downOf(made, id);
          assert(down <= (disruption?.maxUnavailable ?? 0), `${id}: ${down} down`);
        }
      }
    }),
    { numRuns: 400, seed: 5 },
  );
  assert(preempted > 60, `only ${preempted} tasks were preempted`);
});
