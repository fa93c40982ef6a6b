/**
 * Carries out one step of a task: one engine operation, or one new record.
 *
 * @module
 */
import type { Assignment } from "../kv/schema/agent.ts";
import { type BoundPort, hostPortOf } from "../kv/schema/port.ts";
import type { Clock } from "../kv/schema/time.ts";
import type { Book } from "./book.ts";
import type { TaskMemory } from "./driver.ts";
import type { EngineCalls } from "./engine_calls.ts";
import type { Images } from "./images.ts";
import type { ContainerStatus, EngineFailure, Outcome } from "./runtime.ts";
import { verdictAtStart } from "./probes/subject.ts";
import { HOOKS_MS } from "../kv/schema/container.ts";
import {
  at,
  began,
  hookFailed,
  refused,
  startAnswered,
  type StopOptions,
  type TaskRecord,
  type View,
} from "./record.ts";
import type { Step } from "./step.ts";
import type { TaskFiles } from "./task_files.ts";

/**
 * What a step established about the container; `look` when that takes a look, `lookInMs` when there
 * is no hurry. `forgotten` ends the task's story, a `failure` is to be tried again later.
 */
export type Progress = "look" | { container: ContainerStatus | undefined };
export type StepResult = Progress | "forgotten" | { failure: string } | { lookInMs: number };

export interface StepContext {
  view: View;
  memory: TaskMemory;
  signal: AbortSignal;
}

type RealStep = Exclude<Step, { kind: "none" } | { kind: "wait" }>;

const PROGRESS_EVERY_MS = 1_000;
const LOOK_AFTER_START_MS = 50;
/** Images that are remembered to have no HEALTHCHECK. */
const MAX_PLAIN_IMAGES = 1_000;

