/**
 * The life of containers: made, started, stopped and removed, with one engine call each.
 *
 * @module
 */
import type { Clock } from "../../kv/schema/time.ts";
import { LABEL, type Runtime } from "../runtime.ts";
import type { ContainerFile } from "../task_files.ts";
import { ask, createContainer, done, type EngineClient, failure, refused } from "./client.ts";
import type { Container, SignalOption } from "./client.ts";
import type { Containers, OnContainer } from "./containers.ts";
import { startWithFiles } from "./files.ts";
import { sweepHelpers } from "./helper.ts";
import type { Listing } from "./listing.ts";
import type { Networks } from "./networks.ts";
import { createOptions, wholeSeconds } from "./spec.ts";

export interface LifeDeps {
  docker: EngineClient["docker"];
  nodeId: string;
  clock: Clock;
  containers: Containers;
  /** Is told of what changes. */
  listing: Listing;
  networks: Networks | undefined;
  /** See DockerRuntimeOptions. */
  bindAddress: string | undefined;
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

export class Life implements Pick<Runtime, "create" | "start" | "stop" | "remove"> {
  /** Resolves when what an earlier process of the agent left is gone. */
  #swept: Promise<void> | undefined;
  readonly #deps: LifeDeps;

  constructor(deps: LifeDeps) {
    this.#deps = deps;
  }

  create: Runtime["create"] = async (assignment, signal) => {
    const { docker, nodeId, containers, listing, networks, bindAddress } = this.#deps;
    const { taskId } = assignment;
    const inside = await networks?.ensure(assignment.project, signal);
    if (inside?.ok === false) return failure(inside);
    const spec = createOptions(assignment, {
      nodeId,
      ...(inside ? { network: inside.value } : {}),
      ...(bindAddress === undefined ? {} : { bindAddress }),
    });
    const made = await ask("create", signal, (s) => createContainer(docker, spec, s));
    listing.changed(taskId);
    if (made.ok) {
      containers.ids.set(taskId, made.value.id);
      return done();
    }
    if (made.status !== 409) return failure(made);
    const found = await containers.inspect(spec.name, signal);
    if (!found.ok) {
      // The name is reserved a moment before the container can be seen, and after it has gone.
      return { ok: false, kind: "unavailable", message: `create: ${found.message}` };
    }
    const labels = found.value.Config.Labels;
    if (labels[LABEL.node] !== nodeId || labels[LABEL.task] !== taskId) {
      return refused(`the name ${spec.name} is in use by a container that is not this node's`);
    }
    containers.ids.set(taskId, found.value.Id);
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
    const { containers, networks } = this.#deps;
    const found = await containers.on(taskId, signal, (id) => containers.inspect(id, signal));
    const project = found.ok && !found.gone ? found.value.Config.Labels[LABEL.project] : undefined;
    if (project === undefined || !networks) {
      return refused(`task ${taskId}: its network does not exist, and its project is not known`);
    }
    networks.forget(project);
    return await networks.ensure(project, signal);
  }

  async #startWith(
    taskId: string,
    files: readonly ContainerFile[],
    signal: AbortSignal,
  ): Promise<OnContainer<unknown>> {
    const { docker, nodeId, clock, containers, listing } = this.#deps;
    const deps = { docker, nodeId, clock };
    await (this.#swept ??= sweepHelpers(docker, nodeId, signal));
    const answer = await containers.on<unknown>(taskId, signal, async (id) => {
      const info = await containers.inspect(id, signal);
      if (!info.ok || info.value.State.Running) return info;
      const start = () =>
        ask("start", signal, (abortSignal) => docker.getContainer(id).start({ abortSignal }));
      return await startWithFiles<unknown>(deps, info.value, files, { signal, start });
    });
    listing.changed(taskId);
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
    this.#deps.containers.ids.delete(taskId);
    return done();
  };

  /** One call that changes the container: what was known of it no longer holds. */
  async #change(
    taskId: string,
    what: string,
    signal: AbortSignal,
    call: (container: Container, options: SignalOption) => Promise<unknown>,
  ) {
    const { docker, containers, listing } = this.#deps;
    const answer = await containers.on(
      taskId,
      signal,
      (id) => ask(what, signal, (abortSignal) => call(docker.getContainer(id), { abortSignal })),
    );
    listing.changed(taskId);
    return answer;
  }
}
