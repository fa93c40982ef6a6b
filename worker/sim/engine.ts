/**
 * A simulated container engine: what holds the containers while agents come and go. Give the same
 * engine to a second runtime to simulate an agent's restart.
 *
 * A container that runs until it is stopped holds no timer and no pending promise, so thousands of
 * them cost only their memory. What a container does: sim/program.ts, after the variables
 * `SIM_START_ERROR=TEXT` (its start is refused), `SIM_RUN_MS=N` (runs that long) and `SIM_EXIT=N`
 * (then exits with that code; without `SIM_RUN_MS` at once). An unknown command, like an image's
 * own, says hello and runs until it is stopped. What probes find: sim/prober.ts.
 *
 * @module
 */
import type { Assignment } from "../../kv/schema/agent.ts";
import { timestamp } from "../../kv/schema/common.ts";
import type { Resources } from "../../kv/schema/service.ts";
import { type BoundPort, hostPortOf } from "../../kv/schema/port.ts";
import type { Clock } from "../../kv/schema/time.ts";
import {
  containerName,
  type ContainerStatus,
  type EngineEvent,
  type OutputChunk,
} from "../runtime.ts";
import type { ContainerFile } from "../task_files.ts";
import { type Channel, createChannel } from "./channel.ts";
import { Faults } from "./control.ts";
import type { SimFiles } from "./files.ts";
import { onSignal, type Program, programOf, run } from "./program.ts";

/** How long the engine takes, in ms of its clock; each is varied by a quarter either way. */
export interface SimTimings {
  /** Every call that is not listed here. */
  callMs: number;
  pullMs: number;
  createMs: number;
  startMs: number;
}

export interface SimEngineOptions {
  clock: Clock;
  /** Uniform in [0, 1). */
  random: () => number;
  hostname: string;
  capacity: Resources;
  timings?: Partial<SimTimings>;
  /** Images that are present from the start. Any other can be pulled. */
  images?: readonly string[];
}

export interface LogLine extends OutputChunk {
  wallMs: number;
}

export interface SimExec {
  command: string[];
  program: Program;
  finish(code: number): void;
}

export interface SimContainer {
  id: string;
  nodeId: string;
  taskId: string;
  assignment: Assignment;
  program: Program;
  status: Omit<ContainerStatus, "id" | "taskId">;
  fs?: SimFiles;
  /** Standard input of the current run, of a container that has one. */
  input?: Channel<Uint8Array>;
  /** What it was started with last. */
  files: readonly ContainerFile[];
  /** The newest lines, at most {@link KEPT_LINES}. */
  logs: LogLine[];
  followers: Set<Channel<LogLine>>;
  execs: Set<SimExec>;
  /** What probes of this run find, if it is not left to the variables. */
  forced: { healthy?: boolean; ready?: boolean };
  /** Monotonic ms of the last start. */
  startedMs: number;
  /** Aborts when the current run ends; absent when not running. */
  running?: AbortController;
}

/** Output that a container keeps: a bound, not a promise. */
const KEPT_LINES = 1000;
const FIRST_DYNAMIC_PORT = 32_768;
const LAST_DYNAMIC_PORT = 60_999;
/** Nothing answers there: it is for documentation only (RFC 5737). */
const FAKE_ADDRESS = "192.0.2.1";

/** The state of one simulated machine. Use it through a runtime (worker/sim.ts). */
export class SimEngine {
  readonly containers = new Map<string, SimContainer>();
  readonly images: Set<string>;
  /** What the names of images stand for here; those without a digest were made here. */
  readonly digests = new Map<string, string>();
  /** What they stand for at their registry. */
  readonly registry = new Map<string, string>();
  /** What is in the named volumes, by id. */
  readonly volumes = new Map<string, Uint8Array[]>();
  readonly subscribers = new Map<Channel<EngineEvent>, string>();
  readonly timings: SimTimings;
  readonly faults = new Faults();
  readonly #usedPorts = new Set<string>();
  #nextPort = FIRST_DYNAMIC_PORT;

  constructor(readonly options: SimEngineOptions) {
    this.images = new Set(options.images);
    this.timings = { callMs: 2, pullMs: 400, createMs: 40, startMs: 120, ...options.timings };
  }

  get(nodeId: string, taskId: string): SimContainer | undefined {
    const container = this.containers.get(taskId);
    return container?.nodeId === nodeId ? container : undefined;
  }

  create(nodeId: string, assignment: Assignment): void {
    const { taskId } = assignment;
    for (const { id } of Object.values(assignment.resolved?.volumes ?? {})) {
      if (!this.volumes.has(id)) this.volumes.set(id, []);
    }
    const hex = () =>
      Math.floor(this.options.random() * 0x1_0000_0000).toString(16).padStart(8, "0");
    this.containers.set(taskId, {
      id: hex() + hex() + hex() + hex(),
      nodeId,
      taskId,
      assignment,
      program: containerProgram(assignment),
      status: {
        state: "created",
        exitCode: 0,
        oomKilled: false,
        error: "",
        health: "none",
        ports: [],
      },
      files: [],
      logs: [],
      followers: new Set(),
      execs: new Set(),
      forced: {},
      startedMs: 0,
    });
  }

