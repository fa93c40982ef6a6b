/**
 * The agent's calls to its engine, each within a deadline and in a lane of its kind.
 *
 * 1. Every call returns by its deadline, whatever the runtime does: a hung engine holds up nobody
 *    else, and no promise outlives its deadline.
 * 2. Slow kinds (pulls, graceful stops, hooks) have lanes of their own, so they never starve starts; nor do
 *    removals hold up the stops of what must not run.
 * 3. Containers are made and started few at a time, by the machine's processors, and what is made is started
 *    before more is made: that keeps the machine as busy as more at a time would, and each container that
 *    was begun is up the sooner.
 *
 * @module
 */
import type { Assignment } from "../kv/schema/agent.ts";
import type { Hook } from "../kv/schema/container.ts";
import type { Clock } from "../kv/schema/time.ts";
import { runHooks } from "./hooks.ts";
import type {
  ContainerStatus,
  EngineFailure,
  EngineInfo,
  Outcome,
  PullPolicy,
  Runtime,
} from "./runtime.ts";
import type { Login } from "./images.ts";
import type { ContainerFile } from "./task_files.ts";

export const DEADLINE_MS = {
  info: 10_000,
  list: 10_000,
  inspect: 10_000,
  create: 30_000,
  start: 30_000,
  remove: 30_000,
  /** On top of the grace that the container has. */
  stop: 15_000,
  pull: 600_000,
} as const;

const LANES = { look: 8, start: 8, stop: 24, remove: 8, pull: 16, hooks: 16 } as const;
/** Making and starting a container waits for the kernel's locks and the disk for half of its time. */
const STARTS_PER_CPU = 2;
const MIN_STARTS = 2;

export interface EngineCalls {
  info(signal: AbortSignal): Promise<Outcome<EngineInfo>>;
  list(signal: AbortSignal): Promise<Outcome<ContainerStatus[]>>;
  inspect(taskId: string, signal: AbortSignal): Promise<Outcome<ContainerStatus | undefined>>;
  imageDigest(
    image: string,
    signal: AbortSignal,
  ): Promise<Outcome<{ digest: string | undefined } | undefined>>;
  pull(
    image: string,
    options: {
      policy: PullPolicy;
      onProgress: (line: string) => void;
      login?: Login | undefined;
    },
    signal: AbortSignal,
  ): Promise<Outcome>;
  create(assignment: Assignment, signal: AbortSignal): Promise<Outcome>;
  start(
    taskId: string,
    signal: AbortSignal,
    files?: readonly ContainerFile[],
  ): Promise<Outcome>;
  stop(
    taskId: string,
    options: { graceMs: number; signal?: string },
    signal: AbortSignal,
  ): Promise<Outcome>;
  remove(taskId: string, signal: AbortSignal): Promise<Outcome>;
  /** Runs commands in the task's container, for `ms` at the most. */
  hooks(
    taskId: string,
    hooks: readonly Hook[],
    options: { kind: "post_start" | "pre_stop"; ms: number; signal: AbortSignal },
  ): Promise<Outcome>;
}

export function createEngineCalls(
  { runtime, clock }: { runtime: Runtime; clock: Clock },
): EngineCalls {
  const lanes = {
    look: createLane(LANES.look),
    start: createLane(LANES.start),
    stop: createLane(LANES.stop),
    remove: createLane(LANES.remove),
    pull: createLane(LANES.pull),
    hooks: createLane(LANES.hooks),
  };
  function call<T>(
    lane: Lane | undefined,
    what: string,
    { ms, signal, ahead }: { ms: number; signal: AbortSignal; ahead?: boolean },
    run: (signal: AbortSignal) => Promise<Outcome<T>>,
  ): Promise<Outcome<T>> {
    const bounded = () => withDeadline({ clock, what, ms, signal }, run);
    return lane ? lane.take(signal, bounded, { ahead }) : bounded();
  }
  return {
    async info(signal) {
      const told = await call(
        undefined,
        "info",
        { ms: DEADLINE_MS.info, signal },
        (s) => runtime.info(s),
      );
      if (told.ok) lanes.start.widen(startsAtOnce(told.value.capacity.cpus)); // rule 3
      return told;
    },
    list: (signal) =>
      call(undefined, "list", { ms: DEADLINE_MS.list, signal }, (s) => runtime.list(s)),
    inspect: (taskId, signal) =>
      call(
        lanes.look,
        "inspect",
        { ms: DEADLINE_MS.inspect, signal },
        (s) => runtime.inspect(taskId, s),
      ),
    imageDigest: (image, signal) =>
      call(
        lanes.look,
        "inspect image",
        { ms: DEADLINE_MS.inspect, signal },
        (s) => runtime.imageDigest(image, s),
      ),
    pull: (image, { policy, ...options }, signal) =>
      call(
        lanes.pull,
        `pull of ${image}`,
        { ms: DEADLINE_MS.pull, signal },
        (s) => runtime.pull(image, policy, { signal: s, ...options }),
      ),
    create: (assignment, signal) =>
      call(
        lanes.start,
        "create",
        { ms: DEADLINE_MS.create, signal },
        (s) => runtime.create(assignment, s),
      ),
    start: (taskId, signal, files) =>
      call(
        lanes.start,
        "start",
        { ms: DEADLINE_MS.start, signal, ahead: true }, // rule 3
        (s) => runtime.start(taskId, s, files),
      ),
    stop: (taskId, { graceMs, signal: stopSignal }, signal) =>
      call(
        lanes.stop,
        "stop",
        { ms: graceMs + DEADLINE_MS.stop, signal },
        (s) =>
          runtime.stop(taskId, {
            signal: s,
            graceMs,
            ...(stopSignal === undefined ? {} : { stopSignal }),
          }),
      ),
    remove: (taskId, signal) =>
      call(
        lanes.remove,
        "remove",
        { ms: DEADLINE_MS.remove, signal },
        (s) => runtime.remove(taskId, s),
      ),
    hooks: (taskId, hooks, { kind, ms, signal }) =>
      call(
        lanes.hooks,
        kind,
        { ms, signal },
        (s) => runHooks((...args) => runtime.exec(...args), { taskId, hooks, kind }, s),
      ),
  };
}

