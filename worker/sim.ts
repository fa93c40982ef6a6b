/**
 * The simulated runtime: timed fake containers, for tests, benchmarks and playgrounds of thousands
 * of nodes. It keeps the invariants of worker/runtime.ts. What its containers do: sim/engine.ts.
 *
 * @module
 */
import type { ExecOptions, LogsOptions } from "../kv/schema/agent.ts";
import { parseImage } from "../kv/schema/registry.ts";
import { createChannel } from "./sim/channel.ts";
import { createControl, type SimControl, type SimOperation } from "./sim/control.ts";
import { type LogLine, type SimContainer, SimEngine, type SimEngineOptions } from "./sim/engine.ts";
import { startExec } from "./sim/exec.ts";
import { createSimInside } from "./sim/inside.ts";
import { createSimProber } from "./sim/prober.ts";
import { createSimVolumes } from "./sim/volumes.ts";
import type {
  ContainerStatus,
  EngineEvent,
  EngineFailure,
  ExecSession,
  Outcome,
  OutputChunk,
  PullPolicy,
  Runtime,
} from "./runtime.ts";

export type { SimContainerView, SimControl, SimOperation } from "./sim/control.ts";
export type { SimEngine, SimEngineOptions, SimTimings } from "./sim/engine.ts";

export interface SimRuntime extends Runtime {
  /** Faults, and what happens behind the agent's back. Shared by the runtimes of one engine. */
  control: SimControl;
  engine: SimEngine;
}

/**
 * Either an engine that several runtimes may share (an agent's restart is a new runtime on the same
 * engine), or the options of an engine of its own. `nodeId` labels the containers; it defaults to
 * the host's name.
 */
export type SimRuntimeOptions =
  & { nodeId?: string }
  & ({ engine: SimEngine } | (SimEngineOptions & { engine?: never }));

/** Makes the engine of one simulated machine. */
export function createSimEngine(options: SimEngineOptions): SimEngine {
  return new SimEngine(options);
}

/** A runtime of simulated containers. */
export function createSimRuntime(options: SimRuntimeOptions): SimRuntime {
  const engine = options.engine ?? new SimEngine(options);
  const nodeId = options.nodeId ?? engine.options.hostname;
  const { clock, hostname, capacity } = engine.options;
  const { faults, timings } = engine;
  const closed = new AbortController();
  const call = <T>(operation: SimOperation, ms: number, signal: AbortSignal, run: Body<T>) =>
    perform(engine, operation, { ms, signal, run });
  const quick = timings.callMs;

  return {
    engine,
    control: createControl(engine),
    prober: createSimProber(engine, nodeId),
    volumes: createSimVolumes(engine),
    inside: createSimInside(
      engine,
      nodeId,
      (operation, signal, run) => call(operation, quick, signal, run),
    ),
    info: (signal) =>
      call("info", quick, signal, () =>
        done({
          runtime: "sim" as const,
          engine: "sim 1",
          hostname,
          os: "linux",
          arch: "x86_64",
          capacity,
        })),
    list: (signal) =>
      call("list", quick, signal, () => {
        const own = [...engine.containers.values()].filter((c) => c.nodeId === nodeId);
        return done(own.map(statusOf));
      }),
    inspect: (taskId, signal) =>
      call("inspect", quick, signal, () => {
        const container = engine.get(nodeId, taskId);
        return done(container && statusOf(container));
      }),
    pull(image, policy, { signal, onProgress }) {
      const present = engine.images.has(image) && policy !== "always";
      const ms = present || policy === "never" ? quick : timings.pullMs;
      if (ms !== quick) onProgress?.(`pulling ${image}`);
      return call("pull", ms, signal, () => pulled(engine, image, policy));
    },
    imageDigest: (image, signal) =>
      call("imageDigest", quick, signal, () => {
        const here = engine.images.has(image);
        return done(here ? { digest: engine.digests.get(image) } : undefined);
      }),
    create: (assignment, signal) =>
      call("create", timings.createMs, signal, () => {
        const { taskId, template } = assignment;
        if (engine.get(nodeId, taskId)) return done();
        if (engine.containers.has(taskId)) {
          return refused(`the name of task ${taskId} is in use by another node's container`);
        }
        if (!engine.images.has(template.image)) return refused(`no such image: ${template.image}`);
        engine.create(nodeId, assignment);
        return done();
      }),
    start: (taskId, signal, files = []) =>
      call("start", timings.startMs, signal, () => {
        const container = engine.get(nodeId, taskId);
        if (!container) return noSuchContainer(taskId);
        if (!container.running) container.files = files;
        const refusal = container.running ? undefined : engine.start(container);
        return refusal === undefined ? done() : refused(refusal);
      }),
    stop: (taskId, { signal, graceMs, stopSignal = "SIGTERM" }) =>
      call("stop", quick, signal, async () => {
        const container = engine.get(nodeId, taskId);
        const run = container?.running;
        if (!container || !run) return done();
        engine.signal(container, stopSignal);
        if (!run.signal.aborted) {
          await clock.sleep(graceMs, AbortSignal.any([run.signal, signal]));
          if (!run.signal.aborted && signal.aborted) return aborted("stop");
          if (!run.signal.aborted) engine.signal(container, "SIGKILL");
        }
        return done();
      }),
    remove: (taskId, signal) =>
      call("remove", quick, signal, () => {
        const container = engine.get(nodeId, taskId);
        if (container) engine.remove(container);
        return done();
      }),
    events(signal) {
      const until = AbortSignal.any([signal, closed.signal]);
      const channel = createChannel<EngineEvent>(until, () => engine.subscribers.delete(channel));
      if (!faults.available) channel.end();
      else if (!until.aborted) engine.subscribers.set(channel, nodeId);
      return channel;
    },
    logs: (taskId, logsOptions, signal) =>
      call<AsyncIterable<OutputChunk>>("logs", quick, signal, () => {
        const container = engine.get(nodeId, taskId);
        return container ? done(readLogs(container, logsOptions, signal)) : noSuchContainer(taskId);
      }),
    exec: (taskId: string, execOptions: ExecOptions, signal: AbortSignal) =>
      call<ExecSession>("exec", quick, signal, () => {
        const container = engine.get(nodeId, taskId);
        if (!container) return noSuchContainer(taskId);
        if (!container.running) return refused(`container of task ${taskId} is not running`);
        return done(startExec(engine, container, execOptions));
      }),
    dial: () => Promise.resolve(refused("simulated containers answer on no port")),
    close() {
      closed.abort();
      return Promise.resolve();
    },
  };
}

