import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import type { CronMode } from "../../kv/schema/run.ts";
import type { Action } from "../../scheduler/action.ts";
import type { World } from "../../scheduler/world.ts";
import {
  applyActions,
  converge,
  counter,
  idOf,
  liveOf,
  nodes,
  planAll,
  report,
  type ServiceInput,
  settle,
  type TaskInput,
  world,
} from "../support/world.ts";

const AT = "2026-01-01T00:00:00.000Z";
const core = { template: { reserve: { cpus: 1 } } };
const GLOBAL = { type: "global" } as const;
const JOB = { type: "job", completions: 1, parallelism: 1, retries: 0 } as const;
const CRON: CronMode = {
  type: "cron",
  schedule: "* * * * * *",
  timeZone: "UTC",
  concurrency: "forbid",
  catchUpMs: 0,
  retries: 0,
  history: { succeeded: 3, failed: 1 },
};

const low = (replicas: number, more: Partial<ServiceInput> = {}): ServiceInput => ({
  ...{ name: "low", replicas, ...core },
  ...more,
});
const high = (mode: ServiceInput["mode"]): ServiceInput => ({
  ...{ name: "high", priority: 5, ...core },
  ...(mode ? { mode } : {}),
});
/** Running tasks of a service, the n-th in slot n on node n. */
const onEach = (service: string, count: number): TaskInput[] =>
  Array.from({ length: count }, (_, i) => ({
    ...{ id: `${service}${i + 1}`, service, slot: i + 1, node: `n${i + 1}` },
  }));

interface Case {
  property: string;
  nodes?: number;
  services: ServiceInput[];
  tasks: TaskInput[];
  /** Somebody asks for a run of `high`. */
  run?: true;
  /** Ids of the tasks that are stopped for it. */
  stops: string[];
}

const CASES: Case[] = [
  {
    property: "a global service makes room on each of its nodes, within the budget",
    services: [high(GLOBAL), low(2)],
    tasks: onEach("low", 2),
    stops: ["low1"],
  },
  {
    property: "a global service makes room on all of its nodes when the budget allows it",
    services: [high(GLOBAL), low(2, { maxUnavailable: 2 })],
    tasks: onEach("low", 2),
    stops: ["low1", "low2"],
  },
  {
    property: "a global service's task makes no room on another node than its own",
    services: [high(GLOBAL), { name: "equal", priority: 5, ...core }, low(1)],
    tasks: [
      { id: "equal1", service: "equal", slot: 1, node: "n1" },
      { id: "high2", service: "high", slot: 1, node: "n2", state: "running" },
    ],
    stops: [],
  },
  {
    property: "a run that is due makes room",
    services: [high(CRON), low(2)],
    tasks: onEach("low", 2),
    stops: ["low1"],
  },
  {
    property: "a run that is due makes none of what the budget keeps",
    services: [high(CRON), low(2, { maxUnavailable: 0 })],
    tasks: onEach("low", 2),
    stops: [],
  },
  {
    property: "a job's run on request makes room",
    services: [high(JOB), low(1)],
    tasks: [
      { id: "high1", service: "high", slot: 1, node: "n1", state: "succeeded" },
      ...onEach("low", 2).slice(1).map((task) => ({ ...task, slot: 1 })),
      { id: "own", service: "other", slot: 1, node: "n1" },
    ],
    run: true,
    stops: ["low2"],
  },
  {
    property: "tasks of a global service are stopped as far as its budget goes",
    services: [
      { name: "high", replicas: 2, priority: 5, ...core },
      { name: "low", mode: GLOBAL, ...core },
    ],
    tasks: onEach("low", 2),
    stops: ["low1"],
  },
  {
    property: "a global service's budget counts the node where its task waits for a back-off",
    services: [
      { name: "high", replicas: 2, priority: 5, ...core },
      { name: "low", mode: GLOBAL, ...core },
      { name: "other", priority: 5, ...core },
    ],
    tasks: [
      { id: "low1", service: "low", slot: 1, node: "n1" },
      { id: "low2", service: "low", slot: 2, node: "n2", state: "failed", ranMs: 10 },
      { id: "other1", service: "other", slot: 1, node: "n2" },
    ],
    stops: [],
  },
  {
    property: "a node that is down costs a global service nothing of its budget",
    nodes: 1,
    services: [{ name: "high", priority: 5, ...core }, { name: "low", mode: GLOBAL, ...core }],
    tasks: [
      { id: "low1", service: "low", slot: 1, node: "n1" },
      { id: "low2", service: "low", slot: 2, node: "n9", state: "lost" },
    ],
    stops: ["low1"],
  },
  {
    property: "a node that is not asked for any more costs a global service nothing of its budget",
    services: [
      { name: "high", replicas: 2, priority: 5, ...core },
      {
        ...{ name: "low", mode: GLOBAL },
        template: { ...core.template, placement: { constraints: ["node.name==n1"] } },
      },
    ],
    tasks: onEach("low", 2).map((task) =>
      task.id === "low2" ? { ...task, desired: "stop" as const } : task
    ),
    stops: ["low1"],
  },
  {
    property: "runs of a cron service are stopped as far as its budget goes",
    services: [
      { name: "high", replicas: 2, priority: 5, ...core },
      { name: "low", mode: { ...CRON, schedule: "0 0 1 1 *", concurrency: "allow" }, ...core },
    ],
    tasks: onEach("low", 2),
    stops: ["low1"],
  },
  {
    property: "runs are not stopped when the budget is nothing",
    nodes: 1,
    services: [
      { name: "high", priority: 5, ...core },
      { name: "low", mode: { ...CRON, schedule: "0 0 1 1 *" }, maxUnavailable: 0, ...core },
    ],
    tasks: onEach("low", 1),
    stops: [],
  },
];

