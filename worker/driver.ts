/**
 * Drives tasks: looks at a task's container, takes the next step, until there is none.
 *
 * 1. At most one step of a task is under way; what happens meanwhile makes it look again.
 * 2. A decision is taken on a look at the container that is younger than the task's last operation,
 *    or on what that operation itself established. A list is only a reason to look.
 * 3. Tasks do not wait for one another, except for the engine's lanes (engine_calls.ts).
 * 4. An engine that does not answer moves no task: it is asked again, ever more slowly.
 *
 * @module
 */
import type { Clock } from "../kv/schema/time.ts";
import type { Book } from "./book.ts";
import type { EngineCalls } from "./engine_calls.ts";
import type { Images } from "./images.ts";
import type { Keeper } from "./keeper.ts";
import type { Log } from "./log.ts";
import type { Monitor } from "./probes/monitor.ts";
import type { ContainerStatus } from "./runtime.ts";
import { at, type View } from "./record.ts";
import { createSteps, type Progress } from "./steps.ts";
import { nextStep } from "./step.ts";
import type { TaskFiles } from "./task_files.ts";
import { createBackOff } from "./wake.ts";

export interface DriverDeps {
  engine: EngineCalls;
  book: Book;
  keeper: Pick<Keeper, "standing" | "cover">;
  monitor: Pick<Monitor, "see">;
  files: Pick<TaskFiles, "get">;
  images: Pick<Images, "known" | "choose" | "pull">;
  clock: Clock;
  /** Uniform in [0, 1). */
  random: () => number;
  log: Log;
  /** Called when a task got a time at which it must be driven again. */
  onDue: () => void;
}

export interface Driver {
  /**
   * Sees to a task, now or right after its present step. `known`: what its container is without a
   * look: it cannot have one (`none`), or a stop is due whatever it does (`running`).
   */
  kick(taskId: string, signal: AbortSignal, options?: { known?: Known }): void;
  /** Kicks the tasks whose time has come. */
  kickDue(signal: AbortSignal): void;
  /** When the next task is due, in ms of the monotonic clock. */
  nextDueMs(): number | undefined;
  /** A step is under way. */
  isBusy(taskId: string): boolean;
  /** Resolves when no step is under way. */
  settle(): Promise<void>;
  /** The set changed for the task: cut short a pull, or hooks, that are no longer wanted. */
  reconsider(taskId: string): void;
  /** The engine went away; what it took with it is not the containers' fault. */
  engineLost(): void;
  /** Containers that were seen running since. */
  seen(containers: readonly ContainerStatus[]): void;
}

export type Known = "none" | "running";

/** What only matters while the agent lives. */
export interface TaskMemory {
  busy?: Promise<void>;
  again: boolean;
  /** When to look again, if nothing else happens before. */
  wakeAtMs?: number;
  backOff: ReturnType<typeof createBackOff>;
  /** Aborts the pull, or the hooks of a start, under way. */
  pull?: AbortController;
  stopSent: boolean;
  /** When the container was first seen exited, since it last ran. */
  exitSeenMs?: number;
  /** When it was first seen that the task is to stop. */
  stopSeenMs?: number;
  /** The engine's life in which the container was last seen running. */
  seenLife?: number;
}

/** How long an engine may take to shut down. */
const SHUTDOWN_MS = 30_000;
/** Steps without a pause; a task that needs more is odd and has to wait. */
const MAX_STEPS = 16;

