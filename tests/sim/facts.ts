/**
 * What the checker knows: the rows as the commits left them, read with shapes of its own. Nothing here
 * is taken from the program, so that no mistake of the program's is repeated.
 *
 * @module
 */
export interface ServiceRow {
  id: string;
  name: string;
  project: string;
  mode:
    | { type: "replicated"; replicas: number }
    | {
      type: "job";
      completions: number;
      parallelism: number;
      retries: number;
      removeAfterMs?: number;
    };
  stopped: boolean;
  deleting: boolean;
  revision: number;
  update: { order: string };
}

export interface TemplateRow {
  reserve: { cpus: number; memoryMiB: number };
  ports: { published?: number; protocol: string; mode: string }[];
  placement: { node?: string; labels: Record<string, string> };
}

export interface TaskRow {
  id: string;
  serviceId: string;
  revision: number;
  slot: number;
  nodeId?: string;
  desired: "run" | "stop";
  ended?: string;
  why?: string;
  failures: number;
}

export interface ObservedRow {
  attempt: number;
  state: string;
  exitCode?: number;
  message?: string;
}

export interface NodeRow {
  id: string;
  name: string;
  capacity: { cpus: number; memoryMiB: number };
  labels: Record<string, string>;
}

export interface Change {
  key: readonly unknown[];
  before: unknown;
  after: unknown;
}

export interface Commit {
  by: string;
  /** When it was asked for: what it says was decided by then. */
  askedMs: number;
  atMs: number;
  versionstamp: string;
  changes: Change[];
}

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

  apply(change: Change): void {
    const [kind, ...rest] = change.key.map(String);
    const rows = this.rows(kind ?? "");
    if (change.after === undefined) rows.delete(rest.join("/"));
    else rows.set(rest.join("/"), change.after);
    if (kind === "observed" && change.after !== undefined) this.#countFailure(rest[0] ?? "");
  }

  /** How many tasks of a service failed that were to run, purged ones included. */
  failures(serviceId: string): number {
    return this.#failed.get(serviceId)?.size ?? 0;
  }

  #countFailure(taskId: string): void {
    const task = this.task(taskId);
    const state = this.observed(taskId)?.state;
    if (!task || task.desired === "stop" || (state !== "failed" && state !== "rejected")) return;
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
  /** The tasks that have not ended. */
  live(): TaskRow[] {
    return this.tasks().filter((task) => !isEnd(this.state(task)));
  }
  nodes(): NodeRow[] {
    return [...this.rows("node").values()] as NodeRow[];
  }
  /** A node's labels and availability, users' labels before the agent's. */
  nodeSpec(id: string): { labels: Record<string, string>; availability: string } {
    const node = this.rows("node").get(id) as NodeRow | undefined;
    const spec = this.rows("node_spec").get(id) as
      | { labels: Record<string, string>; availability: string }
      | undefined;
    return {
      labels: { ...node?.labels, ...spec?.labels },
      availability: spec?.availability ?? "active",
    };
  }
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