function worldOf({ services, tasks, run, nodes: count = 2 }: Omit<Case, "property" | "stops">) {
  const known = new Set(services.map(({ name }) => name));
  const extra = tasks.flatMap(({ service }) => known.has(service) ? [] : [service]);
  const others = [...new Set(extra)].map((name) => ({ name, priority: 9, ...core }));
  const made = world({
    nodes: nodes(count, { cpus: 1 }),
    services: [...services, ...others],
    tasks,
  });
  const asked = { id: "r1", serviceId: idOf("high"), env: {}, at: AT };
  if (run) made.services.get(asked.serviceId)?.runs.set(asked.id, asked);
  return made;
}

const stopsOf = (actions: readonly Action[]) =>
  actions.flatMap((a) => a.kind === "stop" && a.why.startsWith("preempted") ? [a.taskId] : []);

for (const { property, stops, ...input } of CASES) {
  Deno.test(`preemption between modes: ${property}`, () => {
    const made = worldOf(input);
    assertEquals(stopsOf(converge(made, counter()).flat()).sort(), stops);
  });
}

Deno.test("preemption between modes: what room was made for gets it, and what had it waits", () => {
  for (const mode of [GLOBAL, CRON]) {
    const made = worldOf({ nodes: 1, services: [high(mode), low(1)], tasks: onEach("low", 1) });
    const newId = counter();
    converge(made, newId);
    assertEquals(liveOf(made, "high"), ["1 pending"]);
    const [waits] = made.services.get(idOf("high"))?.live.get(1) ?? [];
    assertEquals(waits?.task.nominated, idOf("n1"));
    report(made, "low1", "stopped");
    converge(made, newId);
    assertEquals(liveOf(made, "high"), ["1@n1 assigned"], mode.type);
    assertEquals(liveOf(made, "low"), ["1 pending"], mode.type);
  }
});

