/**
 * A database stocked with nodes, services and their running tasks, as a cluster that has worked for a
 * while leaves it behind. What is measured on it is not how it came to be.
 *
 * @module
 */
import { monotonicFactory } from "ulid";
import { initCluster } from "../../kv/cluster.ts";
import { key } from "../../kv/keys.ts";
import { type Node, NodeSpec } from "../../kv/schema/node.ts";
import {
  type Service,
  ServiceSpec,
  type ServiceSpecInput,
  type TaskTemplate,
} from "../../kv/schema/service.ts";
import { type Observed, type Task } from "../../kv/schema/task.ts";
import { openStore } from "../../kv/open.ts";
import type { Kv } from "../../kv/store.ts";
import { sha256Hex } from "../../kv/tokens.ts";
import { AT, factsOf, seen } from "../support/seed.ts";

export interface StockOptions {
  nodes: number;
  /** Services of `replicas` running tasks each; none unless given. */
  services?: number;
  replicas?: number;
}

export interface Stock {
  nodes: { id: string; name: string; credential: string }[];
  serviceNames: string[];
  taskIds: string[];
}

const ZONES = 3;
/** Rows a commit: with their index rows these stay below KV's limits. */
const NODES_PER_COMMIT = 150;
const TASKS_PER_COMMIT = 200;
const RESERVE = { cpus: 0.1, memoryMiB: 64 };

/** The facts of the n-th simulated node, which has room for 160 tasks of the benchmarks. */
export function nodeOf(id: string, n: number): Node {
  return {
    ...{ ...factsOf(`n${n}`), id, joinedAt: AT },
    labels: { zone: `z${n % ZONES}` },
    capacity: { cpus: 16, memoryMiB: 65_536 },
  };
}

/** A service of the benchmarks, before its defaults. */
export function serviceOf(name: string, replicas: number) {
  return {
    name,
    mode: { type: "replicated" as const, replicas },
    template: { image: "bench", reserve: RESERVE },
  };
}

/** The row of such a service, and its template. */
export function serviceRowOf(
  id: string,
  spec: ServiceSpecInput,
): { row: Service; template: TaskTemplate } {
  const { template, ...rest } = ServiceSpec.parse(spec);
  const times = { createdAt: AT, updatedAt: AT };
  const row = { ...rest, ...times, id, revision: 1, deleting: false, ingressPorts: [] };
  return { row, template };
}

/** Writes the stock into the database file of a server's data directory, made if absent. */
export async function stock(dataDir: string, options: StockOptions): Promise<Stock> {
  const opened = await openStore(`${dataDir}/berth.db`);
  if (!opened.ok) throw new Error(opened.problem);
  const { kv } = opened.store;
  const ulid = monotonicFactory();
  const newId = () => ulid().toLowerCase();
  try {
    await initCluster(kv, { newId, wallMs: Date.now() });
    const nodes = await addNodes(kv, options.nodes, newId);
    const { services = 0, replicas = 0 } = options;
    const nodeIds = nodes.map(({ id }) => id);
    const added = await addServices(kv, { services, replicas, nodeIds, newId });
    return { nodes, ...added };
  } finally {
    opened.store.close();
  }
}

/** Simulated nodes as rows that are already ready: what is measured is not joining. */
export async function addNodes(
  kv: Kv,
  count: number,
  newId: () => string,
): Promise<Stock["nodes"]> {
  const nodes: Stock["nodes"] = [];
  const spec = NodeSpec.parse({});
  for (let from = 0; from < count; from += NODES_PER_COMMIT) {
    const op = kv.atomic();
    for (let n = from; n < Math.min(count, from + NODES_PER_COMMIT); n++) {
      const id = newId();
      const node = nodeOf(id, n);
      const credential = `berth_node_${node.name.padEnd(43, "-")}`;
      const sha256 = await sha256Hex(credential);
      nodes.push({ id, name: node.name, credential });
      op.set(key.node(id), node)
        .set(key.nodeName(node.name), id)
        .set(key.nodeSpec(id), spec)
        .set(key.nodeStatus(id), { state: "ready", since: AT, why: "bench" })
        .set(key.token(sha256), { id: newId(), kind: "node", nodeId: id, createdAt: AT })
        .set(key.nodeToken(id), [sha256]);
    }
    await op.commit();
  }
  return nodes;
}

interface Wanted {
  services: number;
  replicas: number;
  nodeIds: readonly string[];
  newId: () => string;
}

async function addServices(
  kv: Kv,
  { services, replicas, nodeIds, newId }: Wanted,
): Promise<Pick<Stock, "serviceNames" | "taskIds">> {
  const serviceNames: string[] = [];
  const taskIds: string[] = [];
  let op = kv.atomic();
  for (let s = 0; s < services; s++) {
    const id = newId();
    const { row, template } = serviceRowOf(id, serviceOf(`s${s}`, replicas));
    serviceNames.push(row.name);
    op.set(key.service(id), row)
      .set(key.serviceName(row.project, row.name), id)
      .set(key.revision(id, 1), { serviceId: id, revision: 1, createdAt: AT, template });
    for (let slot = 1; slot <= replicas; slot++) {
      const nodeId = nodeIds[taskIds.length % nodeIds.length] ?? "";
      const task = taskOf(newId(), { serviceId: id, slot, nodeId });
      taskIds.push(task.id);
      op.set(key.task(task.id), task)
        .set(key.taskOf(id, task.id), 1)
        .set(key.assign(nodeId, task.id), 1)
        .set(key.observed(task.id), runningOf(task.id));
      if (taskIds.length % TASKS_PER_COMMIT === 0) {
        await op.commit();
        op = kv.atomic();
      }
    }
  }
  await op.commit();
  return { serviceNames, taskIds };
}

function taskOf(id: string, more: Pick<Task, "serviceId" | "slot" | "nodeId">): Task {
  return { id, revision: 1, desired: "run", failures: 0, createdAt: AT, ...more };
}

function runningOf(taskId: string): Observed {
  return seen(taskId, { containerId: taskId.repeat(2), startedAt: AT });
}
