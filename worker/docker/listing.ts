/**
 * All containers of this node, cheaply: one engine call, and one inspect per container that is new,
 * changed since the last list, or was touched by this runtime. So if somebody else restarts a running
 * container between two lists, a list may tell its earlier `startedAt` until an event tells of the
 * restart; `inspect` always asks.
 *
 * @module
 */
import { type ContainerStatus, LABEL } from "../runtime.ts";
import type { Answer, ListItem } from "./client.ts";
import type { Containers } from "./containers.ts";
import { fingerprint, refreshed, statusFromInspect } from "./status.ts";

/** Inspects at a time, when a list needs many. */
const INSPECT_CONCURRENCY = 8;

export class Listing {
  readonly #containers: Containers;
  /** The last inspect by task. */
  readonly #known = new Map<string, { fingerprint: string; status: ContainerStatus }>();

  /** Per list under way, the tasks that changed since it began: what it saw of them is old. */
  readonly #underWay = new Set<Set<string>>();

  constructor(containers: Containers) {
    this.#containers = containers;
  }

  /** The task's container may have changed in a way that a list does not show. */
  changed(taskId: string): void {
    this.#known.delete(taskId);
    for (const changed of this.#underWay) changed.add(taskId);
  }

  async list(signal: AbortSignal): Promise<Answer<ContainerStatus[]>> {
    const changed = new Set<string>();
    this.#underWay.add(changed);
    try {
      return await this.#list(signal, changed);
    } finally {
      this.#underWay.delete(changed);
    }
  }

  async #list(
    signal: AbortSignal,
    changed: ReadonlySet<string>,
  ): Promise<Answer<ContainerStatus[]>> {
    const answer = await this.#containers.search(signal);
    if (!answer.ok) return answer;
    const statuses: ContainerStatus[] = [];
    const stale: ListItem[] = [];
    const present = new Set<string>();
    for (const item of answer.value) {
      const taskId = item.Labels[LABEL.task] ?? "";
      present.add(taskId);
      this.#containers.ids.set(taskId, item.Id);
      const known = this.#known.get(taskId);
      if (known?.fingerprint === fingerprint(item)) statuses.push(refreshed(known.status, item));
      else stale.push(item);
    }
    for (const taskId of this.#known.keys()) if (!present.has(taskId)) this.#known.delete(taskId);
    for (let at = 0; at < stale.length; at += INSPECT_CONCURRENCY) {
      const batch = stale.slice(at, at + INSPECT_CONCURRENCY);
      const inspected = await this.#inspectAll(batch, signal);
      if (!inspected.ok) return inspected;
      for (const { item, status } of inspected.value) {
        statuses.push(status);
        if (changed.has(status.taskId)) continue;
        this.#known.set(status.taskId, { fingerprint: fingerprint(item), status });
      }
    }
    return { ok: true, value: statuses };
  }

  /** The status of each item that still exists. */
  async #inspectAll(
    items: ListItem[],
    signal: AbortSignal,
  ): Promise<Answer<{ item: ListItem; status: ContainerStatus }[]>> {
    const inspected = items.map(async (item) => ({
      item,
      answer: await this.#containers.inspect(item.Id, signal),
    }));
    const found: { item: ListItem; status: ContainerStatus }[] = [];
    for (const { item, answer } of await Promise.all(inspected)) {
      if (!answer.ok && answer.status === 404) continue; // gone since it was listed
      if (!answer.ok) return answer;
      found.push({ item, status: statusFromInspect(answer.value) });
    }
    return { ok: true, value: found };
  }
}