Deno.test("preemption between modes: what waits for its room does not count for a global service's spread", () => {
  const placement = { spread: [{ label: "zone", maxSkew: 1, required: true }] };
  const zones = ["a", "b", "b"];
  const made = world({
    nodes: nodes(3, { cpus: 1 }).map((node, i) => ({ ...node, labels: { zone: zones[i] ?? "" } })),
    services: [{ ...high(GLOBAL), template: { ...core.template, placement } }, low(1)],
    tasks: [
      ...onEach("low", 1),
      { id: "high2", service: "high", slot: 2, node: "n2", state: "running" },
    ],
  });
  const newId = counter();
  assertEquals(stopsOf(converge(made, newId).flat()), ["low1"]);
  assertEquals(liveOf(made, "high"), ["1 pending", "2@n2 running", "3 pending"]);
  report(made, "low1", "stopped");
  converge(made, newId);
  assertEquals(liveOf(made, "high"), ["1@n1 assigned", "2@n2 running", "3@n3 assigned"]);
});

Deno.test("preemption between modes: a run that was preempted is tried again in its slot", () => {
  const mode = { ...CRON, schedule: "0 0 1 1 *" };
  const made = worldOf({
    nodes: 1,
    services: [{ name: "high", priority: 5, ...core }, { name: "low", mode, ...core }],
    tasks: onEach("low", 1),
  });
  const newId = counter();
  converge(made, newId);
  report(made, "low1", "stopped");
  converge(made, newId);
  assertEquals(liveOf(made, "high"), ["1@n1 assigned"]);
  assertEquals(liveOf(made, "low"), ["1 pending"]);
});

/** Live tasks of a global service that do not run. */
function idleOf(made: World, id: string): number {
  return [...made.services.get(id)?.live.values() ?? []].filter((tasks) =>
    !tasks.some(({ task, state }) => task.desired === "run" && state === "running")
  ).length;
}

Deno.test("preemption between modes: comes to rest, and a global service keeps its budget", () => {
  let preempted = 0;
  const aService = fc.record({
    global: fc.boolean(),
    priority: fc.integer({ min: 0, max: 3 }),
    maxUnavailable: fc.constantFrom(0, 1, 2),
    cpus: fc.constantFrom(0.5, 1, 2),
    runsOn: fc.uniqueArray(fc.nat(3)),
  });
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom(1, 2, 3), { minLength: 1, maxLength: 4 }),
      fc.array(aService, { minLength: 2, maxLength: 4 }),
      (machines, services) => {
        const free: number[] = [...machines];
        const tasks = services.flatMap(({ runsOn, cpus }, s) =>
          runsOn.flatMap((node, i): TaskInput[] => {
            if ((free[node] ?? 0) < cpus) return [];
            free[node] = (free[node] ?? 0) - cpus;
            return [{ id: `t${s}${i}`, service: `s${s}`, slot: i + 1, node: `n${node + 1}` }];
          })
        );
        const made = world({
          nodes: machines.map((cpus, i) => ({ name: `n${i + 1}`, cpus })),
          services: services.map(({ global, cpus, runsOn, ...service }, i) => ({
            ...service,
            name: `s${i}`,
            mode: global ? GLOBAL : { type: "replicated", replicas: runsOn.length },
            template: { reserve: { cpus } },
          })),
          tasks,
        });
        const newId = counter("z");
        for (let round = 0;; round++) {
          assert(round < 80, "does not come to rest");
          const { actions } = planAll(made);
          const victims = stopsOf(actions).map((id) => made.tasks.get(id));
          const served = victims.filter((victim) => victim?.state === "running");
          const touched = new Set(served.map((victim) => victim?.task.serviceId ?? ""));
          preempted += victims.length;
          applyActions(made, actions, newId, 0);
          for (const id of touched) {
            const service = made.services.get(id)?.service;
            if (service?.mode.type !== "global") continue;
            const idle = idleOf(made, id);
            assert(idle <= service.disruption.maxUnavailable, `${idle} of ${id} down`);
          }
          if (actions.length > 0) continue;
          const before = [...made.tasks.values()].map(({ state }) => state).join();
          settle(made);
          if ([...made.tasks.values()].map(({ state }) => state).join() === before) return;
        }
      },
    ),
    { numRuns: 300, seed: 11 },
  );
  assert(preempted > 40, `only ${preempted} tasks were preempted`);
});
