/**
 * Finding this node's containers by task, and asking the engine about them.
 *
 * Invariant: only containers that carry this node's label are found (worker/runtime.ts, 4).
 *
 * @module
 */
import { LABEL } from "../runtime.ts";
import { type Answer, ask, type Engine, type Inspection, type ListItem } from "./client.ts";

/** What became of a call on a task's container; `gone`: there is no such container. */
export type OnContainer<T> =
  | { ok: true; gone: false; value: T }
  | { ok: true; gone: true; value?: undefined }
  | Extract<Answer<T>, { ok: false }>;

export class Containers {
  /** Container ids by task, to save looking them up. Never trusted for "it is gone". */
  readonly ids = new Map<string, string>();
  readonly #docker: Engine;
  readonly #nodeId: string;

  constructor(docker: Engine, nodeId: string) {
    this.#docker = docker;
    this.#nodeId = nodeId;
  }

  /** All containers of this node, or those of one task. */
  search(signal: AbortSignal, taskId?: string): Promise<Answer<ListItem[]>> {
    const label = [`${LABEL.node}=${this.#nodeId}`]; // invariant
    if (taskId !== undefined) label.push(`${LABEL.task}=${taskId}`);
    return ask(
      "list",
      signal,
      (abortSignal) => this.#docker.listContainers({ all: true, filters: { label }, abortSignal }),
    );
  }

  /** Looks at one container by id or name. The caller checks whose it is. */
  inspect(idOrName: string, signal: AbortSignal): Promise<Answer<Inspection>> {
    return ask(
      "inspect",
      signal,
      (abortSignal) => this.#docker.getContainer(idOrName).inspect({ abortSignal }),
    );
  }

  /** The id of the task's container, or undefined when there is none. */
  async idOf(taskId: string, signal: AbortSignal): Promise<Answer<string | undefined>> {
    const known = this.ids.get(taskId);
    if (known !== undefined) return { ok: true, value: known };
    const found = await this.search(signal, taskId);
    if (!found.ok) return found;
    const id = found.value[0]?.Id;
    if (id !== undefined) this.ids.set(taskId, id);
    return { ok: true, value: id };
  }

  /** Calls with the container's id; one that is no longer valid is looked up again, once. */
  async on<T>(
    taskId: string,
    signal: AbortSignal,
    call: (id: string) => Promise<Answer<T>>,
  ): Promise<OnContainer<T>> {
    for (let tries = 0; tries < 2; tries++) {
      const id = await this.idOf(taskId, signal);
      if (!id.ok) return id;
      if (id.value === undefined) break;
      const answer = await call(id.value);
      if (answer.ok) return { ok: true, gone: false, value: answer.value };
      if (answer.status !== 404 || !/no such container/i.test(answer.message)) return answer;
      this.ids.delete(taskId);
    }
    return { ok: true, gone: true };
  }
}
