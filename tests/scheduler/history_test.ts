import { assertEquals } from "@std/assert";
import type { Mode } from "../../kv/schema/service.ts";
import {
  addService,
  converge,
  counter,
  idOf,
  nodes,
  planAll,
  report,
  type ServiceInput,
  settle,
  type TaskInput,
  world,
} from "../support/world.ts";

const ended = (id: string, slot: number, rest: Partial<TaskInput> = {}): TaskInput => ({
  id,
  slot,
  service: "web",
  node: "n1",
  state: "stopped",
  desired: "stop",
  ...rest,
});
const runs = (id: string, slot: number): TaskInput => ({ id, slot, service: "web", node: "n1" });
const job: Mode = { type: "job", completions: 1, parallelism: 1, retries: 0 };

interface Case {
  property: string;
  service?: Omit<ServiceInput, "name">;
  tasks: TaskInput[];
  historyLimit: number;
  purged: string[];
}

const CASES: Case[] = [
  {
    property: "the newest ended task of each wanted slot stays",
    service: { replicas: 2 },
    tasks: [runs("x", 1), runs("y", 2), ended("a", 1), ended("b", 2)],
    historyLimit: 0,
    purged: [],
  },
  {
    property: "older ones stay within the limit, those that ended first go",
    tasks: [
      ended("d", 1, { endedAtMs: 1 }),
      ended("b", 1, { endedAtMs: 2 }),
      ended("c", 1, { endedAtMs: 3 }),
      ended("a", 1, { endedAtMs: 4 }),
      runs("x", 1),
    ],
    historyLimit: 1,
    purged: ["d", "b"],
  },
  {
    property: "those that ended at the same time go by id",
    tasks: [ended("c", 1), ended("a", 1), ended("b", 1), runs("x", 1)],
    historyLimit: 0,
    purged: ["a", "b"],
  },
  {
    property: "a stopped service keeps its slots' newest tasks",
    service: { replicas: 2, stopped: true },
    tasks: [ended("a", 1), ended("b", 2)],
    historyLimit: 0,
    purged: [],
  },
  {
    property: "tasks of slots that were scaled away stay within the limit only",
    service: { replicas: 1 },
    tasks: [runs("x", 1), ended("a", 2, { endedAtMs: 1 }), ended("b", 3, { endedAtMs: 2 })],
    historyLimit: 1,
    purged: ["a"],
  },
  {
    property: "what a job has completed is never forgotten",
    service: { mode: job },
    tasks: [
      ended("a", 1, { state: "succeeded", desired: "run" }),
      ended("b", 2, { state: "succeeded", desired: "run" }),
      ended("c", 2, { state: "failed", desired: "run", endedAtMs: -1 }),
    ],
    historyLimit: 0,
    purged: ["c"],
  },
  {
    property: "ended tasks of a node that is down are purged as well",
    service: { replicas: 0 },
    tasks: [ended("a", 1, { node: "n2", state: "lost" })],
    historyLimit: 0,
    purged: ["a"],
  },
];

for (const { property, service, tasks, historyLimit, purged } of CASES) {
  Deno.test(`history: ${property}`, () => {
    const made = world({
      nodes: [...nodes(1), { name: "n2", state: "down" }],
      services: [{ name: "web", ...service }],
      tasks,
    });
    const { actions } = planAll(made, { service: "web", historyLimit });
    assertEquals(actions.map((a) => a.kind === "purge" ? a.taskId : a.kind), purged);
  });
}

Deno.test("history: a deleted service stops, is purged as its tasks end, and goes last", () => {
  const made = world({ nodes: nodes(1), services: [{ name: "web", replicas: 3 }] });
  const newId = counter();
  converge(made, newId);
  settle(made);
  addService(made, { name: "web", replicas: 3, deleting: true });
  assertEquals(converge(made, newId).flat().map(({ kind }) => kind), ["stop", "stop", "stop"]);
  assertEquals(made.services.size, 1, "its containers still run");
  settle(made);
  const { actions } = planAll(made);
  assertEquals(actions.map(({ kind }) => kind), ["purge", "purge", "purge", "remove"]);
  converge(made, newId);
  assertEquals([made.services.size, made.tasks.size], [0, 0]);
});

Deno.test("history: a deleted service with one container left is not removed", () => {
  const made = world({
    nodes: nodes(1),
    services: [{ name: "web", replicas: 2, deleting: true }],
    tasks: [ended("a", 1), { ...runs("b", 2), desired: "stop" }],
  });
  assertEquals(planAll(made).actions, [{ kind: "purge", taskId: "a" }]);
});

Deno.test("history: a slot that crashes for ever keeps a bounded history", () => {
  const made = world({ nodes: nodes(1), services: [{ name: "web" }] });
  const newId = counter();
  for (let nowMs = 0; nowMs < 3e6; nowMs += 60_000) {
    converge(made, newId, { nowMs, nodeTtlMs: 1e9 });
    const live = made.services.get(idOf("web"))?.live.get(1)?.[0];
    if (!live) throw new Error(`no live task at ${nowMs}`);
    report(made, live.task.id, "failed", nowMs, 5);
  }
  assertEquals(made.tasks.size <= 1 + 1 + 5, true, `${made.tasks.size} tasks are kept`);
});
