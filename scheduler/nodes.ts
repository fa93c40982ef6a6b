/**
 * Liveness of nodes: who fell silent, who is back, and which tasks are lost with whom.
 *
 * @module
 */
import { type Draft, room, wake } from "./draft.ts";
import { loseTasks, massLoss, takeBack, ttlOf } from "./loss.ts";
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
  // What it said since the beats were read is not known yet.
  const silentMs = (draft.options.heardMs ?? draft.nowMs) - node.lastSeenMs;
  const ttlMs = ttlOf(node, draft.options.nodeTtlMs);
  if (silentMs >= ttlMs) {
    if (node.status?.state !== "down") markDown(draft, node, silentMs);
    loseTasks(draft, node);
    return [];
  }
  wake(draft, nodeId, node.lastSeenMs + ttlMs);
  takeBack(draft, node);
  const { availability, taints } = node.spec;
  const empties = availability === "drain" || taints.some(evicts);
  const services = empties ? [...node.perService.keys()].sort() : [];
  if (node.status?.state === "ready") return services;
  const why = node.status ? "seen again" : "seen for the first time";
  draft.actions.push({ kind: "mark", nodeId, state: "ready", why });
  draft.states.set(nodeId, "ready");
  return [...services, ...pendingServices(draft.world)];
}

function markDown(draft: Draft, node: NodeRecord, silentMs: number): void {
  const { world, nowMs, options: { nodeTtlMs } } = draft;
  const mass = massLoss(world, node, { nowMs, nodeTtlMs });
  const together = mass
    ? `; one of ${mass.nodes} nodes that went silent together: replacing slowly`
    : "";
  const limit = seconds(ttlOf(node, nodeTtlMs));
  const why = `no sign of life for ${seconds(silentMs)} (limit ${limit})${together}`;
  draft.actions.push({ kind: "mark", nodeId: node.node.id, state: "down", why });
  draft.states.set(node.node.id, "down");
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
