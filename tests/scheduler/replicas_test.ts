import { assertEquals } from "@std/assert";
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
  type ServiceInput,
  settle,
  type TaskInput,
  world,
} from "../support/world.ts";
import type { Action } from "../../scheduler/action.ts";

/** Actions without ids and reasons. */
function brief(actions: readonly Action[]): string[] {
  return actions.map((a) =>
    a.kind === "create"
      ? `create ${a.slot} f${a.failures}${a.nodeId ? "" : " pending"}`
      : "taskId" in a
      ? `${a.kind} ${a.taskId}`
      : a.kind
  );
}

interface Case {
  property: string;
  service?: Omit<ServiceInput, "name">;
  tasks?: TaskInput[];
  nowMs?: number;
  expected: string[];
}

const t = (id: string, slot: number, rest: Partial<TaskInput> = {}): TaskInput => ({
  id,
  slot,
  service: "web",
  node: "n1",
  ...rest,
});

const CASES: Case[] = [
  {
    property: "every missing slot gets a task",
    service: { replicas: 3 },
    tasks: [t("b", 2)],
    expected: ["create 1 f0", "create 3 f0"],
  },
  {
    property: "a filled service is left alone",
    service: { replicas: 2 },
    tasks: [t("a", 1), t("b", 2, { state: "preparing" })],
    expected: [],
  },
  {
    property: "scaling down stops the highest slots first",
    service: { replicas: 1 },
    tasks: [t("a", 1), t("b", 2), t("c", 3)],
    expected: ["stop c", "stop b"],
  },
  {
    property: "a stopped service stops everything and starts nothing",
    service: { replicas: 2, stopped: true },
    tasks: [t("a", 1)],
    expected: ["stop a"],
  },
  {
    property: "what stops already is not stopped again, and holds its slot",
    service: { replicas: 1 },
    tasks: [t("a", 1, { desired: "stop" }), t("b", 2, { desired: "stop" })],
    expected: [],
  },
  {
    property: "of two tasks in a slot the running one stays, though it is the newer",
    tasks: [t("a", 1, { state: "starting" }), t("b", 1)],
    expected: ["stop a"],
  },
  {
    property: "of two tasks that run in a slot the older stays",
    tasks: [t("a", 1), t("b", 1)],
    expected: ["stop b"],
  },
  {
    property: "a task that stops and its replacement may share a slot",
    tasks: [t("a", 1, { desired: "stop" }), t("b", 1)],
    expected: [],
  },
  {
    property:
      "a lost task is replaced at once, its failures unchanged, whatever the restart condition",
    service: { template: { restart: { condition: "none" } } },
    tasks: [t("a", 1, { state: "lost", failures: 3 })],
    expected: ["create 1 f3"],
  },
  {
    property: "a task that the leader stopped is replaced at once when its slot is wanted",
    service: { template: { restart: { condition: "none" } } },
    tasks: [t("a", 1, { state: "stopped", desired: "stop", failures: 2 })],
    expected: ["create 1 f2"],
  },
  {
    property: "a task that something else stopped is not replaced in a hot loop",
    tasks: [t("a", 1, { state: "stopped" })],
    nowMs: 999,
    expected: [],
  },
  {
    property: "a task that something else stopped is replaced after a second",
    tasks: [t("a", 1, { state: "stopped" })],
    nowMs: 1000,
    expected: ["create 1 f0"],
  },
  {
    property: "restart none: a failed task is not replaced",
    service: { template: { restart: { condition: "none" } } },
    tasks: [t("a", 1, { state: "failed" })],
    nowMs: 1e6,
    expected: [],
  },
  {
    property: "restart none: a rejected task is not replaced",
    service: { template: { restart: { condition: "none" } } },
    tasks: [t("a", 1, { state: "rejected" })],
    nowMs: 1e6,
    expected: [],
  },
  {
    property: "restart on-failure: a succeeded task is not replaced",
    service: { template: { restart: { condition: "on-failure" } } },
    tasks: [t("a", 1, { state: "succeeded" })],
    nowMs: 1e6,
    expected: [],
  },
  {
    property: "restart any: a succeeded task is replaced",
    tasks: [t("a", 1, { state: "succeeded", ranMs: 20_000 })],
    expected: ["create 1 f1"],
  },
  {
    property: "a task that ended is replaced whatever its condition once there is a newer revision",
    service: { revision: 2, template: { restart: { condition: "none" } } },
    tasks: [t("a", 1, { revision: 1, state: "failed", failures: 9 })],
    expected: ["create 1 f0"],
  },
];

for (const { property, service, tasks = [], nowMs = 0, expected } of CASES) {
  Deno.test(`replicated: ${property}`, () => {
    const made = world({ nodes: nodes(2), services: [{ name: "web", ...service }], tasks });
    assertEquals(brief(planAll(made, { service: "web", nowMs }).actions), expected);
  });
}

