/**
 * The docker runtime: containers of a Docker or Podman engine. It keeps the invariants of
 * worker/runtime.ts; deadlines, the one retry and errors as values are in client.ts.
 *
 * Creating, starting and ending: life.ts. What a list costs, and what it may miss: listing.ts.
 *
 * @module
 */
import { type Clock, systemClock } from "../../kv/schema/time.ts";
import { type Inside, type Runtime, type Volumes } from "../runtime.ts";
import {
  ask,
  connectEngine,
  done,
  type EngineClient,
  failure,
  getInfo,
  gpusOf,
  openLogs,
  refused,
} from "./client.ts";
import type { EngineConnection } from "./connect.ts";
import { createProber, type Prober, type ProberOptions } from "../probes/prober.ts";
import { Containers } from "./containers.ts";
import { dialContainer } from "./dial.ts";
import { diskOf } from "./disk.ts";
import { readEvents } from "./events.ts";
import { openExec } from "./exec.ts";
import { localDigest, pullImage } from "./images.ts";
import { createInside } from "./inside.ts";
import { engineLabels } from "./labels.ts";
import { Life } from "./life.ts";
import { Listing } from "./listing.ts";
import { migrateConnections } from "./migrate.ts";
import { createNetworks, type Networks, type NetworksDeps } from "./networks.ts";
import { statusFromInspect } from "./status.ts";
import { bytesOf, demux } from "./streams.ts";
import { createVolumes } from "./volumes.ts";

export interface DockerRuntimeOptions {
  connection: EngineConnection;
  /** The label of the containers that this runtime sees and touches. */
  nodeId: string;
  /** The machine's address on which ports that the engine chooses are bound; absent: on all. */
  bindAddress?: string;
  clock?: Clock;
  /** Each project gets a network of its own; absent: all share the engine's default one. */
  networks?: Pick<NetworksDeps, "pool" | "interfaces">;
}

/** A runtime on the engine at `connection`. Nothing is called before the first operation. */
export function createDockerRuntime(options: DockerRuntimeOptions): Runtime {
  return new DockerRuntime(options);
}

class DockerRuntime implements Runtime {
  readonly #connection: EngineConnection;
  readonly #client: EngineClient;
  readonly #nodeId: string;
  readonly #clock: Clock;
  readonly #reach: Pick<ProberOptions, "direct" | "engineHost">;
  readonly #containers: Containers;
  readonly #listing: Listing;
  readonly #closed = new AbortController();
  #execs = 0;
  #helpers = 0;
  readonly prober: Prober;
  readonly networks?: Networks;
  readonly volumes: Volumes;
  readonly inside: Inside;
  readonly create: Runtime["create"];
  readonly start: Runtime["start"];
  readonly stop: Runtime["stop"];
  readonly remove: Runtime["remove"];

