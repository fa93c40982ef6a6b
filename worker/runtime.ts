/**
 * What an agent needs of a container engine. Two implementations pass one contract suite
 * (tests/contract/runtime_contract.ts): `docker` (worker/docker/) and `sim` (worker/sim.ts).
 *
 * Invariants of every implementation:
 * 1. Each call is one engine operation, bounded by the caller's signal; it never retries for longer.
 * 2. Each call is idempotent: "already created", "already started", "already gone" are successes.
 *    A container's name and labels follow from its task alone, so a lost answer is adopted.
 * 3. Expected outcomes are values ({@link Outcome}); only a bug throws.
 * 4. Only containers that carry this node's label are ever seen or touched.
 *
 * @module
 */
import type { Assignment, ExecOptions, LogsOptions } from "../kv/schema/agent.ts";
import type { AttachOptions, FileStat, Usage } from "../kv/schema/inside.ts";
import type { BoundPort } from "../kv/schema/task.ts";
import type { Resources } from "../kv/schema/service.ts";
import type { Login } from "./images.ts";
import type { Prober } from "./probes/prober.ts";
import type { ContainerFile } from "./task_files.ts";

/** Labels on every container that Berth makes. */
export const LABEL = {
  node: "berth.node",
  task: "berth.task",
  service: "berth.service",
  project: "berth.project",
  slot: "berth.slot",
  revision: "berth.revision",
} as const;

/** The label of named volumes: the volume's id. */
export const VOLUME_LABEL = "berth.volume";

/** The container's name: readable first, unique by the task's id. */
export function containerName(a: Pick<Assignment, "service" | "slot" | "taskId">): string {
  return `berth-${a.service}-${a.slot}-${a.taskId}`;
}

/**
 * Why an engine call did not do what was asked.
 * - `unavailable`: no answer, a deadline, a broken connection, a 5xx: try again later.
 * - `refused`: the engine understood and said no (no such image, bad argument, port taken): trying
 *   the same again will not help.
 */
export interface EngineFailure {
  ok: false;
  kind: "unavailable" | "refused";
  /** The engine's own words, one line. */
  message: string;
}

export type Outcome<T = void> = { ok: true; value: T } | EngineFailure;

export interface EngineInfo {
  runtime: "docker" | "sim";
  /** Name and version, like `docker 28.2.2`. */
  engine: string;
  hostname: string;
  os: string;
  arch: string;
  capacity: Resources;
  /** Size of the disk that holds the engine's data, if it is known. */
  diskMiB?: number;
  gpus?: number;
  /** Labels of the engine itself. */
  labels?: Record<string, string>;
}

/** A container of this node, as the engine reports it. */
export interface ContainerStatus {
  id: string;
  taskId: string;
  state: "created" | "running" | "exited";
  /** Valid when exited. */
  exitCode: number;
  oomKilled: boolean;
  /** The engine's error for a container that could not start; empty otherwise. */
  error: string;
  /** By the engine's own probe. */
  health: "none" | "starting" | "healthy" | "unhealthy";
  /** What that probe said last, on one line; told by `inspect` of an unhealthy container. */
  healthOutput?: string;
  /** ISO times by the engine's clock; `startedAt` changes with every start: it identifies a run. */
  startedAt?: string;
  finishedAt?: string;
  ports: BoundPort[];
  /** Of a running container, on a network of the engine's machine. */
  address?: string;
}

/** A network of the engine's that the containers of one project are in. */
export interface ProjectNetwork {
  id: string;
  name: string;
  project: string;
  /** In CIDR notation. */
  subnet: string;
  /** The machine's address in it. */
  gateway: string;
}

/** The networks of this node's projects, where the engine has such. */
export interface ProjectNetworks {
  list(signal: AbortSignal): Promise<Outcome<ProjectNetwork[]>>;
  /**
   * Removes those without containers; answers their projects. One that was asked for less than
   * `graceMs` ago, by default a minute, is kept: a container is about to be made in it.
   */
  prune(signal: AbortSignal, options?: { graceMs?: number }): Promise<Outcome<string[]>>;
  /** The addresses of the project's running containers in its network, by task. */
  addresses(project: string, signal: AbortSignal): Promise<Outcome<Map<string, string>>>;
  /**
   * From now on this is asked before a container is made: the name servers for the network's
   * containers, or undefined for none but the engine's.
   */
  onUse(serve: (network: ProjectNetwork) => Promise<string[] | undefined>): void;
  /** Makes the machine take every address of a network, in CIDR notation, for its own. */
  takeAddresses(network: string, signal: AbortSignal): Promise<Outcome>;
}

export interface EngineEvent {
  taskId: string;
  type: "start" | "exit" | "health" | "removed";
}

/** One piece of a container's output. */
export interface OutputChunk {
  stream: "stdout" | "stderr";
  data: Uint8Array;
}

/** How to run a command in a container; what users ask for is never privileged. */
export type RunOptions = ExecOptions & { privileged?: boolean };

