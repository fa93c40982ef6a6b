/**
 * Moving a task in and out of the world's indices: the slots of its service and the holdings of its node.
 *
 * @module
 */
import { hostPortOf, portName } from "../kv/schema/port.ts";
import type { TaskTemplate } from "../kv/schema/service.ts";
import { isTerminal } from "../kv/schema/task_state.ts";
import { gpusOf } from "./rules/gpus.ts";
import type { ServiceRecord, TaskRecord, World } from "./world.ts";

/** What a template asks to have set aside, in the units of {@link NodeRecord}. */
export function demandOf(
  template: TaskTemplate,
): { milliCpus: number; memoryMiB: number; gpus: number } {
  const { cpus, memoryMiB } = template.reserve;
  return { milliCpus: Math.round(cpus * 1000), memoryMiB, gpus: gpusOf(template) };
}

/** The ports of its own node that a template asks for by number, as `tcp/8080`. */
export function hostPortsOf({ ports }: TaskTemplate): readonly string[] {
  if (ports.length === 0) return NONE;
  return ports.flatMap((port) => {
    const published = hostPortOf(port);
    return published === undefined ? [] : [portName({ protocol: port.protocol, published })];
  });
}
const NONE: readonly string[] = [];

/** Adds a task to the slots of its service, and to what holds its node or, once ended, was there. */
export function attach(world: World, service: ServiceRecord, record: TaskRecord): void {
  const ended = isTerminal(record.state);
  service.mark = {};
  push(ended ? service.ended : service.live, record);
  if (ended) {
    world.nodes.get(record.task.nodeId ?? "")?.ended.add(record.task.id);
    return;
  }
  if (record.state === "pending") service.pending++;
  else hold(world, service, record);
}

/** The reverse of {@link attach}, with the same record. */
export function detach(world: World, service: ServiceRecord, record: TaskRecord): void {
  const ended = isTerminal(record.state);
  service.mark = {};
  pull(ended ? service.ended : service.live, record);
  if (ended) {
    world.nodes.get(record.task.nodeId ?? "")?.ended.delete(record.task.id);
    return;
  }
  if (record.state === "pending") service.pending--;
  else release(world, service, record);
}

/** Notes what a placed task holds of its node; without a known node it is a stray. */
export function hold(world: World, service: ServiceRecord, record: TaskRecord): void {
  const { id, nodeId, serviceId, revision } = record.task;
  const node = nodeId === undefined ? undefined : world.nodes.get(nodeId);
  if (!node) {
    service.slots.strays.set(id, record);
    return;
  }
  if (service.slots.strays.size > 0) service.slots.strays.delete(id);
  node.mark = {};
  node.holding.add(id);
  node.perService.set(serviceId, (node.perService.get(serviceId) ?? 0) + 1);
  const template = service.templates.get(revision);
  if (!template) return;
  const demand = demandOf(template);
  node.usedMilliCpus += demand.milliCpus;
  node.usedMemoryMiB += demand.memoryMiB;
  node.usedGpus += demand.gpus;
  for (const port of hostPortsOf(template)) node.ports.set(port, id);
}

function release(world: World, service: ServiceRecord, record: TaskRecord): void {
  const { id, nodeId, serviceId, revision } = record.task;
  service.slots.strays.delete(id);
  const node = nodeId === undefined ? undefined : world.nodes.get(nodeId);
  if (!node?.holding.delete(id)) return;
  node.mark = {};
  const left = (node.perService.get(serviceId) ?? 1) - 1;
  if (left > 0) node.perService.set(serviceId, left);
  else node.perService.delete(serviceId);
  const template = service.templates.get(revision);
  if (!template) return;
  const demand = demandOf(template);
  node.usedMilliCpus -= demand.milliCpus;
  node.usedMemoryMiB -= demand.memoryMiB;
  node.usedGpus -= demand.gpus;
  for (const port of hostPortsOf(template)) {
    if (node.ports.get(port) === id) node.ports.delete(port);
  }
}

/** Keeps a slot's tasks in the order in which they ended, then of their ids, which is that of their age. */
function push(index: Map<number, TaskRecord[]>, record: TaskRecord): void {
  const tasks = index.get(record.task.slot);
  if (!tasks) {
    index.set(record.task.slot, [record]);
    return;
  }
  const after = tasks.findIndex((other) => endsBefore(record, other));
  tasks.splice(after === -1 ? tasks.length : after, 0, record);
}

function endsBefore(a: TaskRecord, b: TaskRecord): boolean {
  const [endA, endB] = [a.endedAtMs ?? 0, b.endedAtMs ?? 0];
  return endA === endB ? a.task.id < b.task.id : endA < endB;
}

function pull(index: Map<number, TaskRecord[]>, record: TaskRecord): void {
  const left = index.get(record.task.slot)?.filter((r) => r.task.id !== record.task.id) ?? [];
  if (left.length > 0) index.set(record.task.slot, left);
  else index.delete(record.task.slot);
}