  constructor(
    { connection, nodeId, bindAddress, clock = systemClock, networks }: DockerRuntimeOptions,
  ) {
    this.#connection = connection;
    this.#client = connectEngine(connection);
    this.#nodeId = nodeId;
    this.#clock = clock;
    this.#containers = new Containers(this.#client.docker, nodeId);
    this.#listing = new Listing(this.#containers);
    this.volumes = createVolumes({
      docker: this.#client.docker,
      nodeId,
      nextId: () => `${nodeId}-${this.#clock.wallMs()}-${++this.#helpers}`,
    });
    this.inside = createInside({
      docker: this.#client.docker,
      containers: this.#containers,
      clock,
      closed: this.#closed.signal,
    });
    if (networks) {
      const { docker } = this.#client;
      this.networks = createNetworks({ docker, nodeId, clock, ...networks });
    }
    const life = new Life({
      docker: this.#client.docker,
      nodeId,
      clock,
      containers: this.#containers,
      listing: this.#listing,
      networks: this.networks,
      bindAddress,
    });
    this.create = life.create;
    this.start = life.start;
    this.stop = life.stop;
    this.remove = life.remove;
    this.#reach = {
      direct: reachesContainers(connection),
      engineHost: connection.kind === "tcp" ? connection.host : "127.0.0.1",
    };
    this.prober = createProber({ exec: (...call) => this.exec(...call), ...this.#reach });
  }

  info: Runtime["info"] = async (signal) => {
    const { docker } = this.#client;
    const answer = await ask("info", signal, (s) => getInfo(docker, s));
    if (!answer.ok) return failure(answer);
    const { ServerVersion, Name, OSType, Architecture, NCPU, MemTotal, Labels } = answer.value;
    const diskMiB = await diskOf(this.#connection, answer.value.DockerRootDir);
    const gpus = gpusOf(answer.value);
    return done({
      runtime: "docker" as const,
      engine: `docker ${ServerVersion}`,
      hostname: Name,
      os: OSType,
      arch: Architecture,
      capacity: { cpus: NCPU, memoryMiB: Math.floor(MemTotal / 1024 / 1024) },
      ...(diskMiB === undefined ? {} : { diskMiB }),
      ...(gpus === undefined ? {} : { gpus }),
      labels: engineLabels(Labels ?? []),
    });
  };

  migrateConnections: NonNullable<Runtime["migrateConnections"]> = (signal) =>
    migrateConnections(this.#client.docker, this.#nodeId, signal);

  list: Runtime["list"] = async (signal) => {
    const answer = await this.#listing.list(signal);
    return answer.ok ? answer : failure(answer);
  };

  inspect: Runtime["inspect"] = async (taskId, signal) => {
    const containers = this.#containers;
    const answer = await containers.on(taskId, signal, (id) => containers.inspect(id, signal));
    if (!answer.ok) return failure(answer);
    return done(answer.gone ? undefined : statusFromInspect(answer.value));
  };

  pull: Runtime["pull"] = (image, policy, options) =>
    pullImage(this.#client.docker, image, { policy, ...options });

  imageDigest: Runtime["imageDigest"] = (image, signal) =>
    localDigest(this.#client.docker, image, signal);

  events: Runtime["events"] = (signal) => {
    const until = AbortSignal.any([signal, this.#closed.signal]);
    const onChange = (taskId: string) => this.#listing.changed(taskId);
    return readEvents(this.#client.docker, { nodeId: this.#nodeId, signal: until, onChange });
  };

  logs: Runtime["logs"] = async (taskId, { follow, tail, sinceSeconds, timestamps }, signal) => {
    const { docker } = this.#client;
    const query = {
      stdout: true,
      stderr: true,
      follow,
      timestamps,
      ...(tail === undefined ? {} : { tail }),
      ...(sinceSeconds === undefined ? {} : { since: sinceSeconds }),
    };
    const answer = await this.#containers.on(taskId, signal, async (id) => {
      // Whether the output is framed follows from the terminal.
      const info = await this.#containers.inspect(id, signal);
      if (!info.ok) return info;
      const opened = await ask("logs", signal, (s) => openLogs(docker, id, query, s));
      if (!opened.ok) return opened;
      return { ok: true, value: { stream: opened.value, tty: info.value.Config.Tty } };
    });
    if (!answer.ok) return failure(answer);
    if (answer.gone) return refused(`no such container: task ${taskId}`);
    const until = AbortSignal.any([signal, this.#closed.signal]);
    return done(demux(bytesOf(answer.value.stream, until), answer.value.tty));
  };

  exec: Runtime["exec"] = async (taskId, options, signal) => {
    const id = await this.#containers.idOf(taskId, signal);
    if (!id.ok) return failure(id);
    if (id.value === undefined) return refused(`no such container: task ${taskId}`);
    const { docker } = this.#client;
    const marker = `${this.#nodeId}-${this.#clock.wallMs()}-${++this.#execs}.`;
    const deps = { docker, clock: this.#clock, containerId: id.value, marker };
    return await openExec(deps, options, signal);
  };

  dial: Runtime["dial"] = async (taskId, port, signal) => {
    const looked = await this.inspect(taskId, signal);
    if (!looked.ok) return looked;
    if (looked.value?.state !== "running") {
      return refused(`the container of task ${taskId} does not run`);
    }
    return await dialContainer(looked.value, port, { reach: this.#reach, signal });
  };

  close: Runtime["close"] = () => {
    this.#closed.abort();
    this.#client.close();
    return Promise.resolve();
  };
}

/**
 * Whether the containers' addresses can be reached from here: with an engine on this machine, unless it
 * keeps its containers in a network of its own, as one of an ordinary user or in a virtual machine does.
 */
function reachesContainers(connection: EngineConnection): boolean {
  return connection.kind === "socket" && Deno.build.os === "linux" &&
    !connection.path.startsWith("/run/user/");
}
