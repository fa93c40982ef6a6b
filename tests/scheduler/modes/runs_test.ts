import { assertEquals } from "@std/assert";
import { MAX_COMPLETIONS } from "../../../kv/schema/run.ts";
import type { Mode } from "../../../kv/schema/service.ts";
import type { Action } from "../../../scheduler/action.ts";
import type { World } from "../../../scheduler/world.ts";
import {
  addTask,
  applyActions,
  converge,
  counter,
  idOf,
  liveOf,
  nodes,
  planAll,
  report,
  settle,
  type TaskInput,
  world,
} from "../../support/world.ts";

type Cron = Extract<Mode, { type: "cron" }>;
const AT = "2026-01-01T00:00:00.000Z";

/** Nodes do not beat here, and stay. */
const nodeTtlMs = 1e9;

/** Wall-clock ms so many seconds after the service was made. */
const wall = (seconds: number) => Date.parse(AT) + seconds * 1000;
const at = (seconds: number) => new Date(wall(seconds)).toISOString();

function cron(fields: Partial<Cron> = {}): Cron {
  return {
    type: "cron",
    schedule: "* * * * *",
    timeZone: "UTC",
    concurrency: "forbid",
    catchUpMs: 0,
    retries: 0,
    history: { succeeded: 3, failed: 1 },
    ...fields,
  };
}

/** A cron service that has run up to `last` seconds, in slots up to `slot`. */
function cronWorld(
  mode: Mode,
  tasks: (Omit<TaskInput, "service"> & { at?: number })[] = [],
  last?: number,
): World {
  const made = world({ nodes: nodes(2), services: [{ name: "tick", mode }] });
  for (const { at: scheduled, ...task } of tasks) {
    const { task: row, observed } = addTask(made, { ...task, service: "tick" });
    const record = made.tasks.get(row.id);
    if (record && scheduled !== undefined) {
      record.task = { ...row, run: { scheduledAt: at(scheduled) } };
      if (observed) record.observed = observed;
    }
  }
  const record = made.services.get(idOf("tick"));
  const slot = Math.max(0, ...tasks.map((task) => task.slot));
  if (record && last !== undefined) record.cursor = { slot, lastScheduledAt: at(last) };
  return made;
}

function lines(actions: readonly Action[]): string[] {
  return actions.map((action) => {
    switch (action.kind) {
      case "create":
        return `create ${action.slot}` +
          (action.run ? ` for ${(Date.parse(action.run.scheduledAt) - wall(0)) / 1000} s` : "") +
          (action.runId ? ` for ${action.runId}` : "");
      case "stop":
        return `stop ${action.taskId}${action.over ? " for good" : ""}`;
      case "purge":
        return `purge ${action.taskId}${action.endsRun ? " and its run" : ""}`;
      case "skip":
        return `skip ${(Date.parse(action.cursor.lastScheduledAt ?? "") - wall(0)) / 1000} s`;
      default:
        return action.kind;
    }
  });
}

interface Case {
  property: string;
  mode?: Partial<Cron>;
  tasks?: (Omit<TaskInput, "service"> & { at?: number })[];
  last?: number;
  wallS: number;
  actions: string[];
}

const RUNNING = { id: "a", slot: 1, node: "n1", at: 60 };

