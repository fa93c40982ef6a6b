/**
 * What the checker knows: the rows as the commits left them, read with shapes of its own. Nothing here
 * is taken from the program, so that no mistake of the program's is repeated.
 *
 * @module
 */
import type {
  Change,
  NodeRow,
  NodeSpecRow,
  ObservedRow,
  ResolvedRow,
  RolloutRow,
  ServiceRow,
  TaskRow,
  TemplateRow,
} from "./rows.ts";

export type {
  Change,
  Commit,
  ModeRow,
  NodeRow,
  NodeSpecRow,
  ObservedRow,
  PlacementRow,
  RolloutRow,
  ServiceRow,
  TaintRow,
  TaskRow,
  TemplateRow,
} from "./rows.ts";

const TERMINAL = new Set(["succeeded", "failed", "stopped", "rejected", "lost"]);

export function isEnd(state: string): boolean {
  return TERMINAL.has(state);
}

/** The state that a task's two rows mean together. */
export function stateFrom(task: TaskRow, observed: ObservedRow | undefined): string {
  if (observed && isEnd(observed.state)) return observed.state;
  if (task.ended !== undefined) return task.ended;
  if (observed) return observed.state;
  return task.nodeId === undefined ? "pending" : "assigned";
}

/** The rows, by kind (the first part of the key) and the rest of the key. */
export class Facts {
  readonly #kinds = new Map<string, Map<string, unknown>>();
  readonly #failed = new Map<string, Set<string>>();
  readonly #stale = new Set<string>();
  readonly #removed = new Set<string>();
  /** What configs and secrets were set to, in base64, by `id@version`. */
  readonly values = new Map<string, string>();
  /** Tasks of which users were told that they are replaced. */
  readonly restarted = new Set<string>();

  apply(change: Change): void {
    const [kind, ...rest] = change.key.map(String);
    const rows = this.rows(kind ?? "");
    if (kind === "node" && change.after === undefined) this.#removed.add(rest.join("/"));
    if (change.after === undefined) rows.delete(rest.join("/"));
    else rows.set(rest.join("/"), change.after);
    if (kind === "observed" && change.after !== undefined) this.#countFailure(rest[0] ?? "");
  }

  /** The leader may not have looked yet: a wake-up for it waits in the queue. */
  isStale(kind: string, id: string): boolean {
    return this.#stale.has(`${kind}/${id}`);
  }

  get staleCount(): number {
    return this.#stale.size;
  }

  /** Notes which wake-ups wait, before the next commit is looked at. */
  noteQueue(): void {
    this.#stale.clear();
    for (const row of this.rows("queue").values()) {
      const { kind, id } = row as { kind: string; id: string };
      this.#stale.add(`${kind}/${id}`);
    }
  }

  /** Nodes that there were. */
  wasRemoved(nodeId: string): boolean {
    return this.#removed.has(nodeId);
  }

  /** How many tasks of a service failed that were to run, purged ones included. */
  failures(serviceId: string): number {
    return this.#failed.get(serviceId)?.size ?? 0;
  }