/** A command running inside a container. The owner must call `close`, which also ends the command. */
export interface ExecSession {
  output: AsyncIterable<OutputChunk>;
  write(data: Uint8Array): Promise<void>;
  /** Ends the command's standard input. */
  endInput(): void;
  resize(columns: number, rows: number): Promise<void>;
  /** Sends a signal such as `SIGINT` to the command. */
  signal(name: string): Promise<void>;
  /** The exit code, once the output has ended. */
  exitCode(): Promise<number>;
  /** Leaves nothing running: closes the stream and kills the command if it still runs. */
  close(): Promise<void>;
}

/** The main process of a container. Closing leaves it running; its exit code is known once it ended. */
export type AttachSession = Omit<ExecSession, "exitCode"> & {
  /** `undefined` when the output ended and the process did not. */
  exitCode(): Promise<number | undefined>;
};

/** Looking and reaching into a container of this node. */
export interface Inside {
  /** Refused when it does not run. */
  stats(taskId: string, signal: AbortSignal): Promise<Outcome<Usage>>;
  /** Output from now on, and standard input where the container has one. `signal` bounds the start. */
  attach(
    taskId: string,
    options: AttachOptions,
    signal: AbortSignal,
  ): Promise<Outcome<AttachSession>>;
  /** What is at a path, links not followed; `undefined` when nothing is. Also when it does not run. */
  stat(taskId: string, path: string, signal: AbortSignal): Promise<Outcome<FileStat | undefined>>;
  /** A tar whose only root is named as the path ends. */
  read(
    taskId: string,
    path: string,
    signal: AbortSignal,
  ): Promise<Outcome<AsyncIterable<Uint8Array>>>;
  /** Unpacks a tar into a directory, which must be there. */
  write(
    taskId: string,
    directory: string,
    tar: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<Outcome>;
}

/** What is in them is a tar of the volume's root, with owners and modes. */
export interface Volumes {
  /** Removes it with all that is in it; one that is not there is a success. */
  remove(volumeId: string, signal: AbortSignal): Promise<Outcome>;
  read(volumeId: string, signal: AbortSignal): Promise<Outcome<AsyncIterable<Uint8Array>>>;
  /** Writes what the tar has over what is there; the rest stays. */
  write(
    volumeId: string,
    tar: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<Outcome>;
}

export type PullPolicy = "missing" | "always" | "never";

export interface Runtime {
  /** Carries out the probes that the agent asks for. */
  readonly prober: Prober;
  /** Absent where all containers are in the engine's default network. */
  readonly networks?: ProjectNetworks;
  /** What the machine is. The first call an agent makes; fails as `unavailable` without an engine. */
  info(signal: AbortSignal): Promise<Outcome<EngineInfo>>;
  /**
   * Has the machine pass connections that wait at a listener that closes on to another one of the same
   * port, where the kernel can. Absent where there are no connections.
   */
  migrateConnections?(signal: AbortSignal): Promise<Outcome>;
  /** All containers of this node, whatever their state. */
  list(signal: AbortSignal): Promise<Outcome<ContainerStatus[]>>;
  /** One container with everything in {@link ContainerStatus}, or `undefined` when it is gone. */
  inspect(taskId: string, signal: AbortSignal): Promise<Outcome<ContainerStatus | undefined>>;
  /** The image as this machine has it, or `undefined`; without a digest it was made here. */
  imageDigest(
    image: string,
    signal: AbortSignal,
  ): Promise<Outcome<{ digest: string | undefined } | undefined>>;
  /** Makes the image present, following the pull policy. Progress is in words for people. */
  pull(
    image: string,
    policy: PullPolicy,
    options: {
      signal: AbortSignal;
      onProgress?: (text: string) => void;
      login?: Login | undefined;
    },
  ): Promise<Outcome>;
  create(assignment: Assignment, signal: AbortSignal): Promise<Outcome>;
  /** Starts the container with these files in it, those that are secret in memory only. */
  start(
    taskId: string,
    signal: AbortSignal,
    files?: readonly ContainerFile[],
  ): Promise<Outcome>;
  /** Sends the stop signal, waits for `graceMs`, kills. Resolves once the container is not running. */
  stop(
    taskId: string,
    options: { signal: AbortSignal; graceMs: number; stopSignal?: string },
  ): Promise<Outcome>;
  /** Removes the container and its anonymous volumes, killing it if need be. */
  remove(taskId: string, signal: AbortSignal): Promise<Outcome>;
  /**
   * Changes of this node's containers, until the signal aborts or the connection breaks (then the
   * iteration ends). A hint to look again, never the truth: events may be lost.
   */
  events(signal: AbortSignal): AsyncIterable<EngineEvent>;
  /** Output so far, and from then on if `follow`. Ends when the container does. */
  logs(taskId: string, options: LogsOptions, signal: AbortSignal): Promise<
    Outcome<AsyncIterable<OutputChunk>>
  >;
  exec(taskId: string, options: RunOptions, signal: AbortSignal): Promise<Outcome<ExecSession>>;
  /** A TCP connection to a port of a running container, published or not. The caller closes it. */
  dial(taskId: string, port: number, signal: AbortSignal): Promise<Outcome<Deno.TcpConn>>;
  readonly inside: Inside;
  /** Named volumes of this engine, by the ids that Berth knows them by. */
  readonly volumes: Volumes;
  /** Releases sockets and timers. Containers stay. */
  close(): Promise<void>;
}