const CASES: Case[] = [
  { property: "nothing is due before the first time", wallS: 59.9, actions: [] },
  { property: "a time that has come is run", wallS: 60, actions: ["create 1 for 60 s"] },
  { property: "a little late is not missed", wallS: 69, actions: ["create 1 for 60 s"] },
  { property: "a missed time is let go", wallS: 75, actions: [] },
  {
    property: "a missed time within the catch-up window is made up for",
    mode: { catchUpMs: 30_000 },
    wallS: 75,
    actions: ["create 1 for 60 s"],
  },
  {
    property: "of many missed times only the last is made up for",
    mode: { catchUpMs: 3600_000 },
    wallS: 1000,
    actions: ["create 1 for 960 s"],
  },
  {
    property: "a catch-up window that ended before the last missed time makes up for none",
    mode: { catchUpMs: 30_000, schedule: "0 * * * *" },
    wallS: 3640,
    actions: [],
  },
  { property: "a time is never run twice", last: 60, wallS: 60, actions: [] },
  {
    property: "the clock was put back by an hour: nothing again",
    last: 3600,
    wallS: 60,
    actions: [],
  },
  {
    property: "the clock has passed where it had been: on with the next time",
    last: 3600,
    wallS: 3660,
    actions: ["create 1 for 3660 s"],
  },
  {
    property: "the clock jumped ahead by an hour: what lies between is missed, the newest is run",
    last: 60,
    wallS: 3662,
    actions: ["create 1 for 3660 s"],
  },
  {
    property: "forbid: a run that goes on has the next time skipped",
    tasks: [RUNNING],
    last: 60,
    wallS: 120,
    actions: ["skip 120 s"],
  },
  {
    property: "forbid: a run that is to be tried again counts as going on",
    mode: { retries: 1 },
    tasks: [{ ...RUNNING, state: "failed", endedAtMs: 0 }],
    last: 60,
    wallS: 120,
    actions: ["skip 120 s"],
  },
  {
    property: "forbid: a run that has ended holds nothing up",
    tasks: [{ ...RUNNING, state: "succeeded" }],
    last: 60,
    wallS: 120,
    actions: ["create 2 for 120 s"],
  },
  {
    property: "allow: runs go on side by side",
    mode: { concurrency: "allow" },
    tasks: [RUNNING],
    last: 60,
    wallS: 120,
    actions: ["create 2 for 120 s"],
  },
  {
    property: "replace: the earlier run is stopped for good",
    mode: { concurrency: "replace" },
    tasks: [RUNNING],
    last: 60,
    wallS: 120,
    actions: ["stop a for good", "create 2 for 120 s"],
  },
  {
    property:
      "replace: an earlier run that waits for a node is stopped, and neither placed nor told why",
    mode: { concurrency: "replace" },
    tasks: [{ id: "a", slot: 1, at: 60 }],
    last: 60,
    wallS: 120,
    actions: ["stop a for good", "create 2 for 120 s"],
  },
  {
    property: "replace: an earlier run that failed is not tried again",
    mode: { concurrency: "replace", retries: 5 },
    tasks: [{ ...RUNNING, state: "failed" }, { id: "b", slot: 2, node: "n1", at: 120 }],
    last: 120,
    wallS: 130,
    actions: [],
  },
  {
    property: "slots grow, whatever is left of the history",
    tasks: [{ ...RUNNING, slot: 41, state: "succeeded" }],
    last: 60,
    wallS: 120,
    actions: ["create 42 for 120 s"],
  },
  {
    property: "a succeeded run is not tried again",
    mode: { retries: 3 },
    tasks: [{ ...RUNNING, state: "succeeded" }],
    last: 60,
    wallS: 100,
    actions: [],
  },
  {
    property: "the history keeps the newest succeeded and failed runs",
    mode: { history: { succeeded: 2, failed: 1 } },
    tasks: [
      { id: "a", slot: 1, node: "n1", at: 60, state: "succeeded" },
      { id: "b", slot: 2, node: "n1", at: 120, state: "failed" },
      { id: "c", slot: 3, node: "n1", at: 180, state: "succeeded" },
      { id: "d", slot: 4, node: "n1", at: 240, state: "failed" },
      { id: "e", slot: 5, node: "n1", at: 300, state: "succeeded" },
    ],
    last: 300,
    wallS: 320,
    actions: ["purge b and its run", "purge a and its run"],
  },
  {
    property: "a run leaves the history with all its tries, the run with the last of them",
    mode: { history: { succeeded: 0, failed: 0 }, retries: 2 },
    tasks: [
      { id: "a", slot: 1, node: "n1", at: 60, state: "failed", endedAtMs: 1 },
      { id: "b", slot: 1, node: "n1", at: 60, state: "succeeded", endedAtMs: 2 },
    ],
    last: 60,
    wallS: 80,
    actions: ["purge a", "purge b and its run"],
  },
];

for (const { property, mode, tasks, last, wallS, actions } of CASES) {
  Deno.test(`cron: ${property}`, () => {
    const made = cronWorld(cron(mode), tasks, last);
    const planned = planAll(made, { service: "tick", nowMs: 500, wallMs: wall(wallS) });
    assertEquals(lines(planned.actions), actions);
  });
}

Deno.test("cron: asks to be planned at the next time, and soon enough to notice a clock that jumps", () => {
  const made = cronWorld(cron());
  const wakes = (wallS: number) =>
    planAll(made, { service: "tick", nowMs: 1000, wallMs: wall(wallS) }).wakes.get(idOf("tick"));
  assertEquals(wakes(58.5), 2500);
  assertEquals(wakes(1), 6000);
});

