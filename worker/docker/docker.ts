/**
 * The docker runtime: containers of a Docker or Podman engine. It keeps the invariants of
 * worker/runtime.ts; deadlines, the one retry and errors as values are in client.ts.
 *
 * Creating and starting are one engine call each. What a list costs, and what it may miss:
 * listing.ts.
 *
 * @module
 */
import { type Clock, systemClock } from "../../kv/schema/time.ts";
import { type Inside, LABEL, type Runtime, type Volumes } from "../runtime.ts";
import {
  ask,
  connectEngine,
  createContainer,
  type EngineClient,
  failure,
  getInfo,
  gpusOf,
  openLogs,
  refused,
} from "./client.ts";
import type { Container, SignalOption } from "./client.ts";
import type { EngineConnection } from "./connect.ts";
import { createProber, type Prober, type ProberOptions } from "../probes/prober.ts";
import type { ContainerFile } from "../task_files.ts";
import { Containers, type OnContainer } from "./containers.ts";
import { dialContainer } from "./dial.ts";
import { diskOf } from "./disk.ts";
import { readEvents } from "./events.ts";
import { openExec } from "./exec.ts";
import { startWithFiles } from "./files.ts";
import { sweepHelpers } from "./helper.ts";
import { localDigest, pullImage } from "./images.ts";
import { createInside } from "./inside.ts";
import { engineLabels } from "./labels.ts";
import { createOptions, wholeSeconds } from "./spec.ts";
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

/** What the engine says when a container cannot start for a reason of its own. */
const OWN_FAULT = new RegExp(
  [
    "already allocated|address already in use|port is not available|executable file not found",
    "no such file or directory|permission denied|not a directory|exec format error|OCI runtime",
    "runc create|unable to find (user|group)|no matching entries|gathering device information",
    "could not select device driver|unknown logging|failed to initialize logging driver",
  ].join("|"),
  "i",
);

/** Somebody is removing the container: soon it is gone, and another one can be made. */
const LEAVING = /marked for removal|removal .* in progress/i;

/** A runtime on the engine at `connection`. Nothing is called before the first operation. */
export function createDockerRuntime(options: DockerRuntimeOptions): Runtime {
  return new DockerRuntime(options);
}

class DockerRuntime implements Runtime {
  readonly #connection: EngineConnection;
  readonly #client: EngineClient;
  readonly #nodeId: string;
  readonly #bindAddress: string | undefined;
  readonly #clock: Clock;
  readonly #reach: Pick<ProberOptions, "direct" | "engineHost">;
  readonly #containers: Containers;
  readonly #listing: Listing;
  readonly #closed = new AbortController();
  #execs = 0;
  #helpers = 0;
  /** Resolves when what an earlier process of the agent left is gone. */
  #swept: Promise<void> | undefined;
  readonly prober: Prober;
  readonly networks?: Networks;
  readonly volumes: Volumes;
  readonly inside: Inside;

