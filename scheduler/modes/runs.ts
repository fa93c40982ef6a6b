/**
 * Runs: of a cron service by its schedule, and of a job or cron service because a user asked for it.
 *
 * 1. A run has a slot of its own, above all slots that were given to runs before; its tasks are tries.
 * 2. A time of the schedule is taken up or skipped with the cursor in the same commit: never twice.
 * 3. A task that was stopped with `over`, that ran out of time, or that a later run replaced, is not
 *    tried again.
 * 4. What is stored about a run goes with its last task.
 *
 * @module
 */
import { timestamp } from "../../kv/schema/common.ts";
import { type CronMode, MAX_COMPLETIONS, type RunCursor } from "../../kv/schema/run.ts";
import type { Mode } from "../../kv/schema/service.ts";
import type { CreateTask } from "../action.ts";
import { afterFailure, afterInterruption, atOnce, type Restart } from "../backoff.ts";
import { assign, choose } from "../assign.ts";
import { type Draft, emit, room, stop, unplacedNow, wake } from "../draft.ts";
import { requestOf } from "../overlay.ts";
import { makeRoom } from "../preempt.ts";
import { ascending } from "../slots.ts";
import type { ServiceRecord, TaskRecord } from "../world.ts";
import { dueTime } from "./cron.ts";
import { isOverdue, keepTime } from "./deadline.ts";

type JobMode = Extract<Mode, { type: "job" }>;

/** Ended runs that a job keeps. */
const JOB_HISTORY = { succeeded: 3, failed: 3 };

interface RunRecord {
  slot: number;
  /** The newest of its tasks. */
  task: TaskRecord;
  live: readonly TaskRecord[];
  ended: readonly TaskRecord[];
  state: "live" | "succeeded" | "failed" | Restart;
}

interface Scene {
  draft: Draft;
  record: ServiceRecord;
  mode: CronMode | JobMode;
  runs: RunRecord[];
  /** Tasks that wait for a node, and those to create, by revision. */
  waiting: Map<number, { waiting: TaskRecord[]; missing: CreateTask[] }>;
}

/** Everything about the runs of a service, but purging those of a deleted one. */
export function planRuns(draft: Draft, record: ServiceRecord, mode: CronMode | JobMode): void {
  const { service } = record;
  const runs = [...ascending(record.slots.runs)].flatMap((slot) => runOf(record, mode, slot));
  const scene: Scene = { draft, record, mode, runs, waiting: new Map() };
  if (service.stopped || service.deleting) {
    const why = service.deleting ? "the service is being removed" : "the service is stopped";
    for (const run of runs) abandon(scene, run, why);
  } else {
    for (const run of runs) if (run.state === "live") goOn(scene, run);
    startNext(scene);
    for (const run of runs) if (typeof run.state === "object") retry(scene, run, run.state);
    for (const [revision, group] of scene.waiting) placeRuns(scene, revision, group);
  }
  if (!service.deleting) purgeRuns(scene);
}

/** How many live tasks belong to runs. */
export function liveRuns(record: ServiceRecord): number {
  let count = 0;
  for (const slot of record.slots.runs) count += record.live.get(slot)?.length ?? 0;
  return count;
}

/** Runs that a user asked for and that were not taken up yet, oldest first. */
export function askedRuns(record: ServiceRecord): string[] {
  if (record.runs.size === 0) return [];
  const taken = new Set<string | undefined>();
  for (const slot of record.slots.runs) {
    const task = record.live.get(slot)?.at(-1) ?? record.ended.get(slot)?.at(-1);
    taken.add(task?.task.runId);
  }
  return [...record.runs.keys()].filter((id) => !taken.has(id)).sort();
}