const BACKOFFS: {
  property: string;
  task: Partial<TaskInput>;
  delayMs: number;
  failures: number;
}[] = [
  {
    property: "first failure after 10 s: at once",
    task: { ranMs: 10_000 },
    delayMs: 0,
    failures: 1,
  },
  { property: "first failure before 10 s: 1 s", task: { ranMs: 9999 }, delayMs: 1000, failures: 1 },
  {
    property: "rejected counts as failed",
    task: { state: "rejected" },
    delayMs: 1000,
    failures: 1,
  },
  { property: "second: 2 s", task: { failures: 1, ranMs: 20_000 }, delayMs: 2000, failures: 2 },
  { property: "fourth: 8 s", task: { failures: 3 }, delayMs: 8000, failures: 4 },
  { property: "capped at 60 s", task: { failures: 30 }, delayMs: 60_000, failures: 31 },
  {
    property: "five minutes of running make up for it",
    task: { failures: 9, ranMs: 300_000 },
    delayMs: 0,
    failures: 1,
  },
];

for (const { property, task, delayMs, failures } of BACKOFFS) {
  Deno.test(`back-off: ${property}`, () => {
    const endedAtMs = 500;
    const tasks = [t("a", 1, { state: "failed", endedAtMs, ...task })];
    const made = world({ nodes: nodes(1), services: [{ name: "web" }], tasks });
    const atMs = endedAtMs + delayMs;
    if (delayMs > 0) {
      const early = planAll(made, { service: "web", nowMs: atMs - 1 });
      assertEquals(early.actions, []);
      assertEquals(early.wakes.get(idOf("web")), atMs);
      assertEquals(early.more, false);
    }
    const due = planAll(made, { service: "web", nowMs: atMs });
    assertEquals(brief(due.actions), [`create 1 f${failures}`]);
    assertEquals(due.wakes.size, 0);
  });
}

Deno.test("a slot that crashes again and again waits 1, 2, 4, 8 s", () => {
  const made = world({ nodes: nodes(1), services: [{ name: "web" }] });
  const newId = counter();
  let nowMs = 0;
  const delays: number[] = [];
  for (let round = 0; round < 5; round++) {
    converge(made, newId, { nowMs: nowMs, nodeTtlMs: 1e9 });
    const live = made.services.get(idOf("web"))?.live.get(1)?.[0];
    if (!live) throw new Error("no live task");
    report(made, live.task.id, "failed", nowMs, 50);
    converge(made, newId, { nowMs, nodeTtlMs: 1e9 });
    const wakeMs = planAll(made, { service: "web", nowMs }).wakes.get(idOf("web")) ?? nowMs;
    delays.push(wakeMs - nowMs);
    nowMs = wakeMs;
  }
  assertEquals(delays, [1000, 2000, 4000, 8000, 16_000]);
});

Deno.test("a pending task is assigned when a node has room, before new tasks are", () => {
  const made = world({
    nodes: nodes(1, { cpus: 1 }),
    services: [{ name: "web", replicas: 2, template: { reserve: { cpus: 1 } } }],
    tasks: [{ id: "b", service: "web", slot: 2, why: "old reason" }],
  });
  const { actions } = planAll(made);
  assertEquals(brief(actions), ["assign b", "create 1 f0 pending"]);
});

Deno.test("a pending task is told a new reason once, and the same reason never", () => {
  const made = world({
    nodes: nodes(1, { cpus: 1 }),
    services: [{ name: "web", template: { reserve: { cpus: 2 } } }],
    tasks: [{ id: "a", service: "web", slot: 1, why: "old reason" }],
  });
  const { actions } = planAll(made);
  assertEquals(actions, [{
    kind: "explain",
    taskId: "a",
    why: "0 of 1 node fits: 1 lacks CPU (smallest gap: 1 core on n1)",
  }]);
  applyActions(made, actions, counter(), 0);
  assertEquals(planAll(made).actions, []);
});

Deno.test("scaling to nothing and back while containers stop: no two live tasks share a slot", () => {
  const made = world({ nodes: nodes(2), services: [{ name: "web", replicas: 3 }] });
  const newId = counter();
  converge(made, newId);
  settle(made);
  addService(made, { name: "web", replicas: 0 });
  converge(made, newId);
  addService(made, { name: "web", replicas: 3 });
  assertEquals(converge(made, newId), [], "the slots are taken until their tasks end");
  settle(made);
  converge(made, newId);
  settle(made);
  assertEquals(liveOf(made, "web").length, 3);
});

Deno.test("pending tasks of a service that is stopped end at once, and it comes to rest", () => {
  const made = world({ services: [{ name: "web", replicas: 2 }] });
  const newId = counter();
  converge(made, newId);
  assertEquals(liveOf(made, "web"), ["1 pending", "2 pending"]);
  addService(made, { name: "web", replicas: 2, stopped: true });
  converge(made, newId);
  assertEquals(liveOf(made, "web"), []);
});

Deno.test("tasks of a node that is not known are lost and replaced", () => {
  const made = world({ nodes: nodes(1), services: [{ name: "web" }] });
  addTask(made, { id: "a", service: "web", slot: 1, node: "gone" });
  const rounds = converge(made, counter());
  assertEquals(rounds[0], [{ kind: "lose", taskId: "a", why: "its node was removed" }]);
  assertEquals(liveOf(made, "web"), ["1@n1 assigned"]);
});
