import { assert, assertEquals } from "@std/assert";
import type { Assignment } from "../../kv/schema/agent.ts";
import { advances, TaskState } from "../../kv/schema/task_state.ts";
import { newRecord, type TaskRecord, type View } from "../../worker/record.ts";
import { verdictAtStart } from "../../worker/probes/subject.ts";
import type { ContainerStatus } from "../../worker/runtime.ts";
import { nextStep, type Step } from "../../worker/step.ts";
import { assignmentOf } from "../support/fake_server.ts";

const T1 = "2030-01-01T00:00:01.000000001Z";
const T2 = "2030-01-01T00:00:02.500000001Z";
const run = assignmentOf(1, { stopGraceMs: 3_000, stopSignal: "SIGINT" });
const stop: Assignment = { ...run, desired: "stop" };

function container(state: ContainerStatus["state"], over: Partial<ContainerStatus> = {}) {
  const times = state === "created" ? {} : state === "running" ? { startedAt: T1 } : {
    startedAt: T1,
    finishedAt: T2,
  };
  return {
    id: "c1",
    taskId: run.taskId,
    state,
    exitCode: 0,
    oomKilled: false,
    error: "",
    health: "none" as const,
    ports: [],
    ...times,
    ...over,
  };
}

function record(state: TaskRecord["observed"]["state"], over: Partial<TaskRecord> = {}) {
  const fresh = newRecord(run);
  const running = state === "running" ? { run: T1 } : {};
  return { ...fresh, observed: { ...fresh.observed, state }, ...running, ...over };
}

const probe = { type: "tcp" as const, port: 80 };
const probed = assignmentOf(1, { health: { probe } });
const gated = assignmentOf(1, { readiness: { probe } });

function sick(): TaskRecord {
  const known = record("running");
  const message = "unhealthy: no disk";
  return { ...known, observed: { ...known.observed, health: "unhealthy", message } };
}

function step(over: Partial<View>): Step {
  return nextStep({
    taskId: run.taskId,
    confirmed: true,
    interrupted: false,
    stopSent: false,
    nowMs: 1_000,
    wallMs: Date.UTC(2030, 0, 1),
    jitter: 0.5,
    ...over,
  });
}

/** A step in a few words: its kind, and for a note the position and message it reaches. */
function words(over: Partial<View>): string {
  const next = step(over);
  if (next.kind !== "note") return next.kind;
  const { attempt, state, message } = next.record.observed;
  return [next.kind, attempt, state, ...(message ? [`(${message})`] : [])].join(" ");
}

