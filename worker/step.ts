/**
 * One task: what is known of it, and the one step that comes next. Pure; the only place where the
 * agent decides. A step is either one engine operation or a new record ("note").
 *
 * 1. An attempt is one start of the task's container. Its number is on record before its start, next
 *    to the engine's `startedAt` from before it; the attempt began if and only if the container shows
 *    another `startedAt`. So a start is never repeated because its answer was lost.
 * 2. Positions (attempt, state) only advance, along TRANSITIONS of kv/schema/task_state.ts.
 * 3. A terminal task is never started again, and its container does not run.
 * 4. A container without an assignment goes, but only once a poll confirmed the set.
 * 5. A task whose lease ended (lease.ts) is over: its node stops it as if it had been asked to.
 * 6. The hooks of a start come before its task counts as running. An agent that dies meanwhile runs them
 *    again: they are done when that is on record, next to the run that they were for.
 * 7. A run that was found unhealthy is on record as such before it is stopped, and never becomes healthy
 *    again: its end is a failure that the restart policy deals with.
 * 8. A task that gets connections is stopped only after its drain: balancers turn to others first.
 * 9. A task is on record as stopped only when no start of its container can come any more: one that may
 *    be on its way is overtaken by the container's removal.
 *
 * @module
 */
import type { Assignment } from "../kv/schema/agent.ts";
import type { Hook } from "../kv/schema/container.ts";
import { isReady } from "../kv/schema/task.ts";
import { isTerminal } from "../kv/schema/task_state.ts";
import { verdictOf } from "./probes/subject.ts";
import type { ContainerStatus } from "./runtime.ts";
import {
  began,
  ended,
  exitOf,
  judged,
  newRecord,
  nowRunning,
  type StopOptions,
  stopped,
  type TaskRecord,
  type View,
} from "./record.ts";

export type Step =
  | { kind: "none" }
  | { kind: "wait"; untilMs: number }
  | { kind: "create"; assignment: Assignment }
  | { kind: "start" }
  | { kind: "hooks"; hooks: readonly Hook[]; container: ContainerStatus }
  | { kind: "note"; record: TaskRecord }
  | ({ kind: "stop" } & StopOptions)
  | { kind: "remove" }
  | { kind: "forget" };

const NONE: Step = { kind: "none" };
const VERDICT_AFTER_MS = 3_000;
/** For containers of which only the labels are known. */
const DEFAULT_STOP: StopOptions = { graceMs: 10_000 };

/** The next step of a task. */
export function nextStep(view: View): Step {
  const { assignment, record, container } = view;
  if (!assignment) return stepAway(view);
  if (!record) return { kind: "note", record: newRecord(assignment) };
  const running = container?.state === "running";
  if (isTerminal(record.observed.state)) return running ? stopStep(record) : NONE; // rule 3
  if (assignment.desired === "stop") {
    if (!running) return stepToStopped(view, record);
    const drainedMs = drainedAtMs(view, assignment, record); // rule 8
    return drainedMs > view.nowMs ? { kind: "wait", untilMs: drainedMs } : stopStep(record);
  }
  const { standing } = view;
  if (standing?.kind === "hold") return NONE; // rule 5
  if (standing?.kind === "over") {
    return running ? stopStep(record, standing.graceMs) : stepToStopped(view, record);
  }
  return record.observed.state === "running"
    ? stepRunning(view, assignment, record)
    : stepTowardsRunning(view, assignment, record);
}

/** What does not run is on record as stopped, once it cannot come to run any more. */
function stepToStopped(view: View, record: TaskRecord): Step {
  const { container, nowMs } = view;
  // An order to start it, of an agent that died or of a call that was given up, may be under way still.
  const mayStart = container && !began(container, record) &&
    (record.dueMs === undefined || record.dueMs <= nowMs);
  return mayStart ? { kind: "remove" } : { kind: "note", record: stopped(view, record) }; // rule 9
}