Deno.test("cron: a failed run is tried again in its slot as often as retries say, then has failed", () => {
  const made = cronWorld(cron({ retries: 1 }));
  const newId = counter("t");
  const when = (nowMs: number) => ({ nowMs, wallMs: wall(62), nodeTtlMs });
  converge(made, newId, when(0));
  report(made, "t000001", "failed", 100);
  converge(made, newId, when(200));
  assertEquals(liveOf(made, "tick"), []);
  converge(made, newId, when(2000));
  assertEquals(liveOf(made, "tick"), ["1@n1 assigned"]);
  assertEquals(made.tasks.get("t000002")?.task.run, { scheduledAt: at(60) });
  report(made, "t000002", "failed", 2100);
  converge(made, newId, when(20_000));
  assertEquals(liveOf(made, "tick"), []);
});

Deno.test("cron: a run on a draining node is moved, one that was stopped with its service is not", () => {
  const made = cronWorld(cron(), [RUNNING], 60);
  const newId = counter("x");
  const node = made.nodes.get(idOf("n1"));
  if (node) node.spec = { ...node.spec, availability: "drain" };
  const when = { nowMs: 0, wallMs: wall(80) };
  converge(made, newId, when);
  assertEquals(liveOf(made, "tick"), ["1@n1 running!"]);
  settle(made);
  converge(made, newId, when);
  assertEquals(liveOf(made, "tick"), ["1@n2 assigned"]);
  const record = made.services.get(idOf("tick"));
  if (record) record.service = { ...record.service, stopped: true };
  converge(made, newId, when);
  settle(made);
  if (record) record.service = { ...record.service, stopped: false };
  converge(made, newId, when);
  assertEquals(liveOf(made, "tick"), []);
});

Deno.test("cron: times that passed while the service was stopped are not made up for", () => {
  const made = cronWorld(cron({ catchUpMs: 3600_000 }), [], 60);
  const record = made.services.get(idOf("tick"));
  if (record) record.service = { ...record.service, updatedAt: at(610) };
  const planned = planAll(made, { service: "tick", wallMs: wall(620) });
  assertEquals(lines(planned.actions), []);
});

Deno.test("cron: a run out of time is stopped for good, also by a leader that took over meanwhile", () => {
  const made = cronWorld(cron({ deadlineMs: 20_000, retries: 5 }));
  const newId = counter("t");
  converge(made, newId, { nowMs: 0, wallMs: wall(60) });
  settle(made);
  const wallMs = wall(70);
  converge(made, newId, { nowMs: 15_000, wallMs, nodeTtlMs });
  const record = made.services.get(idOf("tick"));
  const watch = record?.elapsed.get(1);
  assertEquals([watch?.startedAtMs, watch?.elapsedMs], [0, 15_000]);
  // The next leader's clock has another origin; it goes on from the saved duration.
  if (watch) record?.elapsed.set(1, { ...watch, startedAtMs: 1_000_000 - watch.elapsedMs });
  assertEquals(lines(planAll(made, { nowMs: 1_004_000, wallMs, nodeTtlMs }).actions), ["elapsed"]);
  const { actions } = planAll(made, { nowMs: 1_005_000, wallMs, service: "tick" });
  assertEquals(lines(actions), ["elapsed", "stop t000001 for good"]);
  applyActions(made, actions, newId, 1_005_000);
  settle(made, 1_005_000);
  converge(made, newId, { nowMs: 1_100_000, wallMs, nodeTtlMs });
  assertEquals(liveOf(made, "tick"), []);
});

Deno.test("cron: after a million runs a plan is no slower and the index no larger", () => {
  const made = cronWorld(cron(), [{ ...RUNNING, slot: 1_000_000, state: "succeeded" }], 60);
  const newId = counter("x");
  converge(made, newId, { nowMs: 0, wallMs: wall(120) });
  const { slots } = made.services.get(idOf("tick")) ?? {};
  assertEquals([slots?.gaps.size, slots?.tail, [...slots?.runs ?? []]], [0, 0, [1e6, 1e6 + 1]]);
});

function ask(made: World, id: string): void {
  const serviceId = idOf("tick");
  made.services.get(serviceId)?.runs.set(id, { id, serviceId, at: AT, env: {} });
}

