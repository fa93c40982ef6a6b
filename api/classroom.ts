/**
 * What the classroom calls do: nodes in short, pods as services of one task, and waiting for what
 * was asked for.
 *
 * @module
 */
import type { z } from "zod";
import { key, prefix } from "../kv/keys.ts";
import { findNode } from "../kv/node_reads.ts";
import { done, type Outcome } from "../kv/outcome.ts";
import { readPlayground } from "../kv/playground.ts";
import { NodeStatus } from "../kv/schema/node.ts";
import {
  type AddPodRequest,
  type ClassNode,
  type ClassPod,
  PLAYGROUND_LABEL,
  type PlaygroundNode,
} from "../kv/schema/playground.ts";
import { ServiceSpec, type ServiceView } from "../kv/schema/service.ts";
import { idsUnder, readTasks } from "../kv/service_view.ts";
import { createService } from "../kv/services.ts";
import { getRow } from "../kv/store.ts";
import type { NodeRecord, World } from "../scheduler/world.ts";
import type { ApiDeps, Rooms } from "./deps.ts";

const WAIT_MS = 5000;
const LOOK_EVERY_MS = 25;

/** Every node there is or shall be, by name, numbers in order. */
export async function classNodes(
  { kv, loadWorld }: Pick<ApiDeps, "kv" | "loadWorld">,
): Promise<ClassNode[]> {
  // The world may be a moment behind: a node that was just deleted is not shown any more.
  const joined = new Set(await idsUnder(kv, prefix.nodeNames()));
  const world = await loadWorld();
  const known = [...world.nodes.values()].filter(({ node }) => joined.has(node.name))
    .map((record) => nodeOf(world, record));
  const names = new Set(known.map(({ name }) => name));
  const waiting = (await readPlayground(kv)).nodes.filter(({ name }) => !names.has(name));
  return [...known, ...waiting.map(waitingNode)]
    .sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }));
}

function nodeOf(world: World, record: NodeRecord): ClassNode {
  const { id, name, capacity } = record.node;
  const pods = [...record.holding].map((taskId) => {
    const task = world.tasks.get(taskId)?.task;
    const service = task && world.services.get(task.serviceId)?.service;
    return task && service ? `${service.name}.${task.slot}` : taskId;
  });
  return {
    id,
    name,
    cpus: capacity.cpus,
    available_cpus: Math.round(capacity.cpus * 1000 - record.usedMilliCpus) / 1000,
    memory_mib: capacity.memoryMiB,
    available_memory_mib: capacity.memoryMiB - record.usedMemoryMiB,
    status: record.status?.state ?? "joining",
    pods: pods.sort(),
  };
}

function waitingNode({ name, cpus, memoryMiB }: PlaygroundNode): ClassNode {
  return {
    name,
    cpus,
    available_cpus: cpus,
    memory_mib: memoryMiB,
    available_memory_mib: memoryMiB,
    status: "waiting",
    pods: [],
  };
}

/** The node once it is ready, or what is known of it after a while. */
export async function waitForNode(
  rooms: Rooms,
  added: PlaygroundNode,
  signal: AbortSignal,
): Promise<ClassNode> {
  const { kv } = rooms.deps;
  const node = waitingNode(added);
  await waitFor(rooms, signal, async () => {
    const joined = await findNode(kv, added.name);
    if (!joined.ok) return false;
    node.id = joined.value.id;
    node.status = (await getRow(kv, key.nodeStatus(node.id), NodeStatus))?.row.state ?? "joining";
    return node.status === "ready";
  });
  return node;
}

/** A service of one task, for simulated nodes only: nobody has its image. */
export async function createPod(
  deps: Pick<ApiDeps, "kv" | "clock" | "newId">,
  { cpus, memory_mib: memoryMiB, strategy }: z.output<typeof AddPodRequest>,
): Promise<Outcome<ServiceView>> {
  const spec = ServiceSpec.parse({
    name: `pod-${deps.newId().slice(-8)}`,
    template: {
      image: "sim/pod",
      reserve: { cpus, memoryMiB },
      placement: { labels: { [PLAYGROUND_LABEL]: "true" }, ...(strategy ? { strategy } : {}) },
    },
  });
  const created = await createService(deps, spec);
  return created.ok ? done(created.value.value) : created;
}

/** Where the pod is, once it is somewhere or it is known why it is not. */
export async function waitForPod(
  rooms: Rooms,
  { id, name, template }: ServiceView,
  signal: AbortSignal,
): Promise<ClassPod> {
  const { kv } = rooms.deps;
  const pod: ClassPod = { pod: name, cpus: template.reserve.cpus, status: "waiting" };
  await waitFor(rooms, signal, async () => {
    const [found] = await readTasks(kv, await idsUnder(kv, prefix.tasksOf(id)));
    if (!found) return false;
    const { nodeId, why } = found.task;
    if (nodeId === undefined) {
      if (why !== undefined) pod.why = why;
      return why !== undefined;
    }
    pod.status = "placed";
    const node = await findNode(kv, nodeId);
    pod.node = node.ok ? node.value.name : nodeId;
    return true;
  });
  if (pod.status === "waiting") pod.why ??= "the scheduler has not looked at it yet";
  return pod;
}

/** Looks again and again until it is so, the time is up, or nobody waits any more. */
async function waitFor(
  { deps: { clock }, closing }: Rooms,
  request: AbortSignal,
  isSo: () => Promise<boolean>,
): Promise<void> {
  const untilMs = clock.monoMs() + WAIT_MS;
  const signal = AbortSignal.any([request, closing]);
  while (!await isSo() && clock.monoMs() < untilMs && !signal.aborted) {
    await clock.sleep(LOOK_EVERY_MS, signal);
  }
}
