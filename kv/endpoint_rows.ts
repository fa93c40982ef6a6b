/**
 * What the endpoint table knows of rows: services that serve, their tasks, and the nodes of these. It is
 * read as a whole once, and then row by row.
 *
 * @module
 */
import {
  type KnownNode,
  type KnownService,
  type KnownTask,
  knownTask,
  serviceEndpoints,
  turnOf,
} from "./endpoints.ts";
import type { Immutable } from "./immutable.ts";
import { key, prefix } from "./keys.ts";
import type { ServiceEndpoints } from "./schema/endpoint.ts";
import { Node, NodeStatus } from "./schema/node.ts";
import type { Port } from "./schema/port.ts";
import { Rollout } from "./schema/rollout.ts";
import { Service } from "./schema/service.ts";
import { Observed, Task } from "./schema/task.ts";
import { getRows, type Kv, listRows } from "./store.ts";

export interface KnownRows {
  service: KnownService;
  tasks: Map<string, KnownTask>;
  /** The ports of the wanted revision and of those that tasks have. */
  ports: Map<number, readonly Port[]>;
}

/** What has changed: ids of services and nodes, and of tasks with their service. */
export interface Marks {
  services: Set<string>;
  tasks: Map<string, string>;
  nodes: Set<string>;
}

export interface EndpointRows {
  services: ReadonlyMap<string, KnownRows>;
  /** Reads everything. */
  load(): Promise<void>;
  /** Reads what is marked; answers the services that it belongs to. */
  read(marks: Marks): Promise<Set<string>>;
  assemble(rows: KnownRows): ServiceEndpoints;
  clear(): void;
}

const TEMPLATES_AT_ONCE = 100;

