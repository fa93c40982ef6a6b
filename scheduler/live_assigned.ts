/**
 * What the leader knows of the tasks that are assigned to a node, so that their rows need not be read for
 * each node that is told of a commit.
 *
 * @module
 */
import type { Assigned } from "../kv/schema/assigned.ts";
import type { Service } from "../kv/schema/service.ts";
import { isTerminal } from "../kv/schema/task_state.ts";
import type { World } from "./world.ts";

/** By age; undefined for a node that is not known. */
export function assignedTo(world: World, nodeId: string): Assigned | undefined {
  const node = world.nodes.get(nodeId);
  if (!node) return undefined;
  const tasks: Assigned["tasks"] = [];
  const services = new Map<string, Service>();
  for (const taskId of [...node.holding, ...node.ended].sort()) {
    const record = world.tasks.get(taskId);
    const service = record && world.services.get(record.task.serviceId)?.service;
    // What was given up as lost is no longer assigned to it.
    if (!service || record.task.ended === "lost") continue;
    tasks.push({ task: record.task, ended: isTerminal(record.observed?.state ?? "assigned") });
    services.set(service.id, service);
  }
  return { tasks, services };
}