/**
 * When its clients have turned away: every balancer has heard by then that it gets no new connections.
 * One that is not ready gets none anyway.
 */
function drainedAtMs(
  { stopSeenMs = -Infinity }: View,
  { drainMs = 0 }: Assignment,
  { observed }: TaskRecord,
): number {
  return isReady(observed.state, observed) ? stopSeenMs + drainMs : -Infinity;
}

/** The task is not in the set: stop, say so, remove, forget. */
function stepAway(view: View): Step {
  const { record, container, confirmed } = view;
  if (!record && (!container || !confirmed)) return NONE; // rule 4
  if (container?.state === "running") return stopStep(record);
  if (record && !isTerminal(record.observed.state)) return stepToStopped(view, record);
  return container ? { kind: "remove" } : { kind: "forget" };
}

function stepTowardsRunning(view: View, assignment: Assignment, record: TaskRecord): Step {
  const { container, nowMs } = view;
  if (container?.state === "running") {
    const hooks = assignment.template.container?.postStart ?? [];
    return hooks.length > 0 && record.hooked !== container.startedAt
      ? { kind: "hooks", hooks, container } // rule 6
      : { kind: "note", record: nowRunning(view, record, container) };
  }
  if (container?.state === "exited" && began(container, record)) { // rule 1
    return stepAfterExit(view, assignment, record, container);
  }
  if (record.dueMs !== undefined && record.dueMs > nowMs) {
    return { kind: "wait", untilMs: record.dueMs };
  }
  return container ? { kind: "start" } : { kind: "create", assignment };
}

/**
 * What follows an exit. An engine that shuts down kills its containers before it hangs up, so a task
 * that was killed is given up only when the engine is still there a little later.
 */
function stepAfterExit(
  view: View,
  assignment: Assignment,
  record: TaskRecord,
  container: ContainerStatus,
): Step {
  const exit = exitOf(container, record.observed);
  const next = ended(view, assignment, record, exit);
  const givenUp = next.observed.state === "failed" &&
    assignment.template.restart.condition !== "none";
  const verdictMs = (view.exitSeenMs ?? -Infinity) + VERDICT_AFTER_MS;
  return givenUp && container.exitCode > 128 && !exit.unhealthy && view.nowMs < verdictMs
    ? { kind: "wait", untilMs: verdictMs }
    : { kind: "note", record: next };
}

function stepRunning(view: View, assignment: Assignment, record: TaskRecord): Step {
  const { container } = view;
  if (container?.state === "exited") {
    return stepAfterExit(view, assignment, record, container);
  }
  if (container?.state !== "running") {
    const gone = { message: container ? "container was replaced" : "container is gone" };
    return { kind: "note", record: ended(view, assignment, record, gone) };
  }
  if (container.startedAt !== undefined && container.startedAt !== record.run) {
    // Without a known run this is the first look at it; otherwise someone else restarted it.
    if (record.run === undefined) {
      return { kind: "note", record: nowRunning(view, record, container) };
    }
    const next = nowRunning(view, record, container);
    next.observed.attempt = record.observed.attempt + 1;
    next.observed.message = "restarted by someone else than Berth";
    next.startedBefore = record.run;
    return { kind: "note", record: next };
  }
  if (record.observed.health === "unhealthy") return stopStep(record); // rule 7
  const verdict = verdictOf(assignment.template, container, view.probed);
  const { health, ready, message } = record.observed;
  const told = verdict.message === undefined || verdict.message === message;
  return verdict.health === health && verdict.ready === ready && told
    ? NONE
    : { kind: "note", record: judged(record, verdict) };
}

function stopStep(record: TaskRecord | undefined, graceMs?: number): Step {
  const stop = record?.stop ?? DEFAULT_STOP;
  return { kind: "stop", ...stop, ...(graceMs === undefined ? {} : { graceMs }) };
}