Deno.test("each situation has one next step", () => {
  const table: [string, Partial<View>, string][] = [
    ["assigned, never seen", { assignment: run }, "note 1 preparing"],
    ["no container", { assignment: run, record: record("preparing") }, "create"],
    [
      "made, not started",
      { assignment: run, record: record("preparing"), container: container("created") },
      "start",
    ],
    [
      "start answered",
      { assignment: run, record: record("starting"), container: container("running") },
      "note 1 running",
    ],
    [
      "runs as known",
      { assignment: run, record: record("running"), container: container("running") },
      "none",
    ],
    [
      "exited",
      {
        assignment: run,
        record: record("running"),
        container: container("exited", { exitCode: 3 }),
      },
      "note 2 preparing (exited with 3, restarting)",
    ],
    [
      "out of memory",
      {
        assignment: run,
        record: record("running"),
        container: container("exited", { exitCode: 137, oomKilled: true }),
      },
      "note 2 preparing (killed: out of memory (exit code 137), restarting)",
    ],
    [
      "gone",
      { assignment: run, record: record("running") },
      "note 2 preparing (container is gone, restarting)",
    ],
    [
      "waits for its restart",
      {
        assignment: run,
        record: record("preparing", { startedBefore: T1, dueMs: 1_001 }),
        container: container("exited"),
      },
      "wait",
    ],
    [
      "restart is due",
      {
        assignment: run,
        record: record("preparing", { startedBefore: T1, dueMs: 1_000 }),
        container: container("exited"),
      },
      "start",
    ],
    [
      "restarted by someone else",
      {
        assignment: run,
        record: record("running"),
        container: container("running", { startedAt: T2 }),
      },
      "note 2 running (restarted by someone else than Berth)",
    ],
    [
      "found unhealthy by the engine",
      {
        assignment: run,
        record: record("running"),
        container: container("running", { health: "unhealthy", healthOutput: "no disk" }),
      },
      "note 1 running (unhealthy: no disk)",
    ],
    [
      "known to be unhealthy",
      { assignment: run, record: sick(), container: container("running") },
      "stop",
    ],
    [
      "exited, stopped for its health",
      { assignment: run, record: sick(), container: container("exited") },
      "note 2 preparing (unhealthy: no disk, restarting)",
    ],
    [
      "found unhealthy by the agent, which the engine does not ask",
      {
        assignment: probed,
        record: record("running"),
        container: container("running", { health: "healthy" }),
        probed: { health: "unhealthy", healthOutput: "refused" },
      },
      "note 1 running (unhealthy: refused)",
    ],
    [
      "not ready, and why",
      {
        assignment: gated,
        record: record("running"),
        container: container("running"),
        probed: { ready: false, readinessOutput: "HTTP 503" },
      },
      "note 1 running (not ready: HTTP 503)",
    ],
    [
      "to stop, runs",
      { assignment: stop, record: record("running"), container: container("running") },
      "stop",
    ],
    [
      "to stop, stopped",
      { assignment: stop, record: record("running"), container: container("exited") },
      "note 1 stopped",
    ],
    ["to stop, never made", { assignment: stop, record: record("preparing") }, "note 1 stopped"],
    [
      "to stop, a start may be on its way",
      { assignment: stop, record: record("starting"), container: container("created") },
      "remove",
    ],
    [
      "to stop, a further start may be on its way",
      {
        assignment: stop,
        record: record("starting", { startedBefore: T1 }),
        container: container("exited"),
      },
      "remove",
    ],
    [
      "to stop, waits for its next attempt",
      {
        assignment: stop,
        record: record("starting", { startedBefore: T1, dueMs: 2_000 }),
        container: container("exited"),
      },
      "note 1 stopped",
    ],
    [
      "its lease is over, a start may be on its way",
      {
        assignment: run,
        record: record("starting"),
        container: container("created"),
        standing: { kind: "over", message: "cut off", graceMs: 0 },
      },
      "remove",
    ],
    [
      "unassigned, a start may be on its way",
      { record: record("starting"), container: container("created") },
      "remove",
    ],
    [
      "ended",
      { assignment: run, record: record("failed"), container: container("exited") },
      "none",
    ],
    [
      "ended, yet runs",
      { assignment: run, record: record("succeeded"), container: container("running") },
      "stop",
    ],
    [
      "unassigned, runs",
      { record: record("running"), container: container("running") },
      "stop",
    ],
    [
      "unassigned, stopped",
      { record: record("running"), container: container("exited") },
      "note 1 stopped",
    ],
    [
      "unassigned, told",
      { record: record("stopped"), container: container("exited") },
      "remove",
    ],
    ["unassigned, removed", { record: record("stopped") }, "forget"],
    ["foreign, runs", { container: container("running") }, "stop"],
    ["foreign, exited", { container: container("exited") }, "remove"],
    [
      "foreign, before the first poll",
      { container: container("running"), confirmed: false },
      "none",
    ],
    ["nothing at all", {}, "none"],
  ];
  const found = table.map(([what, view]) => `${what}: ${words(view)}`);
  assertEquals(found, table.map(([what, _view, expected]) => `${what}: ${expected}`));
});

Deno.test("an attempt whose start may have been answered to a dead agent is never started twice", () => {
  const again = record("preparing", { startedBefore: T1 });
  again.observed.attempt = 2;
  const before = container("exited", { startedAt: T1 });
  const after = container("exited", { startedAt: T2, finishedAt: T2, exitCode: 5 });
  assertEquals(words({ assignment: run, record: again, container: before }), "start");
  assertEquals(
    words({ assignment: run, record: again, container: after }),
    "note 3 preparing (exited with 5, restarting)",
  );
});

Deno.test("the restart remembers the run that ended, so that the next start can be told apart", () => {
  const next = step({
    assignment: run,
    record: record("running"),
    container: container("exited", { exitCode: 1 }),
  });
  assert(next.kind === "note");
  assertEquals(next.record.startedBefore, T1);
  assertEquals(next.record.run, undefined);
  assertEquals(next.record.observed.ranMs, 1_500);
  assertEquals(next.record.observed.exitCode, 1);
});

Deno.test("a run-to-completion task ends with its exit code", () => {
  const job = assignmentOf(1, { restart: { condition: "on-failure", maxAttempts: 0 } });
  const ends = (exitCode: number) =>
    words({
      assignment: job,
      record: record("running"),
      container: container("exited", { exitCode }),
    });
  assertEquals(ends(0), "note 1 succeeded (exited with 0)");
  assertEquals(ends(2), "note 1 failed (exited with 2; no restarts in place are allowed)");
});

