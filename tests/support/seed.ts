/**
 * Rows that the leader and agents would have written, for tests of what reads them.
 *
 * @module
 */
import { key } from "../../kv/keys.ts";
import { appendLog, logHead } from "../../kv/log.ts";
import type { Event } from "../../kv/schema/event.ts";
import { type Node, type NodeFacts, NodeSpec, type NodeStatus } from "../../kv/schema/node.ts";
import { ServiceSpec, type ServiceSpecInput } from "../../kv/schema/service.ts";
import { Observed, type Task } from "../../kv/schema/task.ts";
import type { Kv } from "../../kv/store.ts";
import { sha256Hex } from "../../kv/tokens.ts";
import { idOf } from "./ids.ts";

export const AT = "2030-01-01T00:00:00.000Z";

/** The smallest service that can be asked for. */
export function specOf(more: Partial<ServiceSpecInput> = {}): ServiceSpec {
  return ServiceSpec.parse({ name: "web", template: { image: "nginx:1.27" }, ...more });
}

export function factsOf(name: string): NodeFacts {
  return {
    name,
    address: "10.0.0.1",
    capacity: { cpus: 4, memoryMiB: 4096 },
    labels: {},
    engineLabels: {},
    os: "linux",
    arch: "x86_64",
    runtime: "sim",
    engine: "sim 1",
    agentVersion: "0.1.0",
    usedPorts: [],
  };
}

/** A node that joined, with the credential `berth_node_<name>`. */
export async function seedNode(
  kv: Kv,
  id: string,
  name: string,
  status?: NodeStatus,
): Promise<string> {
  const node: Node = { ...factsOf(name), id, joinedAt: AT };
  const credential = `berth_node_${name}`;
  const sha256 = await sha256Hex(credential);
  const op = kv.atomic()
    .set(key.node(id), node)
    .set(key.nodeName(name), id)
    .set(key.nodeSpec(id), NodeSpec.parse({}))
    .set(key.token(sha256), { id, kind: "node", nodeId: id, createdAt: AT })
    .set(key.nodeToken(id), [sha256]);
  if (status) op.set(key.nodeStatus(id), status);
  await op.commit();
  return credential;
}

/** Writes a service and its first revision as the API would; answers its id. */
export async function seedService(kv: Kv, id: string, spec: ServiceSpec): Promise<string> {
  const { template, ...rest } = spec;
  const row = {
    ...rest,
    id,
    revision: 1,
    createdAt: AT,
    updatedAt: AT,
    ingressPorts: [],
    deleting: false,
  };
  await kv.atomic()
    .set(key.service(id), row)
    .set(key.serviceName(spec.project, spec.name), id)
    .set(key.revision(id, 1), { serviceId: id, revision: 1, createdAt: AT, template })
    .commit();
  return id;
}

/** Writes a task as the leader would, in one commit with a record of the log. */
export async function seedTask(
  kv: Kv,
  task: Pick<Task, "id" | "serviceId"> & Partial<Task>,
): Promise<Task> {
  const row: Task = {
    revision: 1,
    slot: 1,
    desired: "run",
    failures: 0,
    createdAt: AT,
    ...task,
  };
  const op = kv.atomic()
    .set(key.task(row.id), row)
    .set(key.taskOf(row.serviceId, row.id), 1);
  if (row.nodeId !== undefined) op.set(key.assign(row.nodeId, row.id), 1);
  await commitLogged(kv, op, [{
    type: row.nodeId === undefined ? "task.created" : "task.assigned",
    taskId: row.id,
    serviceId: row.serviceId,
    slot: row.slot,
    ...(row.nodeId === undefined ? {} : { nodeId: row.nodeId }),
  }]);
  return row;
}

/** Commits with a record of the log; answers its seq. Not for use by two at a time. */
export async function commitLogged(
  kv: Kv,
  op: Deno.AtomicOperation,
  events: Event[],
): Promise<number> {
  const seq = await logHead(kv) + 1;
  await appendLog(op, seq, { at: AT, epoch: 1, events }).commit();
  return seq;
}

export function seen(taskId: string, more: Partial<Observed> = {}): Observed {
  return Observed.parse({ taskId, attempt: 1, state: "running", ...more });
}

export async function seedObserved(kv: Kv, row: Observed): Promise<void> {
  await kv.atomic().set(key.observed(row.taskId), row).commit();
}

/** A node with a service; tasks 11, 12, … in slots 1, 2, … on the node. */
export async function seedTasksOn(
  kv: Kv,
  { nodeId, serviceId, tasks }: { nodeId: string; serviceId: string; tasks: number },
): Promise<string[]> {
  await seedNode(kv, nodeId, "n1");
  await seedService(kv, serviceId, specOf());
  const ids = Array.from({ length: tasks }, (_, i) => idOf(11 + i));
  for (const [i, id] of ids.entries()) {
    await seedTask(kv, { id, serviceId, slot: i + 1, nodeId });
  }
  return ids;
}