export function createEndpointRows(
  { kv, immutable }: { kv: Kv; immutable: Immutable },
): EndpointRows {
  const services = new Map<string, KnownRows>();
  const nodes = new Map<string, KnownNode>();

  function putService(row: Service, rollout: Rollout | undefined): void {
    const { id, project, name, aliases, balance, ingressPorts, revision, mode } = row;
    const { routes, certificates } = row;
    // Tasks that run to their end serve nobody.
    if (mode.type === "job" || mode.type === "cron") return;
    const turn = turnOf(row, rollout);
    const service = {
      ...{ id, project, name, ingressPorts, revision },
      ...(balance === undefined ? {} : { balance }),
      ...(aliases === undefined ? {} : { aliases }),
      ...(routes === undefined ? {} : { routes }),
      ...(certificates === undefined ? {} : { certificates }),
      ...(turn === undefined ? {} : { turn }),
    };
    const known = services.get(id);
    if (known) known.service = service;
    else services.set(id, { service, tasks: new Map(), ports: new Map() });
  }

  function putTask(serviceId: string, taskId: string, task: KnownTask | undefined): void {
    const tasks = services.get(serviceId)?.tasks;
    if (task) tasks?.set(taskId, task);
    else tasks?.delete(taskId);
  }

  async function readServices(ids: readonly string[]): Promise<void> {
    const [rows, rollouts] = await Promise.all([
      getRows(kv, ids.map((id) => key.service(id)), Service),
      getRows(kv, ids.map((id) => key.rollout(id)), Rollout),
    ]);
    for (const [i, id] of ids.entries()) {
      const row = rows[i]?.row;
      if (row) putService(row, rollouts[i]?.row);
      else services.delete(id);
    }
  }

  async function readNodes(ids: readonly string[]): Promise<void> {
    const [rows, statuses] = await Promise.all([
      getRows(kv, ids.map((id) => key.node(id)), Node),
      getRows(kv, ids.map((id) => key.nodeStatus(id)), NodeStatus),
    ]);
    for (const [i, id] of ids.entries()) {
      const address = rows[i]?.row.address;
      if (address === undefined) nodes.delete(id);
      else nodes.set(id, { address, down: statuses[i]?.row.state === "down" });
    }
  }

  async function readTasks(marked: ReadonlyMap<string, string>): Promise<void> {
    const ids = [...marked.keys()];
    const [tasks, observed] = await Promise.all([
      getRows(kv, ids.map((id) => key.task(id)), Task),
      getRows(kv, ids.map((id) => key.observed(id)), Observed),
    ]);
    for (const [i, [taskId, serviceId]] of [...marked].entries()) {
      const task = tasks[i]?.row;
      putTask(serviceId, taskId, task && knownTask(task, observed[i]?.row));
    }
  }

  /** Reads the nodes and revisions that tasks of these services refer to and nobody has read yet. */
  async function readMissing(serviceIds: Iterable<string>): Promise<void> {
    const missing = new Set<string>();
    const refs: { serviceId: string; revision: number }[] = [];
    for (const serviceId of serviceIds) {
      const rows = services.get(serviceId);
      if (!rows) continue;
      const revisions = new Set([rows.service.revision]);
      for (const { nodeId, revision } of rows.tasks.values()) {
        if (!nodes.has(nodeId)) missing.add(nodeId);
        revisions.add(revision);
      }
      for (const known of rows.ports.keys()) {
        if (!revisions.has(known)) rows.ports.delete(known);
      }
      for (const revision of revisions) {
        if (!rows.ports.has(revision)) refs.push({ serviceId, revision });
      }
    }
    await readNodes([...missing]);
    for (let at = 0; at < refs.length; at += TEMPLATES_AT_ONCE) {
      const some = refs.slice(at, at + TEMPLATES_AT_ONCE);
      const templates = await immutable.templates(some);
      for (const [i, { serviceId, revision }] of some.entries()) {
        const ports = templates[i]?.ports;
        if (ports) services.get(serviceId)?.ports.set(revision, ports);
      }
    }
  }

  return {
    services,
    async load() {
      const rollouts = new Map<string, Rollout>();
      for await (const { key: at, row } of listRows(kv, prefix.rollouts(), Rollout)) {
        rollouts.set(String(at[1]), row);
      }
      for await (const { row } of listRows(kv, prefix.services(), Service)) {
        putService(row, rollouts.get(row.id));
      }
      const down = new Set<string>();
      for await (const { key: at, row } of listRows(kv, prefix.nodeStatuses(), NodeStatus)) {
        if (row.state === "down") down.add(String(at[1]));
      }
      for await (const { row } of listRows(kv, prefix.nodes(), Node)) {
        nodes.set(row.id, { address: row.address, down: down.has(row.id) });
      }
      const observed = new Map<string, Observed>();
      for await (const { row } of listRows(kv, prefix.observed(), Observed)) {
        observed.set(row.taskId, row);
      }
      for await (const { row } of listRows(kv, prefix.tasks(), Task)) {
        putTask(row.serviceId, row.id, knownTask(row, observed.get(row.id)));
      }
      await readMissing(services.keys());
    },
    async read(marks) {
      const touched = new Set(marks.services);
      await readNodes([...marks.nodes]);
      if (marks.nodes.size > 0) {
        for (const [serviceId, { tasks }] of services) {
          for (const { nodeId } of tasks.values()) {
            if (marks.nodes.has(nodeId)) touched.add(serviceId);
          }
        }
      }
      const unknown = [...marks.tasks.values()].filter((id) => !services.has(id));
      await readServices([...new Set([...marks.services, ...unknown])]);
      await readTasks(marks.tasks);
      for (const serviceId of marks.tasks.values()) touched.add(serviceId);
      await readMissing(touched);
      return touched;
    },
    assemble: ({ service, tasks, ports }) =>
      serviceEndpoints({
        service,
        tasks: tasks.values(),
        portsOf: (revision) => ports.get(revision) ?? [],
        node: (nodeId) => nodes.get(nodeId),
      }),
    clear() {
      services.clear();
      nodes.clear();
    },
  };
}