Deno.test("a killed task is given up only when the engine is still there a little later", () => {
  const spent = assignmentOf(1, { restart: { maxAttempts: 0 } });
  const given = (exitCode: number, nowMs: number) =>
    step({
      assignment: spent,
      record: record("running"),
      container: container("exited", { exitCode }),
      exitSeenMs: 1_000,
      nowMs,
    }).kind;
  assertEquals([given(137, 1_000), given(137, 3_999), given(137, 4_000)], ["wait", "wait", "note"]);
  assertEquals(given(1, 1_000), "note");
});

Deno.test("a job that finished before its stop succeeded; one that was stopped did not", () => {
  const job = { ...assignmentOf(1, { restart: { condition: "none" } }), desired: "stop" as const };
  const view = { assignment: job, record: record("running"), container: container("exited") };
  assertEquals(words(view), "note 1 succeeded");
  assertEquals(words({ ...view, stopSent: true }), "note 1 stopped");
});

Deno.test("a stop carries the template's signal and grace, also once unassigned", () => {
  const expected: Step = { kind: "stop", graceMs: 3_000, signal: "SIGINT" };
  const view = { record: record("running"), container: container("running") };
  assertEquals(step({ ...view, assignment: stop }), expected);
  assertEquals(step(view), expected);
});

Deno.test("health changes are noted without a change of position", () => {
  const next = step({
    assignment: run,
    record: record("running"),
    container: container("running", { health: "unhealthy" }),
  });
  assertEquals(next.kind === "note" && next.record.observed.health, "unhealthy");
});

Deno.test("a killed task that was unhealthy is given up at once: that was no engine shutting down", () => {
  const spent = assignmentOf(1, { restart: { maxAttempts: 0 } });
  const view = {
    assignment: spent,
    record: sick(),
    container: container("exited", { exitCode: 137 }),
    exitSeenMs: 1_000,
  };
  assertEquals(words(view).slice(0, 13), "note 1 failed");
});

Deno.test("before anybody looked, a new run is not told to be ready unless it is known to be", () => {
  const at = (template: Parameters<typeof assignmentOf>[1], plain: boolean) =>
    verdictAtStart(assignmentOf(1, template).template, { plain });
  const engine = { type: "engine" as const };
  assertEquals(
    [
      at({}, false),
      at({}, true),
      at({ health: { probe } }, true),
      at({ health: { probe: { type: "none" } } }, false),
      at({ health: { probe: engine } }, true),
      at({ health: { probe: { ...engine, command: ["check"] } } }, true),
    ].map(({ health }) => health),
    ["starting", "none", "starting", "none", "none", "starting"],
  );
  assertEquals(at({ readiness: { probe } }, true), { health: "none", ready: false });
});

Deno.test("whatever is known, a note only ever advances the position", () => {
  const states = TaskState.exclude(["pending", "assigned", "lost"]).options;
  const containers = [undefined, container("created"), container("running"), container("exited")];
  for (const state of states) {
    for (const assignment of [run, stop, undefined]) {
      for (const seen of containers) {
        for (const startedBefore of [undefined, T1]) {
          const known = record(state, startedBefore ? { startedBefore } : {});
          const next = step({
            record: known,
            ...(assignment ? { assignment } : {}),
            ...(seen ? { container: seen } : {}),
          });
          if (next.kind !== "note") continue;
          const what = `${state} ${assignment?.desired} ${seen?.state} ${startedBefore}`;
          assert(advances(known.observed, next.record.observed, "node"), what);
        }
      }
    }
  }
});

Deno.test("a task that gets connections is stopped only after its drain, counted from when that was known", () => {
  const assignment = { ...stop, drainMs: 1_000 };
  const running = { assignment, record: record("running"), container: container("running") };
  assertEquals(step({ ...running, stopSeenMs: 700 }), { kind: "wait", untilMs: 1_700 });
  assertEquals(step({ ...running, stopSeenMs: 0 }).kind, "stop");
  assertEquals(step({ ...running, assignment: stop, stopSeenMs: 700 }).kind, "stop");
  const exited = { ...running, container: container("exited"), stopSeenMs: 700 };
  assertEquals(step(exited).kind, "note");
});

Deno.test("a task that gets no connections anyway is not drained", () => {
  const assignment = { ...stop, drainMs: 1_000 };
  const known = { assignment, container: container("running"), stopSeenMs: 1_000 };
  assertEquals(step({ ...known, record: record("starting") }).kind, "stop");
  assertEquals(step({ ...known, record: sick() }).kind, "stop");
  const unready = record("running");
  unready.observed = { ...unready.observed, ready: false };
  assertEquals(step({ ...known, record: unready }).kind, "stop");
  const { assignment: _, ...strayed } = known;
  assertEquals(step({ ...strayed, record: record("running") }).kind, "stop");
});