/** Given, so that no exception with a stack is made for each call. */
const ANSWERED = "answered";

/** Runs `run` with a signal that aborts after `ms` or with `signal`, and does not wait for longer. */
async function withDeadline<T>(
  { clock, what, ms, signal }: { clock: Clock; what: string; ms: number; signal: AbortSignal },
  run: (signal: AbortSignal) => Promise<Outcome<T>>,
): Promise<Outcome<T>> {
  if (signal.aborted) return unavailable(`${what}: the agent is stopping`);
  const cut = new AbortController();
  const answered = new AbortController();
  const onAbort = () => cut.abort();
  signal.addEventListener("abort", onAbort, { once: true });
  const late = new Promise<EngineFailure>((resolve) => {
    cut.signal.addEventListener("abort", () =>
      resolve(unavailable(
        signal.aborted
          ? `${what}: given up`
          : `${what}: the engine did not answer within ${Math.round(ms / 1000)} s`,
      )));
  });
  const expiry = clock.sleep(ms, answered.signal).then(() => {
    if (!answered.signal.aborted) cut.abort();
  });
  try {
    return await Promise.race([run(cut.signal), late]); // rule 1
  } finally {
    answered.abort(ANSWERED);
    signal.removeEventListener("abort", onAbort);
    await expiry;
  }
}

/** How many containers are made or started at a time, on a machine with so many processors. */
export function startsAtOnce(cpus: number): number {
  return Math.min(LANES.start, Math.max(MIN_STARTS, Math.ceil(cpus * STARTS_PER_CPU)));
}

interface Lane {
  /** `ahead`: before those that wait without it. */
  take<T>(
    signal: AbortSignal,
    run: () => Promise<Outcome<T>>,
    options: { ahead?: boolean | undefined },
  ): Promise<Outcome<T>>;
  /** From now on so many at once. */
  widen(width: number): void;
}

/** At most `width` at once, in the order of asking; leaving the queue when the signal aborts. */
function createLane(width: number): Lane {
  let places = width;
  let busy = 0;
  const waiting = { ahead: new Set<() => void>(), behind: new Set<() => void>() };
  const place = (signal: AbortSignal, queue: Set<() => void>) =>
    new Promise<boolean>((resolve) => {
      const granted = () => settle(true);
      const left = () => settle(false);
      const settle = (mine: boolean) => {
        queue.delete(granted);
        signal.removeEventListener("abort", left);
        resolve(mine);
      };
      queue.add(granted);
      signal.addEventListener("abort", left, { once: true });
    });
  const grant = (): boolean => {
    const [next] = waiting.ahead.size > 0 ? waiting.ahead : waiting.behind;
    next?.();
    return next !== undefined;
  };
  return {
    async take(signal, run, { ahead = false }) {
      if (busy < places) busy++;
      else if (signal.aborted || !await place(signal, ahead ? waiting.ahead : waiting.behind)) {
        return unavailable("given up while waiting for the engine's turn");
      }
      try {
        return await run();
      } finally {
        // The place is handed on, not freed, so that nobody slips in between.
        if (busy > places || !grant()) busy--;
      }
    },
    widen(next) {
      places = next;
      while (busy < places && grant()) busy++;
    },
  };
}

function unavailable(message: string): EngineFailure {
  return { ok: false, kind: "unavailable", message };
}