  constructor(
    { connection, nodeId, bindAddress, clock = systemClock, networks }: DockerRuntimeOptions,
  ) {
    this.#connection = connection;
    this.#client = connectEngine(connection);
    this.#nodeId = nodeId;
    this.#bindAddress = bindAddress;
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

  create: Runtime["create"] = async (assignment, signal) => {
    const { taskId } = assignment;
    const inside = await this.networks?.ensure(assignment.project, signal);
    if (inside?.ok === false) return failure(inside);
    const spec = createOptions(assignment, {
      nodeId: this.#nodeId,
      ...(inside ? { network: inside.value } : {}),
      ...(this.#bindAddress === undefined ? {} : { bindAddress: this.#bindAddress }),
    });
    const { docker } = this.#client;
    const made = await ask("create", signal, (s) => createContainer(docker, spec, s));
    this.#listing.changed(taskId);
    if (made.ok) {
      this.#containers.ids.set(taskId, made.value.id);
      return done();
    }
    if (made.status !== 409) return failure(made);
    const found = await this.#containers.inspect(spec.name, signal);
    if (!found.ok) {
      // The name is reserved a moment before the container can be seen, and after it has gone.
      return { ok: false, kind: "unavailable", message: `create: ${found.message}` };
    }
    const labels = found.value.Config.Labels;
    if (labels[LABEL.node] !== this.#nodeId || labels[LABEL.task] !== taskId) {
      return refused(`the name ${spec.name} is in use by a container that is not this node's`);
    }
    this.#containers.ids.set(taskId, found.value.Id);
    return done();
  };

  start: Runtime["start"] = async (taskId, signal, files = []) => {
    const begin = () =>
      files.length === 0
        ? this.#change(taskId, "start", signal, (c, o) => c.start(o))
        : this.#startWith(taskId, files, signal);
    let answer = await begin();
    // Somebody removed the project's network. The container goes by its name, so a new one will do.
    if (!answer.ok && answer.status === 404 && /network/i.test(answer.message)) {
      const restored = await this.#restoreNetwork(taskId, signal);
      if (!restored.ok) return failure(restored);
      answer = await begin();
    }
    if (answer.ok && answer.gone) return refused(`no such container: task ${taskId}`);
    if (answer.ok || answer.status === 304) return done();
    if (answer.status === 409 && LEAVING.test(answer.message)) {
      return { ok: false, kind: "unavailable", message: answer.message };
    }
    const ownFault = answer.status === 500 && OWN_FAULT.test(answer.message);
    return ownFault ? refused(answer.message) : failure(answer);
  };

  async #restoreNetwork(taskId: string, signal: AbortSignal) {
    const containers = this.#containers;
    const found = await containers.on(taskId, signal, (id) => containers.inspect(id, signal));
    const project = found.ok && !found.gone ? found.value.Config.Labels[LABEL.project] : undefined;
    if (project === undefined || !this.networks) {
      return refused(`task ${taskId}: its network does not exist, and its project is not known`);
    }
    this.networks.forget(project);
    return await this.networks.ensure(project, signal);
  }

  async #startWith(
    taskId: string,
    files: readonly ContainerFile[],
    signal: AbortSignal,
  ): Promise<OnContainer<unknown>> {
    const { docker } = this.#client;
    const containers = this.#containers;
    const deps = { docker, nodeId: this.#nodeId, clock: this.#clock };
    await (this.#swept ??= sweepHelpers(docker, this.#nodeId, signal));
    const answer = await containers.on<unknown>(taskId, signal, async (id) => {
      const info = await containers.inspect(id, signal);
      if (!info.ok || info.value.State.Running) return info;
      const start = () =>
        ask("start", signal, (abortSignal) => docker.getContainer(id).start({ abortSignal }));
      return await startWithFiles<unknown>(deps, info.value, files, { signal, start });
    });
    this.#listing.changed(taskId);
    return answer;
  }

  stop: Runtime["stop"] = async (taskId, { signal, graceMs, stopSignal }) => {
    const options = { t: wholeSeconds(graceMs), ...(stopSignal ? { signal: stopSignal } : {}) };
    const answer = await this.#change(
      taskId,
      "stop",
      signal,
      (container, o) =>
        graceMs === 0 ? container.kill({ ...o }) : container.stop({ ...options, ...o }),
    );
    // 304 and 409: it does not run.
    const stopped = answer.ok || answer.status === 304 || (graceMs === 0 && answer.status === 409);
    return stopped ? done() : failure(answer);
  };

  remove: Runtime["remove"] = async (taskId, signal) => {
    const answer = await this.#change(
      taskId,
      "remove",
      signal,
      (container, o) => container.remove({ force: true, v: true, ...o }),
    );
    const underWay = !answer.ok && answer.status === 409 &&
      LEAVING.test(answer.message);
    if (!answer.ok && !underWay) return failure(answer);
    this.#containers.ids.delete(taskId);
    return done();
  };

  /** One call that changes the container: what was known of it no longer holds. */
  async #change(
    taskId: string,
    what: string,
    signal: AbortSignal,
    call: (container: Container, options: SignalOption) => Promise<unknown>,
  ) {
    const { docker } = this.#client;
    const answer = await this.#containers.on(
      taskId,
      signal,
      (id) => ask(what, signal, (abortSignal) => call(docker.getContainer(id), { abortSignal })),
    );
    this.#listing.changed(taskId);
    return answer;
  }

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

function done(): { ok: true; value: undefined };
function done<T>(value: T): { ok: true; value: T };
function done<T>(value?: T): { ok: true; value: T | undefined } {
  return { ok: true, value };
}