Deno.test("a run on request is taken up once, beside a scheduled one that goes on", () => {
  const made = cronWorld(cron(), [RUNNING], 60);
  ask(made, "run-1");
  ask(made, "run-2");
  const newId = counter("x");
  const planned = planAll(made, { service: "tick", wallMs: wall(80) });
  assertEquals(lines(planned.actions), ["create 2 for run-1", "create 3 for run-2"]);
  applyActions(made, planned.actions, newId, 0);
  assertEquals(planAll(made, { service: "tick", wallMs: wall(80) }).actions, []);
  assertEquals(made.services.get(idOf("tick"))?.cursor, { slot: 3, lastScheduledAt: at(60) });
});

Deno.test("a run on request that comes with a due time waits for the next round, not longer", () => {
  const made = cronWorld(cron());
  ask(made, "run-1");
  const rounds = converge(made, counter("x"), { wallMs: wall(60) });
  assertEquals(rounds.map(lines), [["create 1 for 60 s"], ["create 2 for run-1"]]);
});

Deno.test("a job's run on request has a slot above all completions and does not count as one", () => {
  const mode: Mode = { type: "job", completions: 2, parallelism: 1, retries: 0 };
  const done = [1, 2].map((slot): Omit<TaskInput, "service"> => ({
    id: `d${slot}`,
    slot,
    node: "n1",
    state: "succeeded",
  }));
  const made = cronWorld(mode, done);
  ask(made, "run-1");
  const newId = counter("x");
  converge(made, newId);
  const slot = MAX_COMPLETIONS + 1;
  assertEquals(liveOf(made, "tick"), [`${slot}@n1 assigned`]);
  report(made, "x000001", "failed");
  converge(made, newId);
  assertEquals(liveOf(made, "tick"), []);
  const record = made.services.get(idOf("tick"));
  assertEquals([record?.slots.failed, record?.slots.tail, record?.slots.gaps.size], [0, 2, 0]);
});

Deno.test("a finished job is not removed before a run that was asked for has ended", () => {
  const mode: Mode = {
    ...{ type: "job", completions: 1, parallelism: 1, retries: 0 },
    removeAfterMs: 1000,
  };
  const made = cronWorld(mode, [{ id: "d", slot: 1, node: "n1", state: "succeeded" }]);
  ask(made, "run-1");
  const planned = planAll(made, { nowMs: 5000, service: "tick" });
  assertEquals(lines(planned.actions), [`create ${MAX_COMPLETIONS + 1} for run-1`]);
  applyActions(made, planned.actions, counter("x"), 5000);
  report(made, "x000001", "succeeded", 5500);
  assertEquals(lines(planAll(made, { nowMs: 6000, service: "tick" }).actions), []);
  assertEquals(lines(planAll(made, { nowMs: 6500, service: "tick" }).actions), ["retire"]);
});

Deno.test("a job out of time stops what runs and starts nothing more", () => {
  const mode: Mode = {
    type: "job",
    completions: 3,
    parallelism: 1,
    retries: 3,
    deadlineMs: 10_000,
  };
  const made = cronWorld(mode);
  const newId = counter("t");
  converge(made, newId);
  settle(made);
  const planned = planAll(made, { nowMs: 9_999, service: "tick" });
  assertEquals(lines(planned.actions), ["elapsed"]);
  applyActions(made, planned.actions, newId, 9_999);
  assertEquals(planAll(made, { nowMs: 9_999, nodeTtlMs }).wakes.get(idOf("tick")), 10_000);
  const late = planAll(made, { nowMs: 10_000, service: "tick" });
  assertEquals(lines(late.actions), ["elapsed", "stop t000001"]);
  applyActions(made, late.actions, newId, 10_000);
  settle(made, 10_000);
  assertEquals(converge(made, newId, { nowMs: 60_000, nodeTtlMs }), []);
});

Deno.test("a deleted cron service stops its runs, and goes with its last task", () => {
  const made = cronWorld(cron(), [RUNNING], 60);
  const record = made.services.get(idOf("tick"));
  if (record) record.service = { ...record.service, deleting: true };
  const newId = counter("x");
  const when = { wallMs: wall(120) };
  assertEquals(converge(made, newId, when).map(lines), [["stop a for good"]]);
  settle(made);
  assertEquals(converge(made, newId, when).map(lines), [["purge a", "remove"]]);
});