  /** Starts a container; returns why it cannot start. */
  start(container: SimContainer): string | undefined {
    const refusal = container.assignment.template.env.SIM_START_ERROR ?? this.#bind(container);
    const { status } = container;
    if (refusal !== undefined) {
      status.error = refusal;
      status.exitCode = 128;
      return refusal;
    }
    const before = status.startedAt ? Date.parse(status.startedAt) : 0;
    // A run is identified by its start, so two starts within one ms must still differ.
    status.startedAt = timestamp(Math.max(this.options.clock.wallMs(), before + 1));
    delete status.finishedAt;
    status.state = "running";
    status.exitCode = 0;
    status.oomKilled = false;
    status.error = "";
    status.health = engineProbes(container) ? "healthy" : "none";
    status.address = FAKE_ADDRESS;
    container.forced = {};
    container.startedMs = this.options.clock.monoMs();
    const running = new AbortController();
    container.running = running;
    this.#emit(container, "start");
    if (container.assignment.template.container?.stdinOpen) {
      container.input = createChannel(running.signal);
    }
    void run(container.program, {
      clock: this.options.clock,
      signal: running.signal,
      write: (stream, data) => this.#write(container, stream, data),
      ...(container.input ? { input: container.input } : {}),
    }).then((code) => {
      if (code !== "forever" && container.running === running) this.exit(container, code);
    });
    return undefined;
  }

  /** Ends the current run. Does nothing when there is none. */
  exit(container: SimContainer, exitCode: number, oomKilled = false): void {
    const { running, status } = container;
    if (!running) return;
    delete container.running;
    for (const port of status.ports) this.#usedPorts.delete(`${port.published}/${port.protocol}`);
    const started = Date.parse(status.startedAt ?? "");
    status.state = "exited";
    status.exitCode = exitCode;
    status.oomKilled = oomKilled;
    status.finishedAt = timestamp(Math.max(this.options.clock.wallMs(), started));
    status.ports = [];
    delete status.address;
    delete status.healthOutput;
    for (const exec of container.execs) exec.finish(137);
    for (const follower of container.followers) follower.end();
    running.abort();
    this.#emit(container, "exit");
  }

  /** Decides what probes of this run find from now on, the engine's own included. */
  setHealth(container: SimContainer, health: SimContainer["forced"]): void {
    const { status, forced } = container;
    Object.assign(forced, health);
    if (!engineProbes(container) || !container.running) return;
    status.health = forced.healthy === false ? "unhealthy" : "healthy";
    if (forced.healthy === false) status.healthOutput = "made unhealthy";
    else delete status.healthOutput;
    this.#emit(container, "health");
  }

  /** Delivers a signal to the container's program. */
  signal(container: SimContainer, name: string): void {
    const answer = onSignal(container.program, name);
    if (answer !== "ignore") this.exit(container, answer);
  }

  remove(container: SimContainer): void {
    this.exit(container, 137);
    this.containers.delete(container.taskId);
    this.#emit(container, "removed");
  }

  #write(container: SimContainer, stream: OutputChunk["stream"], data: Uint8Array): void {
    const line = { stream, data, wallMs: this.options.clock.wallMs() };
    container.logs.push(line);
    if (container.logs.length > KEPT_LINES) container.logs.shift();
    for (const follower of container.followers) follower.push(line);
  }

  #emit(container: SimContainer, type: EngineEvent["type"]): void {
    for (const [subscriber, nodeId] of this.subscribers) {
      if (nodeId === container.nodeId) subscriber.push({ taskId: container.taskId, type });
    }
  }

  /** Binds the container's ports, all or none. */
  #bind(container: SimContainer): string | undefined {
    const bound: BoundPort[] = [];
    for (const wanted of container.assignment.template.ports) {
      const { target, protocol } = wanted;
      const port = hostPortOf(wanted) ?? this.#freePort(protocol);
      if (port === undefined) return "all dynamic ports are allocated";
      const clash = bound.some((b) => b.published === port && b.protocol === protocol);
      if (clash || this.#usedPorts.has(`${port}/${protocol}`)) {
        return `Bind for 0.0.0.0:${port} failed: port is already allocated`;
      }
      bound.push({ target, protocol, published: port, hostIp: "0.0.0.0" });
    }
    for (const port of bound) this.#usedPorts.add(`${port.published}/${port.protocol}`);
    container.status.ports = bound;
    return undefined;
  }

  #freePort(protocol: string): number | undefined {
    for (let tries = FIRST_DYNAMIC_PORT; tries <= LAST_DYNAMIC_PORT; tries++) {
      const port = this.#nextPort;
      this.#nextPort = port === LAST_DYNAMIC_PORT ? FIRST_DYNAMIC_PORT : port + 1;
      if (!this.#usedPorts.has(`${port}/${protocol}`)) return port;
    }
    return undefined;
  }
}

function engineProbes({ assignment }: SimContainer): boolean {
  return assignment.template.health?.probe.type === "engine";
}

function containerProgram(assignment: Assignment): Program {
  const { entrypoint = [], command = [], env } = assignment.template;
  if (env.SIM_RUN_MS !== undefined || env.SIM_EXIT !== undefined) {
    return {
      steps: [
        { kind: "sleep", ms: Number(env.SIM_RUN_MS ?? 0) },
        { kind: "exit", code: Number(env.SIM_EXIT ?? 0) },
      ],
      traps: new Map(),
    };
  }
  const argv = [...entrypoint, ...command];
  const program = programOf(argv);
  if (argv.length > 0 && program.steps[0]?.kind !== "unknown") return program;
  const hello = `$ ${argv.join(" ")}\nhello from ${containerName(assignment)}\n`;
  program.steps = [
    ...hello.split(/(?<=\n)/).map((text) => ({ kind: "write", stream: "stdout", text }) as const),
    { kind: "forever" },
  ];
  return program;
}