function runOf(record: ServiceRecord, mode: CronMode | JobMode, slot: number): RunRecord[] {
  const live = record.live.get(slot) ?? [];
  const ended = record.ended.get(slot) ?? [];
  const task = live.at(-1) ?? ended.at(-1);
  if (!task) return [];
  const done = ended.some((tried) => tried.state === "succeeded");
  const state = live.length > 0 ? "live" : done ? "succeeded" : fateOf(record, mode, task);
  return [{ slot, task, live, ended, state }];
}

/** What becomes of a run whose newest task has ended. */
function fateOf(
  record: ServiceRecord,
  mode: CronMode | JobMode,
  ended: TaskRecord,
): RunRecord["state"] {
  const { task, state } = ended;
  const { deadlineMs, retries } = mode;
  const { slot, revision } = task;
  if (task.over) return "failed"; // Invariant 3
  if (deadlineMs !== undefined && isOverdue(record, { slot, revision, deadlineMs })) {
    return "failed"; // Invariant 3
  }
  if (task.run && mode.type === "cron" && mode.concurrency === "replace") {
    if (task.run.scheduledAt !== record.cursor?.lastScheduledAt) return "failed"; // Invariant 3
  }
  if (task.desired === "stop" || state === "lost") return atOnce(ended);
  if (state === "stopped") return afterInterruption(ended);
  if (task.failures + 1 > retries) return "failed";
  return afterFailure(ended, { forgive: false });
}

function abandon({ draft, record }: Scene, run: RunRecord, why: string): void {
  for (const { task } of run.live) {
    if (task.desired === "run" && !stop(draft, record, task.id, why, { over: true })) return;
  }
}

/** A run with a live task: it may be out of time, or wait for a node. */
function goOn(scene: Scene, run: RunRecord): void {
  const { draft, record, mode: { deadlineMs } } = scene;
  const { slot, task: { task } } = run;
  if (deadlineMs !== undefined) {
    if (keepTime(draft, record, { slot, revision: task.revision, deadlineMs })) {
      abandon(scene, run, `its deadline of ${deadlineMs / 1000} s has passed`);
    }
  }
  const [, ...doubles] = run.live.filter((live) => live.task.desired === "run")
    .sort((a, b) => Number(b.state === "running") - Number(a.state === "running"));
  for (const double of doubles) {
    if (!stop(draft, record, double.task.id, "another task of its run goes on")) return;
  }
  for (const live of run.live) {
    if (live.state !== "pending" || draft.stopped.has(live.task.id)) continue;
    groupOf(scene, live.task.revision).waiting.push(live);
  }
}

function retry({ draft, record, waiting }: Scene, run: RunRecord, restart: Restart): void {
  if (restart.atMs > draft.nowMs) return wake(draft, record.service.id, restart.atMs);
  const { serviceId, revision, slot, run: scheduled, runId } = run.task.task;
  groupOf({ waiting }, revision).missing.push({
    kind: "create",
    serviceId,
    revision,
    slot,
    failures: restart.failures,
    ...(scheduled ? { run: scheduled } : {}),
    ...(runId === undefined ? {} : { runId }),
  });
}

function groupOf({ waiting }: Pick<Scene, "waiting">, revision: number) {
  let group = waiting.get(revision);
  if (!group) waiting.set(revision, group = { waiting: [], missing: [] });
  return group;
}

/** Takes up what is due by the schedule or else, for one cursor a plan is enough, what users asked for. */
function startNext(scene: Scene): void {
  const { draft, record, mode } = scene;
  const { service, cursor } = record;
  const dueMs = mode.type === "cron" ? dueTime(draft, record, mode) : undefined;
  const asked = askedRuns(record);
  if (dueMs === undefined) {
    const from = nextSlot(scene);
    const slot = from + asked.length - 1;
    for (const [i, runId] of asked.entries()) {
      start(scene, { slot: from + i, runId, cursor: { ...cursor, slot } });
    }
    return;
  }
  if (asked.length > 0) draft.unfinished.add(service.id);
  startScheduled(scene, timestamp(dueMs));
}

