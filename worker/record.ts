/**
 * What the agent remembers of a task, and how it changes. Pure.
 *
 * @module
 */
import type { Assignment } from "../kv/schema/agent.ts";
import type { Hook } from "../kv/schema/container.ts";
import type { Observed } from "../kv/schema/task.ts";
import { timestamp } from "../kv/schema/common.ts";
import type { ContainerStatus } from "./runtime.ts";
import type { Standing } from "./lease.ts";
import { type AgentProbeVerdict, type Verdict, verdictOf } from "./probes/subject.ts";
import { afterRun, seconds } from "./restart.ts";

export interface StopOptions {
  /** The `preStop` hooks have their time from it. */
  graceMs: number;
  signal?: string;
  preStop?: Hook[];
}

/** What the agent remembers of a task. Times are ms of its monotonic clock. */
export interface TaskRecord {
  /** The position that was reached, with its details: the row that is reported. */
  observed: Observed;
  /** The container's `startedAt` before the current attempt (step.ts, rule 1). */
  startedBefore?: string;
  /** The container's `startedAt` of the run that `observed` speaks of. */
  run?: string;
  /** The container's `startedAt` of the run whose `post_start` hooks are done. */
  hooked?: string;
  restartsMs: number[];
  /** A restart waits until then. */
  dueMs?: number;
  /** How to stop it when its assignment is gone. */
  stop: StopOptions;
}

/** Everything that the choice of a step depends on. */
export interface View {
  taskId: string;
  /** Absent when the task is not in the set. */
  assignment?: Assignment;
  record?: TaskRecord;
  /** Absent when the engine has no container of the task. */
  container?: ContainerStatus;
  /** What the agent's own probes say of this run, if it has any. */
  probed?: AgentProbeVerdict;
  /** A poll has confirmed the set in this life of the agent. */
  confirmed: boolean;
  /** The engine went away since this container was last seen running. */
  interrupted: boolean;
  /** When the container was first seen exited, since it last ran. */
  exitSeenMs?: number;
  /** When the agent first knew that it is to stop, since it was last to run. */
  stopSeenMs?: number;
  /** The agent itself has asked this run to stop. */
  stopSent: boolean;
  /** Its lease: absent while it may run. */
  standing?: Exclude<Standing, { kind: "free" }>;
  nowMs: number;
  wallMs: number;
  /** Uniform in [0, 1). */
  jitter: number;
}

const MAX_MESSAGE = 1024;

/** Whether the record's attempt began: the container shows another start than before it. */
export function began(container: ContainerStatus, record: TaskRecord): boolean {
  return container.startedAt !== undefined && container.startedAt !== record.startedBefore;
}

/** The record of a task that was never seen: its first attempt, not begun. */
export function newRecord({ taskId, template }: Assignment): TaskRecord {
  const observed: Observed = { taskId, attempt: 1, state: "preparing", health: "none", ports: [] };
  return { observed, restartsMs: [], stop: stopOptions(template) };
}

/** How an assignment wants its container stopped. */
export function stopOptions(
  { stopGraceMs, stopSignal, container }: Assignment["template"],
): StopOptions {
  const preStop = container?.preStop ?? [];
  return {
    graceMs: stopGraceMs,
    ...(stopSignal === undefined ? {} : { signal: stopSignal }),
    ...(preStop.length === 0 ? {} : { preStop }),
  };
}

/** The same record at `state`, with words for people; for steps within an attempt. */
export function at(
  record: TaskRecord,
  state: Observed["state"],
  message?: string,
): TaskRecord {
  const { message: _old, ...observed } = record.observed;
  return {
    ...record,
    observed: {
      ...observed,
      state,
      ...(message === undefined ? {} : { message: message.slice(0, MAX_MESSAGE) }),
    },
  };
}

/** The engine refused to make or start the container: hopeless at first, a failed attempt later. */
export function refused(
  view: View,
  assignment: Assignment,
  record: TaskRecord,
  message: string,
): TaskRecord {
  return record.observed.attempt === 1
    ? at(record, "rejected", message)
    : ended(view, assignment, record, { message });
}

/** The engine said that it started the container; nobody has looked at it yet, so `run` is open. */
export function startAnswered(
  record: TaskRecord,
  { ports, verdict, wallMs }: { ports: Observed["ports"]; verdict: Verdict; wallMs: number },
): TaskRecord {
  const { dueMs: _due, run: _run, ...rest } = record;
  const { taskId, attempt } = record.observed;
  const observed: Observed = {
    taskId,
    attempt,
    state: "running",
    ...verdict,
    startedAt: timestamp(wallMs),
    ports,
  };
  return { ...rest, observed };
}

/** A look at the container found it running. */
export function nowRunning(view: View, record: TaskRecord, container: ContainerStatus): TaskRecord {
  const { id, ports, startedAt } = container;
  const { taskId, attempt } = record.observed;
  const { dueMs: _due, ...rest } = record;
  return {
    ...rest,
    ...(startedAt === undefined ? {} : { run: startedAt }),
    observed: {
      taskId,
      attempt,
      state: "running",
      ...verdictOf(view.assignment?.template, container, view.probed),
      containerId: id,
      startedAt: timestampOf(startedAt) ?? timestamp(view.wallMs),
      ports,
    },
  };
}