export function createDriver(deps: DriverDeps): Driver {
  const { engine, book, keeper, monitor, clock, random, log, onDue } = deps;
  const memories = new Map<string, TaskMemory>();
  const steps = createSteps({
    engine,
    book,
    clock,
    cover: keeper.cover,
    files: deps.files,
    images: deps.images,
  });
  let engineLife = 0;

  function memoryOf(taskId: string): TaskMemory {
    let memory = memories.get(taskId);
    if (!memory) {
      const backOff = createBackOff({ firstMs: 250, maxMs: 5_000, random });
      memories.set(taskId, memory = { again: false, backOff, stopSent: false });
    }
    return memory;
  }

  function viewOf(taskId: string, container: ContainerStatus | undefined): View {
    const memory = memoryOf(taskId);
    if (container?.state === "running") {
      memory.seenLife = engineLife;
      delete memory.exitSeenMs;
    } else if (container?.state === "exited") memory.exitSeenMs ??= clock.monoMs();
    const assignment = book.set?.assignments.get(taskId);
    if (assignment?.desired === "stop") memory.stopSeenMs ??= clock.monoMs();
    else delete memory.stopSeenMs;
    const record = book.records.get(taskId);
    const standing = assignment && keeper.standing(assignment);
    const known = {
      taskId,
      ...(standing && standing.kind !== "free" ? { standing } : {}),
      ...(assignment ? { assignment } : {}),
      ...(record ? { record } : {}),
      ...(container ? { container } : {}),
    };
    const probed = monitor.see(known);
    return {
      ...known,
      ...(probed ? { probed } : {}),
      confirmed: book.confirmed,
      interrupted: memory.seenLife !== undefined && memory.seenLife < engineLife,
      ...(memory.exitSeenMs === undefined ? {} : { exitSeenMs: memory.exitSeenMs }),
      ...(memory.stopSeenMs === undefined ? {} : { stopSeenMs: memory.stopSeenMs }),
      stopSent: memory.stopSent,
      nowMs: clock.monoMs(),
      wallMs: clock.wallMs(),
      jitter: random(),
    };
  }

  async function postpone(taskId: string, reason: string): Promise<void> {
    const memory = memoryOf(taskId);
    memory.wakeAtMs = clock.monoMs() + memory.backOff.nextMs(); // invariant 4
    log("warn", "the engine did not do a step; trying again", { taskId, reason });
    const record = book.records.get(taskId);
    if (record?.observed.state === "preparing" || record?.observed.state === "starting") {
      await book.note(at(record, record.observed.state, `${reason}; trying again`), {
        durable: false,
      });
    }
  }

  async function drive(taskId: string, signal: AbortSignal, first?: Known): Promise<void> {
    const memory = memoryOf(taskId);
    delete memory.wakeAtMs;
    let known: Progress = first === undefined
      ? "look"
      : { container: first === "none" ? undefined : presumedRunning(taskId) };
    for (let step = 0; step < MAX_STEPS; step++) {
      if (signal.aborted) return;
      if (known === "look") {
        const looked = await engine.inspect(taskId, signal); // invariant 2
        if (!looked.ok) return await postpone(taskId, looked.message);
        known = { container: looked.value };
      }
      const view = viewOf(taskId, known.container);
      const next = nextStep(view);
      if (next.kind === "none" || next.kind === "wait") {
        memory.backOff.reset();
        if (next.kind === "wait") memory.wakeAtMs = next.untilMs;
        return;
      }
      log("debug", "step", { taskId, step: next.kind });
      const progress = await steps.take(next, { view, memory, signal });
      if (progress === "forgotten") return;
      if (progress !== "look" && "lookInMs" in progress) {
        memory.wakeAtMs = clock.monoMs() + progress.lookInMs;
        return;
      }
      if (progress !== "look" && "failure" in progress) {
        return signal.aborted ? undefined : await postpone(taskId, progress.failure);
      }
      known = progress;
    }
    await postpone(taskId, `more than ${MAX_STEPS} steps at once`);
  }

  async function driveUntilQuiet(
    taskId: string,
    signal: AbortSignal,
    known?: Known,
  ): Promise<void> {
    const memory = memoryOf(taskId);
    try {
      await drive(taskId, signal, known);
      while (memory.again && !signal.aborted) {
        memory.again = false;
        await drive(taskId, signal);
      }
    } catch (error) {
      // A bug, and this task's alone: the others go on.
      const reason = error instanceof Error ? error.stack ?? error.message : String(error);
      log("error", "a step failed unexpectedly", { taskId, reason });
      memory.wakeAtMs = clock.monoMs() + memory.backOff.nextMs();
    } finally {
      delete memory.busy;
      if (memory.wakeAtMs !== undefined) onDue(); // Not before: who is busy is not waited for.
      if (!book.records.has(taskId) && !memory.again && memory.wakeAtMs === undefined) {
        memories.delete(taskId);
      }
    }
  }

  function kick(taskId: string, signal: AbortSignal, { known }: { known?: Known } = {}): void {
    if (signal.aborted) return;
    const memory = memoryOf(taskId);
    if (memory.busy) memory.again = true; // invariant 1
    else {
      memory.again = false;
      memory.busy = driveUntilQuiet(taskId, signal, known);
    }
  }

  return {
    kick,
    kickDue(signal) {
      const nowMs = clock.monoMs();
      for (const [taskId, { busy, wakeAtMs }] of memories) {
        if (!busy && wakeAtMs !== undefined && wakeAtMs <= nowMs) kick(taskId, signal);
      }
    },
    nextDueMs() {
      let earliest: number | undefined;
      for (const { busy, wakeAtMs } of memories.values()) {
        if (busy || wakeAtMs === undefined) continue;
        earliest = earliest === undefined ? wakeAtMs : Math.min(earliest, wakeAtMs);
      }
      return earliest;
    },
    isBusy: (taskId) => memories.get(taskId)?.busy !== undefined,
    async settle() {
      const busy = () => [...memories.values()].flatMap((m) => m.busy ? [m.busy] : []);
      for (let all = busy(); all.length > 0; all = busy()) await Promise.all(all);
    },
    reconsider(taskId) {
      if (book.set?.assignments.get(taskId)?.desired !== "run") memories.get(taskId)?.pull?.abort();
    },
    engineLost() {
      engineLife++;
      // Exits shortly before were its doing: an engine shuts down one container after the other.
      const sinceMs = clock.monoMs() - SHUTDOWN_MS;
      for (const record of book.records.values()) {
        record.restartsMs = record.restartsMs.filter((atMs) => atMs < sinceMs);
      }
    },
    seen(containers) {
      for (const { taskId, state } of containers) {
        const memory = memories.get(taskId);
        if (memory && state === "running") memory.seenLife = engineLife;
      }
    },
  };
}

/** A container that was running when last heard of. To stop one that is not is no mistake. */
function presumedRunning(taskId: string): ContainerStatus {
  return {
    ...{ id: "", taskId, state: "running", exitCode: 0, oomKilled: false, error: "" },
    ...{ health: "none", ports: [] },
  };
}
