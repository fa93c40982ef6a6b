/**
 * The part of a commit that is about nodes: what the leader concluded of them.
 *
 * @module
 */
import { key } from "../kv/keys.ts";
import type { NodeStatus } from "../kv/schema/node.ts";
import type { Action } from "./action.ts";
import type { CommitDraft, Stamp } from "./commit.ts";
import type { NodeRecord, World } from "./world.ts";
import { putNode } from "./world_changes.ts";

export function markNode(
  world: World,
  draft: CommitDraft,
  stamp: Stamp,
  action: Extract<Action, { kind: "mark" }>,
): void {
  const record = world.nodes.get(action.nodeId);
  if (!record) return;
  const before = draft.statuses.get(action.nodeId) ?? record.status;
  writeStatus(world, draft, record, {
    ...(before?.failing ? { failing: before.failing } : {}),
    state: action.state,
    since: stamp.at,
    why: action.why,
  });
  draft.events.push({
    type: action.state === "ready" ? "node.ready" : "node.down",
    nodeId: action.nodeId,
    node: record.node.name,
    why: action.why,
  });
}

export function rankNode(
  world: World,
  draft: CommitDraft,
  { nodeId, serviceId, why }: Extract<Action, { kind: "rank" }>,
): void {
  const record = world.nodes.get(nodeId);
  const before = draft.statuses.get(nodeId) ?? record?.status;
  if (!record || !before) return;
  const { failing = {}, ...status } = before;
  const { [serviceId]: _lifted, ...others } = failing;
  const now = why === undefined ? others : { ...others, [serviceId]: why };
  const none = Object.keys(now).length === 0;
  writeStatus(world, draft, record, { ...status, ...(none ? {} : { failing: now }) });
  const service = world.services.get(serviceId)?.service;
  draft.events.push({
    type: "node.failing",
    nodeId,
    node: record.node.name,
    serviceId,
    ...(service ? { service: `${service.project}/${service.name}` } : {}),
    why: why ?? "no longer: ranked as other nodes are",
  });
}

function writeStatus(
  world: World,
  draft: CommitDraft,
  record: NodeRecord,
  status: NodeStatus,
): void {
  const { node: { id }, lastSeenMs } = record;
  draft.op.set(key.nodeStatus(id), status);
  draft.statuses.set(id, status);
  draft.effects.push(() =>
    putNode(world, { node: record.node, spec: record.spec, status }, lastSeenMs)
  );
}
