import { assertEquals } from "@std/assert";
import { jobPhase } from "../../scheduler/job.ts";
import type { World } from "../../scheduler/world.ts";
import type { Mode } from "../../kv/schema/service.ts";
import {
  addService,
  converge,
  counter,
  idOf,
  liveOf,
  nodes,
  planAll,
  report,
  type TaskInput,
  world,
} from "../support/world.ts";

type Job = Extract<Mode, { type: "job" }>;

function job(fields: Partial<Job> = {}): Job {
  return { type: "job", completions: 1, parallelism: 1, retries: 0, ...fields };
}

function jobWorld(mode: Job, tasks: TaskInput[] = []): World {
  return world({ nodes: nodes(2), services: [{ name: "calc", mode }], tasks });
}

function phaseOf(made: World, mode: Job) {
  const record = made.services.get(idOf("calc"));
  return record && jobPhase(record, mode);
}

const t = (id: string, slot: number, rest: Partial<TaskInput> = {}): TaskInput => ({
  id,
  slot,
  service: "calc",
  node: "n1",
  ...rest,
});

interface Case {
  property: string;
  mode: Job;
  tasks: TaskInput[];
  created: number[];
  phase: "active" | "finished" | "failed";
}

const CASES: Case[] = [
  {
    property: "starts as many tasks as may run at once",
    mode: job({ completions: 5, parallelism: 2 }),
    tasks: [],
    created: [1, 2],
    phase: "active",
  },
  {
    property: "a success makes room for the next slot and is never repeated",
    mode: job({ completions: 5, parallelism: 2 }),
    tasks: [t("a", 1, { state: "succeeded" }), t("b", 2)],
    created: [3],
    phase: "active",
  },
  {
    property: "a task that stops still counts as running",
    mode: job({ completions: 3, parallelism: 1 }),
    tasks: [t("a", 1, { desired: "stop" })],
    created: [],
    phase: "active",
  },
  {
    property: "is finished when every slot has succeeded",
    mode: job({ completions: 2, parallelism: 2 }),
    tasks: [t("a", 1, { state: "succeeded" }), t("b", 2, { state: "succeeded" })],
    created: [],
    phase: "finished",
  },
  {
    property: "more completions continue a finished job",
    mode: job({ completions: 3, parallelism: 2 }),
    tasks: [t("a", 1, { state: "succeeded" }), t("b", 2, { state: "succeeded" })],
    created: [3],
    phase: "active",
  },
  {
    property: "a failed task is tried again while there are retries",
    mode: job({ retries: 1 }),
    tasks: [t("a", 1, { state: "failed" })],
    created: [1],
    phase: "active",
  },
  {
    property: "a rejected task consumes a retry, too",
    mode: job({ retries: 0 }),
    tasks: [t("a", 1, { state: "rejected" })],
    created: [],
    phase: "failed",
  },
  {
    property: "the retries count over the whole job, also those of tasks purged since",
    mode: job({ completions: 4, parallelism: 4, retries: 2 }),
    tasks: [
      t("a", 1, { failures: 2, state: "succeeded" }),
      t("b", 2, { state: "failed" }),
      t("c", 3),
    ],
    created: [],
    phase: "failed",
  },
  {
    property: "lost tasks consume no retries",
    mode: job({ retries: 0 }),
    tasks: [t("a", 1, { state: "lost" })],
    created: [1],
    phase: "active",
  },
  {
    property: "a long run does not forgive failures: retries are counted against their sum",
    mode: job({ retries: 1 }),
    tasks: [t("a", 1, { state: "failed", failures: 1, ranMs: 400_000 })],
    created: [],
    phase: "failed",
  },
];

for (const { property, mode, tasks, created, phase } of CASES) {
  Deno.test(`job: ${property}`, () => {
    const made = jobWorld(mode, tasks);
    const { actions } = planAll(made, { service: "calc", nowMs: 100_000 });
    assertEquals(actions.map((a) => a.kind === "create" ? a.slot : a.kind), created);
    assertEquals(phaseOf(made, mode), phase);
  });
}

Deno.test("job: a new revision leaves running tasks alone, renews the retries, repeats no success", () => {
  const mode = job({ completions: 3, parallelism: 3 });
  const made = jobWorld(mode, [
    t("a", 1, { state: "succeeded" }),
    t("b", 2, { state: "failed" }),
    t("c", 3),
  ]);
  assertEquals(phaseOf(made, mode), "failed");
  addService(made, { name: "calc", mode, revision: 2 });
  assertEquals(phaseOf(made, mode), "active");
  const { actions } = planAll(made, { service: "calc" });
  assertEquals(actions.map((a) => a.kind === "create" && [a.slot, a.revision, a.failures]), [
    [2, 2, 0],
  ]);
});

Deno.test("job: a stopped job stops its live tasks and goes on with what is left when started", () => {
  const mode = job({ completions: 3, parallelism: 2 });
  const made = jobWorld(mode, [t("a", 1, { state: "succeeded" }), t("b", 2), t("c", 3)]);
  const newId = counter();
  addService(made, { name: "calc", mode, stopped: true });
  assertEquals(planAll(made).actions.map((a) => "taskId" in a && a.taskId), ["c", "b"]);
  converge(made, newId);
  report(made, "b", "stopped");
  report(made, "c", "stopped");
  assertEquals(converge(made, newId), []);
  addService(made, { name: "calc", mode });
  converge(made, newId);
  assertEquals(liveOf(made, "calc").map((task) => task[0]), ["2", "3"]);
});

for (const [state, phase] of [["succeeded", "finished"], ["failed", "failed"]] as const) {
  Deno.test(`job: removeAfterMs after it ${phase} it is retired, purged and removed`, () => {
    const mode = job({ removeAfterMs: 60_000 });
    const made = jobWorld(mode, [t("a", 1, { state, endedAtMs: 5000 })]);
    const early = planAll(made, { service: "calc", nowMs: 64_999 });
    assertEquals(early.actions, []);
    assertEquals(early.wakes.get(idOf("calc")), 65_000);
    const rounds = converge(made, counter(), { nowMs: 65_000, nodeTtlMs: 1e9 });
    assertEquals(rounds.flat().map(({ kind }) => kind), ["retire", "purge", "remove"]);
    assertEquals(made.services.size + made.tasks.size, 0);
  });
}

Deno.test("job: a leader that takes over while a retired job is purged does not run it again", () => {
  const mode = job({ completions: 4, parallelism: 4, removeAfterMs: 0 });
  const made = jobWorld(mode, [1, 2, 3, 4].map((n) => t(`t${n}`, n, { state: "succeeded" })));
  const rounds = converge(made, counter(), { limit: 1 });
  const kinds = rounds.flat().map(({ kind }) => kind);
  assertEquals(kinds, ["retire", "purge", "purge", "purge", "purge", "remove"]);
});