  #countFailure(taskId: string): void {
    const task = this.task(taskId);
    const state = this.observed(taskId)?.state;
    if (
      !task || task.desired === "stop" || isRunTask(task) ||
      (state !== "failed" && state !== "rejected")
    ) return;
    const failed = this.#failed.get(task.serviceId) ?? new Set();
    this.#failed.set(task.serviceId, failed.add(taskId));
  }

  rows(kind: string): Map<string, unknown> {
    let rows = this.#kinds.get(kind);
    if (!rows) this.#kinds.set(kind, rows = new Map());
    return rows;
  }

  services(): ServiceRow[] {
    return [...this.rows("service").values()] as ServiceRow[];
  }
  service(id: string): ServiceRow | undefined {
    return this.rows("service").get(id) as ServiceRow | undefined;
  }
  /** What the names in a revision's template stood for. */
  resolved(serviceId: string, revision: number): ResolvedRow | undefined {
    const row = this.rows("revision").get(`${serviceId}/${revision}`);
    return (row as { resolved?: ResolvedRow } | undefined)?.resolved;
  }
  /** The volumes of a task, by name. */
  volumesOf(task: TaskRow): [name: string, id: string][] {
    const volumes = this.resolved(task.serviceId, task.revision)?.volumes ?? {};
    return Object.entries(volumes).map(([name, { id }]) => [name, id]);
  }
  /** The nodes that have a volume, also those that are gone. */
  volumeNodes(id: string): string[] {
    return [...this.rows("volume_node").keys()].flatMap((name) => {
      const [volume, node = ""] = name.split("/");
      return volume === id ? [node] : [];
    });
  }
  template(serviceId: string, revision: number): TemplateRow | undefined {
    const row = this.rows("revision").get(`${serviceId}/${revision}`);
    return (row as { template: TemplateRow } | undefined)?.template;
  }
  tasks(): TaskRow[] {
    return [...this.rows("task").values()] as TaskRow[];
  }
  task(id: string): TaskRow | undefined {
    return this.rows("task").get(id) as TaskRow | undefined;
  }
  observed(taskId: string): ObservedRow | undefined {
    return this.rows("observed").get(taskId) as ObservedRow | undefined;
  }
  state(task: TaskRow): string {
    return stateFrom(task, this.observed(task.id));
  }
  tasksOf(serviceId: string): TaskRow[] {
    return this.tasks().filter((task) => task.serviceId === serviceId);
  }
  rollout(serviceId: string): RolloutRow | undefined {
    return this.rows("rollout").get(serviceId) as RolloutRow | undefined;
  }
  /** The revision that the service's tasks are to have, as far as the leader has said. */
  goal(service: ServiceRow): number {
    const rollout = this.rollout(service.id);
    return rollout?.back && rollout.revision === service.revision
      ? rollout.stable
      : service.revision;
  }
  /** How many slots may have the newest revision until its canary is promoted; undefined: all. */
  canary({ id, revision, update }: ServiceRow): number | undefined {
    const rollout = this.rollout(id);
    const limited = update.strategy === "canary" && rollout?.revision === revision &&
      !rollout.back && !rollout.promoted && rollout.state !== "done";
    return limited ? update.canary : undefined;
  }
  isLive(task: TaskRow): boolean {
    return !isEnd(this.state(task));
  }
  /** The tasks that have not ended. */
  live(): TaskRow[] {
    return this.tasks().filter((task) => !isEnd(this.state(task)));
  }
  nodes(): NodeRow[] {
    return [...this.rows("node").values()] as NodeRow[];
  }
  node(id: string): NodeRow | undefined {
    return this.rows("node").get(id) as NodeRow | undefined;
  }
  isReady(nodeId: string): boolean {
    const status = this.rows("node_status").get(nodeId) as { state: string } | undefined;
    return status?.state === "ready";
  }
  /** What users decided about a node; their labels come before the agent's. */
  nodeSpec(id: string): NodeSpecRow {
    const node = this.node(id);
    const spec = this.rows("node_spec").get(id) as NodeSpecRow | undefined;
    return {
      labels: { ...node?.labels, ...spec?.labels },
      availability: spec?.availability ?? "active",
      pool: spec?.pool ?? "default",
      taints: spec?.taints ?? [],
    };
  }
}

/** It belongs to a run, by a schedule or by hand, and not to a service's slots. */
export function isRunTask({ run, runId }: TaskRow): boolean {
  return run !== undefined || runId !== undefined;
}

/** What tasks that have not ended hold of a node. */
export interface Held {
  milliCpus: number;
  memoryMiB: number;
  /** By `tcp/8080`, the tasks that hold the port. */
  ports: Map<string, string[]>;
}

export function heldOf(facts: Facts, nodeId: string): Held {
  const held: Held = { milliCpus: 0, memoryMiB: 0, ports: new Map() };
  for (const task of facts.live()) {
    if (task.nodeId !== nodeId) continue;
    const template = facts.template(task.serviceId, task.revision);
    if (!template) continue;
    held.milliCpus += Math.round(template.reserve.cpus * 1000);
    held.memoryMiB += template.reserve.memoryMiB;
    for (const { published, protocol, mode } of template.ports) {
      if (published === undefined || mode !== "host") continue;
      const port = `${protocol}/${published}`;
      held.ports.set(port, [...held.ports.get(port) ?? [], task.id]);
    }
  }
  return held;
}
