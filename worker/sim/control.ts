/**
 * Faults of a simulated engine, and what tests may do to it behind the agents' backs.
 *
 * @module
 */
import { containerName, type ContainerStatus, type Inside, type Runtime } from "../runtime.ts";
import type { SimContainer, SimEngine } from "./engine.ts";

/** The calls of a runtime that can be made to fail. */
export type SimOperation =
  | Exclude<keyof Runtime, "close" | "events" | "prober" | "volumes" | "inside">
  | keyof Inside
  | "probe";

export interface SimControl {
  /** Ends the container with `code`, as if it had exited by itself. */
  exit(taskId: string, code: number): void;
  /** Kills it: exit code 137, and `oomKilled` if asked. */
  kill(taskId: string, options?: { oom?: boolean }): void;
  removeBehindBack(taskId: string): void;
  /**
   * Makes the probes of the task pass (true) or fail (false), whatever its variables say, until it is
   * started again.
   */
  setHealth(taskId: string, health: { healthy?: boolean; ready?: boolean }): void;
  /** While false every call is `unavailable` and event and log streams end. Containers run on. */
  setAvailable(available: boolean): void;
  /** Pulls of `image` are refused, as denied unless it is said why, and it is no longer present. */
  failPull(image: string, why?: string): void;
  /** Calls of `operation` do nothing and answer only when their signal aborts. */
  hang(operation: SimOperation): void;
  /** Ends what {@link SimControl.hang} began, for new calls. */
  unhang(operation: SimOperation): void;
  /** The next call of `operation` takes effect, and its answer is lost (`unavailable`). */
  loseAnswer(operation: SimOperation): void;
  /** How often an operation was called, whatever came of it. */
  calls(operation: SimOperation): number;
  /** All containers of the engine, of whatever node: what a checker looks at. */
  containers(): SimContainerView[];
  /** Moves the tag at the image's registry; an image that was never pushed has no digest. */
  push(image: string, digest: string): void;
  /** The files that a container was started with last, by path. */
  files(taskId: string): Map<string, Uint8Array>;
  /** The exec'd commands that run in a container. */
  processes(taskId: string): string[];
}

export interface SimContainerView {
  id: string;
  name: string;
  nodeId: string;
  taskId: string;
  image: string;
  state: ContainerStatus["state"];
  startedAt: string | undefined;
}

/** What is wrong with an engine at the moment. */
export class Faults {
  available = true;
  /** Why they cannot be pulled. */
  readonly badImages = new Map<string, string>();
  readonly hanging = new Set<SimOperation>();
  readonly lostAnswers = new Set<SimOperation>();
  readonly calls = new Map<SimOperation, number>();
}

export function createControl(engine: SimEngine): SimControl {
  const { faults, containers } = engine;
  const must = (taskId: string): SimContainer => {
    const container = containers.get(taskId);
    if (!container) throw new Error(`the simulated engine has no container of task ${taskId}`);
    return container;
  };
  return {
    exit: (taskId, code) => engine.exit(must(taskId), code),
    kill: (taskId, { oom = false } = {}) => engine.exit(must(taskId), 137, oom),
    removeBehindBack: (taskId) => engine.remove(must(taskId)),
    setHealth: (taskId, health) => engine.setHealth(must(taskId), health),
    setAvailable(available) {
      faults.available = available;
      if (available) return;
      for (const subscriber of [...engine.subscribers.keys()]) subscriber.end();
      for (const { followers } of containers.values()) {
        for (const follower of [...followers]) follower.end();
      }
    },
    failPull(image, why = `pull access denied for ${image}, repository does not exist`) {
      faults.badImages.set(image, why);
      engine.images.delete(image);
    },
    hang: (operation) => void faults.hanging.add(operation),
    unhang: (operation) => void faults.hanging.delete(operation),
    loseAnswer: (operation) => void faults.lostAnswers.add(operation),
    calls: (operation) => faults.calls.get(operation) ?? 0,
    containers: () =>
      [...containers.values()].map(({ id, nodeId, taskId, assignment, status }) => ({
        id,
        name: containerName(assignment),
        nodeId,
        taskId,
        image: assignment.template.image,
        state: status.state,
        startedAt: status.startedAt,
      })),
    push: (image, digest) => void engine.registry.set(image, digest),
    files: (taskId) => new Map(must(taskId).files.map(({ path, data }) => [path, data])),
    processes: (taskId) => [...must(taskId).execs].map((exec) => exec.command.join(" ")),
  };
}