/** A `post_start` hook failed: the run counts as unhealthy, so it is stopped and is a failure. */
export function hookFailed(
  view: View,
  record: TaskRecord,
  container: ContainerStatus,
  message: string,
): TaskRecord {
  return judged(nowRunning(view, record, container), {
    health: "unhealthy",
    ready: false,
    message,
  });
}

/** The same run, with what is known of its health now. */
export function judged(record: TaskRecord, verdict: Verdict): TaskRecord {
  const { health: _health, ready: _ready, message: _message, ...observed } = record.observed;
  const message = verdict.message?.slice(0, MAX_MESSAGE);
  return {
    ...record,
    observed: { ...observed, ...verdict, ...(message === undefined ? {} : { message }) },
  };
}

export interface Exit {
  exitCode?: number;
  oomKilled?: boolean;
  message: string;
  /** The agent stopped it for its health: a failure, whatever the exit code. */
  unhealthy?: boolean;
  startedAt?: string;
  finishedAt?: string;
}

/** How an exited container's run ended; `observed` is what was known of that run. */
export function exitOf(container: ContainerStatus, observed?: Observed): Exit {
  const { exitCode, oomKilled, error, startedAt, finishedAt } = container;
  const unhealthy = observed?.state === "running" && observed.health === "unhealthy";
  const message = unhealthy
    ? observed.message ?? "unhealthy"
    : error !== ""
    ? error
    : oomKilled
    ? `killed: out of memory (exit code ${exitCode})`
    : `exited with ${exitCode}`;
  return {
    exitCode,
    oomKilled,
    message,
    unhealthy,
    ...(startedAt === undefined ? {} : { startedAt }),
    ...(finishedAt === undefined ? {} : { finishedAt }),
  };
}

/** The attempt is over: the next one, or the end of the task. */
export function ended(
  view: View,
  assignment: Assignment,
  record: TaskRecord,
  exit: Exit,
): TaskRecord {
  const { nowMs, jitter, interrupted } = view;
  const details = exitDetails(exit);
  const run = { ...details, interrupted, unhealthy: exit.unhealthy ?? false };
  const next = afterRun(assignment.template.restart, run, {
    restartsMs: record.restartsMs,
    nowMs,
    jitter,
  });
  const { dueMs: _due, ...rest } = record;
  const { taskId, attempt, containerId } = record.observed;
  if (next.kind === "end") {
    const why = next.why === undefined ? exit.message : `${exit.message}; ${next.why}`;
    const over = at({ ...rest, restartsMs: [] }, next.state, why);
    return { ...over, observed: { ...over.observed, ...details, health: "none", ports: [] } };
  }
  const when = next.delayMs > 0 ? `restarting in ${seconds(next.delayMs)}` : "restarting";
  const before = exit.startedAt ?? record.run ?? record.startedBefore;
  const { run: _run, startedBefore: _before, ...kept } = rest;
  return {
    ...kept,
    ...(before === undefined ? {} : { startedBefore: before }),
    restartsMs: next.restartsMs,
    ...(next.delayMs > 0 ? { dueMs: nowMs + next.delayMs } : {}),
    observed: {
      taskId,
      attempt: attempt + 1,
      state: "preparing",
      health: "none",
      ...(containerId === undefined ? {} : { containerId }),
      ...details,
      message: `${exit.message}, ${when}`.slice(0, MAX_MESSAGE),
      ports: [],
    },
  };
}

/** Stopped as asked, or a run-to-completion task that had finished before it could be. */
export function stopped(view: View, record: TaskRecord): TaskRecord {
  const { assignment, container, stopSent, standing } = view;
  const ran = container?.state === "exited" && began(container, record);
  const finished = ran && !stopSent && container.exitCode === 0 && assignment !== undefined &&
    assignment.template.restart.condition !== "any";
  const { dueMs: _due, ...rest } = record;
  const why = standing?.kind === "over" ? standing.message : undefined;
  const over = at(rest, finished ? "succeeded" : "stopped", why);
  const details = ran ? exitDetails(exitOf(container)) : {};
  return { ...over, observed: { ...over.observed, ...details, health: "none", ports: [] } };
}

type ExitDetails = Pick<Observed, "exitCode" | "oomKilled" | "ranMs" | "finishedAt">;

function exitDetails({ exitCode, oomKilled, startedAt, finishedAt }: Exit): ExitDetails {
  const finished = timestampOf(finishedAt);
  const ranMs = startedAt === undefined || finishedAt === undefined
    ? Number.NaN
    : Date.parse(finishedAt) - Date.parse(startedAt);
  return {
    ...(exitCode === undefined ? {} : { exitCode }),
    ...(oomKilled ? { oomKilled } : {}),
    ...(finished === undefined ? {} : { finishedAt: finished }),
    ...(Number.isNaN(ranMs) ? {} : { ranMs: Math.max(0, Math.round(ranMs)) }),
  };
}

/** Engines stamp with nanoseconds, some with an offset; reports carry UTC and ms. */
function timestampOf(engineTime: string | undefined): string | undefined {
  const ms = Date.parse(engineTime ?? "");
  return Number.isNaN(ms) ? undefined : timestamp(ms);
}