export function createSteps(
  { engine, book, clock, cover, files, images }: {
    engine: EngineCalls;
    files: Pick<TaskFiles, "get">;
    images: Pick<Images, "known" | "choose" | "pull">;
    book: Book;
    clock: Clock;
    /** Asked before a strict task is made or started. */
    cover: (assignment: Assignment) => Promise<Outcome>;
  },
): { take(step: RealStep, context: StepContext): Promise<StepResult> } {
  const recordOf = (taskId: string): TaskRecord => {
    const record = book.records.get(taskId);
    if (!record) throw new Error(`task ${taskId} has no record while a step of it is under way`);
    return record;
  };
  /** Images of which a running container was seen to have no health check. */
  const plainImages = new Set<string>();
  const unless = (result: { ok: true } | EngineFailure, progress: Progress): StepResult =>
    result.ok ? progress : { failure: result.message };

  /**
   * Makes the container exist. The image is nearly always there already, so unless the policy says
   * otherwise it is pulled only after the engine refused: that saves a call on the way to running.
   */
  async function create(assignment: Assignment, context: StepContext): Promise<StepResult> {
    const { view: { taskId }, signal } = context;
    const covered = assignment.strict ? await cover(assignment) : undefined;
    if (covered && !covered.ok) return await failed(covered, assignment, context);
    const chosen = await images.choose(assignment, signal);
    if (!chosen.ok) return await failed(chosen, assignment, context);
    const make = (image: string) =>
      engine.create({ ...assignment, template: { ...assignment.template, image } }, signal);
    if (chosen.value !== undefined) {
      const created = await make(chosen.value);
      if (created.ok) return { container: justCreated(taskId) };
      if (created.kind === "unavailable") return await failed(created, assignment, context);
    }
    const pulled = await pull(assignment, context);
    if (pulled === "unwanted") return "look";
    if (!pulled.ok) return await failed(pulled, assignment, context);
    const created = await make(pulled.value);
    return created.ok
      ? { container: justCreated(taskId) }
      : await failed(created, assignment, context);
  }

  async function pull(
    assignment: Assignment,
    { view: { taskId }, memory, signal }: StepContext,
  ): Promise<Outcome<string> | "unwanted"> {
    const unwanted = memory.pull = new AbortController();
    const isWanted = () =>
      !unwanted.signal.aborted && book.set?.assignments.get(taskId)?.desired === "run";
    let toldMs = clock.monoMs();
    let over = false;
    const onProgress = (text: string) => {
      if (over || clock.monoMs() - toldMs < PROGRESS_EVERY_MS) return;
      toldMs = clock.monoMs();
      const record = book.records.get(taskId);
      if (record) void book.note(at(record, record.observed.state, text), { durable: false });
    };
    const either = AbortSignal.any([signal, unwanted.signal]);
    const pulled = isWanted() ? await images.pull(assignment, either, onProgress) : undefined;
    over = true;
    delete memory.pull;
    return pulled && isWanted() ? pulled : "unwanted";
  }

  async function start(context: StepContext): Promise<StepResult> {
    const { view: { taskId, assignment }, memory, signal } = context;
    const covered = assignment?.strict ? await cover(assignment) : undefined;
    if (covered && !covered.ok) return { failure: covered.message };
    const had = assignment && hasFiles(assignment)
      ? await files.get(assignment, signal)
      : undefined;
    if (had && !had.ok) {
      return assignment ? await failed(had, assignment, context) : { failure: had.message };
    }
    memory.stopSent = false;
    delete memory.exitSeenMs;
    await book.note(at(recordOf(taskId), "starting"), { durable: false });
    const started = await engine.start(taskId, signal, had?.value);
    const ports = assignment && knownPorts(assignment);
    const hooked = (assignment?.template.container?.postStart ?? []).length > 0;
    if (started.ok && assignment && ports && !hooked) {
      // Told at once. A look adds what only the engine knows, once the report is on its way; but ports
      // that the engine chose are worth waiting for.
      const { template } = assignment;
      const verdict = verdictAtStart(template, {
        plain: plainImages.has(images.known(assignment)),
      });
      const record = startAnswered(recordOf(taskId), { ports, verdict, wallMs: clock.wallMs() });
      await book.note(record, { durable: false });
      return { lookInMs: LOOK_AFTER_START_MS };
    }
    if (started.ok || !assignment) return unless(started, "look");
    if (started.kind === "unavailable") return { failure: started.message };
    // Refused: because it is gone, because it ran nevertheless, or because it cannot start.
    const looked = await engine.inspect(taskId, signal);
    if (!looked.ok) return { failure: looked.message };
    const container = looked.value;
    if (!container || container.state === "running" || began(container, recordOf(taskId))) {
      return { container };
    }
    return await failed(started, assignment, { ...context, view: { ...context.view, container } });
  }

  /** Runs what must be done before the task counts as running. */
  async function startHooks(
    { hooks, container }: Extract<Step, { kind: "hooks" }>,
    { view, memory, signal }: StepContext,
  ): Promise<StepResult> {
    const unwanted = memory.pull = new AbortController();
    const { taskId } = view;
    const beganMs = clock.monoMs();
    const done = await engine.hooks(taskId, hooks, {
      kind: "post_start",
      ms: HOOKS_MS,
      signal: AbortSignal.any([signal, unwanted.signal]),
    });
    delete memory.pull;
    if (unwanted.signal.aborted) return "look";
    const late = clock.monoMs() - beganMs >= HOOKS_MS;
    if (!done.ok && done.kind === "unavailable" && !late) return { failure: done.message };
    const record = recordOf(taskId);
    const next = done.ok
      ? { ...record, ...(container.startedAt === undefined ? {} : { hooked: container.startedAt }) }
      : hookFailed(view, record, container, done.message);
    await book.note(next, { durable: true });
    return "look";
  }

  async function stop(
    { preStop = [], ...options }: StopOptions,
    { view: { taskId }, memory, signal }: StepContext,
  ): Promise<StepResult> {
    if (preStop.length > 0 && !memory.stopSent) {
      const beganMs = clock.monoMs();
      // What a hook says is its own affair: the container stops either way.
      await engine.hooks(taskId, preStop, { kind: "pre_stop", ms: options.graceMs, signal });
      options.graceMs = Math.max(0, options.graceMs - (clock.monoMs() - beganMs));
    }
    memory.stopSent = true;
    const asked = await engine.stop(taskId, options, signal);
    if (asked.ok || asked.kind === "unavailable" || options.signal === undefined) {
      return unless(asked, "look");
    }
    // The engine does not know that signal: a stop matters more than its manner.
    return unless(await engine.stop(taskId, { graceMs: options.graceMs }, signal), "look");
  }

  function notePlainImage({ assignment, container }: View): void {
    if (container?.state !== "running" || container.health !== "none") return;
    if (!assignment || assignment.template.health) return;
    if (plainImages.size >= MAX_PLAIN_IMAGES) plainImages.clear();
    plainImages.add(images.known(assignment));
  }

  async function failed(
    failure: EngineFailure,
    assignment: Assignment,
    { view }: StepContext,
  ): Promise<StepResult> {
    if (failure.kind === "unavailable") return { failure: failure.message };
    const record = refused(view, assignment, recordOf(view.taskId), failure.message);
    await book.note(record, { durable: true });
    return { container: view.container };
  }

  return {
    async take(step, context) {
      const { view: { taskId, container }, signal } = context;
      switch (step.kind) {
        case "create":
          return await create(step.assignment, context);
        case "start":
          return await start(context);
        case "hooks":
          return await startHooks(step, context);
        case "note": {
          notePlainImage(context.view);
          await book.note(step.record, { durable: isDurable(context.view, step.record) });
          return { container };
        }
        case "stop":
          return await stop(step, context);
        case "remove":
          return unless(await engine.remove(taskId, signal), { container: undefined });
        case "forget":
          await book.forget(taskId);
          return "forgotten";
      }
    },
  };
}

/** A run can be looked at again; what became of it before cannot, and neither can a verdict on it. */
function isDurable({ record }: View, next: TaskRecord): boolean {
  const { state, health, ready } = next.observed;
  if (state !== "running") return true;
  const before = record?.observed;
  return before?.state === "running" && (before.health !== health || before.ready !== ready);
}

function hasFiles({ template }: Assignment): boolean {
  return template.secrets.length + template.configs.length > 0;
}

/** The ports on the node, when the assignment says them all. */
function knownPorts({ template }: Assignment): BoundPort[] | undefined {
  const bound = template.ports.flatMap((port) => {
    const published = hostPortOf(port);
    const { target, protocol } = port;
    return published === undefined ? [] : [{ target, protocol, published, hostIp: "0.0.0.0" }];
  });
  return bound.length === template.ports.length ? bound : undefined;
}

/** What a container looks like that the engine has just made. */
function justCreated(taskId: string): ContainerStatus {
  return {
    id: "",
    taskId,
    state: "created",
    exitCode: 0,
    oomKilled: false,
    error: "",
    health: "none",
    ports: [],
  };
}