type Body<T> = () => Outcome<T> | Promise<Outcome<T>>;

/** One call: takes its time, meets the faults, and has its effect only if it was not cut short. */
async function perform<T>(
  engine: SimEngine,
  operation: SimOperation,
  { ms, signal, run }: { ms: number; signal: AbortSignal; run: Body<T> },
): Promise<Outcome<T>> {
  const { faults } = engine;
  const { clock, random } = engine.options;
  faults.calls.set(operation, (faults.calls.get(operation) ?? 0) + 1);
  if (faults.hanging.has(operation) && !signal.aborted) {
    await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  } else if (faults.available && !signal.aborted) {
    await clock.sleep(ms * (0.75 + random() / 2), signal);
  }
  if (signal.aborted) return aborted(operation);
  if (!faults.available) return unavailable("cannot connect to the simulated engine");
  const outcome = await run();
  return faults.lostAnswers.delete(operation)
    ? unavailable(`${operation}: the connection broke before the answer`)
    : outcome;
}

function pulled(engine: SimEngine, image: string, policy: PullPolicy): Outcome {
  if (engine.images.has(image) && policy !== "always") return done();
  if (policy === "never") {
    return refused(`image ${image} is not on this node and the pull policy is never`);
  }
  const why = engine.faults.badImages.get(image);
  if (why !== undefined) return refused(why);
  engine.images.add(image);
  const digest = engine.registry.get(image);
  if (digest !== undefined) {
    engine.digests.set(image, digest);
    engine.images.add(`${parseImage(image).repository}@${digest}`);
  }
  return done();
}

function statusOf({ id, taskId, status }: SimContainer): ContainerStatus {
  return { id, taskId, ...status, ports: [...status.ports] };
}

async function* readLogs(
  container: SimContainer,
  options: LogsOptions,
  signal: AbortSignal,
): AsyncGenerator<OutputChunk> {
  const sinceMs = (options.sinceSeconds ?? 0) * 1000;
  const kept = container.logs.filter((line) => line.wallMs >= sinceMs);
  const first = options.tail === undefined ? 0 : Math.max(0, kept.length - options.tail);
  const { followers } = container;
  const channel = createChannel<LogLine>(signal, () => followers.delete(channel));
  if (options.follow && container.running && !signal.aborted) followers.add(channel);
  else channel.end();
  try {
    for (const line of kept.slice(first)) yield chunkOf(line, options.timestamps);
    for await (const line of channel) yield chunkOf(line, options.timestamps);
  } finally {
    channel.end();
  }
}

function chunkOf({ stream, data, wallMs }: LogLine, timestamps: boolean): OutputChunk {
  if (!timestamps) return { stream, data };
  const stamp = new TextEncoder().encode(`${new Date(wallMs).toISOString()} `);
  const stamped = new Uint8Array(stamp.length + data.length);
  stamped.set(stamp);
  stamped.set(data, stamp.length);
  return { stream, data: stamped };
}

function done(): Outcome;
function done<T>(value: T): Outcome<T>;
function done<T>(value?: T): Outcome<T | undefined> {
  return { ok: true, value };
}

function refused(message: string): EngineFailure {
  return { ok: false, kind: "refused", message };
}

function unavailable(message: string): EngineFailure {
  return { ok: false, kind: "unavailable", message };
}

function aborted(operation: string): EngineFailure {
  return unavailable(`${operation}: no answer before the deadline`);
}

function noSuchContainer(taskId: string): EngineFailure {
  return refused(`no such container: task ${taskId}`);
}