function startScheduled(scene: Scene, scheduledAt: string): void {
  const { draft, record, mode, runs } = scene;
  if (mode.type !== "cron") return;
  const before = runs.filter(({ task, state }) => task.task.run && !isOver(state));
  if (mode.concurrency === "forbid" && before.length > 0) {
    const why = `the run for ${scheduledAt} is skipped: that for ${
      before[0]?.task.task.run?.scheduledAt
    } goes on`;
    const cursor = { slot: nextSlot(scene) - 1, lastScheduledAt: scheduledAt };
    emit(draft, record, { kind: "skip", serviceId: record.service.id, cursor, why });
    return;
  }
  if (mode.concurrency === "replace") {
    for (const run of before) {
      abandon(scene, run, `replaced by the run for ${scheduledAt}`);
      if (typeof run.state === "object") run.state = "failed";
    }
  }
  const slot = nextSlot(scene);
  start(scene, { slot, run: { scheduledAt }, cursor: { slot, lastScheduledAt: scheduledAt } });
}

function isOver(state: RunRecord["state"]): boolean {
  return state === "succeeded" || state === "failed";
}

/** Invariant 1. */
function nextSlot({ record, mode, runs }: Scene): number {
  const base = mode.type === "job" ? MAX_COMPLETIONS : 0;
  return Math.max(base, record.cursor?.slot ?? 0, runs.at(-1)?.slot ?? 0) + 1;
}

/** Invariant 2: the cursor goes with the task. */
function start(
  scene: Scene,
  run: { slot: number; cursor: RunCursor } & Pick<CreateTask, "run" | "runId">,
): void {
  const { id: serviceId, revision } = scene.record.service;
  const create: CreateTask = { kind: "create", serviceId, revision, failures: 0, ...run };
  groupOf(scene, revision).missing.push(create);
  // Its deadline counts from now on, wherever it stands.
  if (scene.mode.deadlineMs !== undefined) scene.draft.unfinished.add(serviceId);
}

/** Finds nodes for tasks of one revision; those for which there is none are told why. */
function placeRuns(
  { draft, record }: Scene,
  revision: number,
  { waiting: all, missing }: { waiting: TaskRecord[]; missing: CreateTask[] },
): void {
  const template = record.templates.get(revision);
  if (!template) return;
  // A later run may have replaced one that waits.
  const waiting = all.filter(({ task }) => !draft.stopped.has(task.id));
  const request = requestOf(record.service.id, template);
  const left = assign(draft, record, request, waiting);
  const first = left.length > 0 ? [] : missing.slice(0, room(draft));
  const nodes = choose(draft, request, first.map(({ slot }) => slot));
  for (const [i, { record: { node: { id: nodeId } } }] of nodes.entries()) {
    const create = first[i];
    if (create) emit(draft, record, { ...create, nodeId });
  }
  const rest = missing.slice(nodes.length);
  if (left.length + rest.length === 0) return;
  if (room(draft) === 0) {
    draft.unfinished.add(record.service.id);
    return;
  }
  const unplaced = unplacedNow(draft, { service: record, request, waiting: left, missing: rest });
  draft.unplaced.push(unplaced);
  makeRoom(draft, unplaced);
}

/** Keeps the newest ended runs, and of each run the newest tries. */
function purgeRuns({ draft, record, mode, runs }: Scene): void {
  const kept = mode.type === "cron" ? { ...mode.history } : { ...JOB_HISTORY };
  for (const run of runs.toReversed()) {
    const { state, ended } = run;
    const over = state === "succeeded" || state === "failed";
    const all = over && --kept[state] < 0;
    const surplus = all ? ended : ended.slice(0, -1 - draft.options.historyLimit);
    for (const { task } of surplus) {
      const endsRun = all && task === ended.at(-1)?.task; // Invariant 4
      const purge = { kind: "purge", taskId: task.id, ...(endsRun ? { endsRun } : {}) } as const;
      if (!emit(draft, record, purge)) return;
    }
  }
}
