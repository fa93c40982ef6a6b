/**
 * Liveness of nodes: who fell silent, who is back, and which tasks are lost with whom.
 *
 * @module
 */
import { type Draft, room, wake } from "./draft.ts";
import { evicts } from "./rules/taints.ts";
import type { NodeRecord, World } from "./world.ts";

/** Ids of the services that have tasks waiting for a node, in order. */
export function pendingServices(world: World): string[] {
  const ids: string[] = [];
  for (const [id, { pending }] of world.services) if (pending > 0) ids.push(id);
  return ids.sort();
}

/** Judges one node; answers the services that are to be looked at for it. */
export function planNode(draft: Draft, nodeId: string): string[] {
  const node = draft.world.nodes.get(nodeId);
  if (!node) return servicesWithStrays(draft.world, nodeId);
  if (room(draft) === 0) {
    planAgain(draft, nodeId);
    return [];
  }
  const silentMs = draft.nowMs - node.lastSeenMs;
  if (silentMs >= draft.options.nodeTtlMs) {
    giveUp(draft, node, silentMs);
    return [];
  }
  wake(draft, nodeId, node.lastSeenMs + draft.options.nodeTtlMs);
  const { availability, taints } = node.spec;
  const empties = availability === "drain" || taints.some(evicts);
  const services = empties ? [...node.perService.keys()].sort() : [];
  if (node.status?.state === "ready") return services;
  const why = node.status ? "seen again" : "seen for the first time";
  draft.actions.push({ kind: "mark", nodeId, state: "ready", why });
  draft.states.set(nodeId, "ready");
  return [...services, ...pendingServices(draft.world)];
}

function giveUp(draft: Draft, node: NodeRecord, silentMs: number): void {
  const { id: nodeId, name } = node.node;
  if (node.status?.state !== "down") {
    const limit = seconds(draft.options.nodeTtlMs);
    const why = `no sign of life for ${seconds(silentMs)} (limit ${limit})`;
    draft.actions.push({ kind: "mark", nodeId, state: "down", why });
    draft.states.set(nodeId, "down");
  }
  for (const taskId of [...node.holding].sort()) {
    if (room(draft) === 0) return planAgain(draft, nodeId);
    draft.actions.push({ kind: "lose", taskId, why: `node ${name} is down` });
    const task = draft.world.tasks.get(taskId)?.task;
    if (task) draft.unfinished.add(task.serviceId);
  }
}

function planAgain(draft: Draft, nodeId: string): void {
  draft.nodesLeft = true;
  wake(draft, nodeId, draft.nowMs);
}

function servicesWithStrays(world: World, nodeId: string): string[] {
  const ids: string[] = [];
  for (const [id, { slots }] of world.services) {
    for (const { task } of slots.strays.values()) {
      if (task.nodeId !== nodeId) continue;
      ids.push(id);
      break;
    }
  }
  return ids.sort();
}

function seconds(ms: number): string {
  return `${Math.round(ms / 100) / 10} s`;
}
