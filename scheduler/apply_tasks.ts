/**
 * The part of a commit that is about tasks: their rows, what nodes gain by them, and their events.
 *
 * @module
 */
import { key } from "../kv/keys.ts";
import type { Event } from "../kv/schema/event.ts";
import type { Task } from "../kv/schema/task.ts";
import type { Action } from "./action.ts";
import { forgetRun } from "./apply_runs.ts";
import type { CommitDraft as Draft, Stamp } from "./commit.ts";
import { putVolumeNode, volumesGained } from "./volumes.ts";
import type { World } from "./world.ts";
import { dropTask, putTask } from "./world_changes.ts";

export function addTask(world: World, draft: Draft, stamp: Stamp, task: Task): void {
  draft.op.set(key.task(task.id), task).set(key.taskOf(task.serviceId, task.id), 1);
  if (task.nodeId !== undefined) draft.op.set(key.assign(task.nodeId, task.id), 1);
  gainVolumes(world, draft, stamp, task);
  draft.events.push(taskEvent(world, task, task.nodeId ? "task.assigned" : "task.created"));
  draft.effects.push(() => {
    putTask(world, task, undefined, stamp.nowMs);
    notePlacement(world, task);
  });
}

export function changeTask(
  world: World,
  draft: Draft,
  stamp: Stamp,
  { taskId, type, edit }: { taskId: string; type: Event["type"]; edit: (task: Task) => Task },
): void {
  const record = world.tasks.get(taskId);
  if (!record) return;
  const task = edit(record.task);
  draft.op.set(key.task(taskId), task);
  const gainsNode = record.task.nodeId === undefined && task.nodeId !== undefined;
  if (gainsNode && task.nodeId !== undefined) {
    draft.op.set(key.assign(task.nodeId, taskId), 1);
    gainVolumes(world, draft, stamp, task);
  }
  if (task.ended === "lost" && task.nodeId !== undefined) {
    draft.op.delete(key.assign(task.nodeId, taskId));
  }
  draft.events.push(taskEvent(world, task, type));
  draft.effects.push(() => {
    putTask(world, task, record.observed, stamp.nowMs);
    if (gainsNode) notePlacement(world, task);
  });
}

/** The node has the task's volumes from now on: later tasks with them have to follow. */
function gainVolumes(world: World, draft: Draft, { at: since }: Stamp, task: Task): void {
  const { nodeId } = task;
  const name = nodeId === undefined ? undefined : world.nodes.get(nodeId)?.node.name;
  if (nodeId === undefined || name === undefined) return;
  for (const { key: volume, id } of volumesGained(world, task, nodeId)) {
    draft.op.set(key.volumeNode(id, nodeId), { node: name, since });
    draft.effects.push(() => putVolumeNode(world, volume, nodeId, name));
  }
}

function notePlacement(world: World, task: Task): void {
  const node = task.nodeId === undefined ? undefined : world.nodes.get(task.nodeId);
  if (node) node.lastPlacedAt = ++world.placements;
}

export function purgeTask(
  world: World,
  draft: Draft,
  { taskId, endsRun }: Extract<Action, { kind: "purge" }>,
): void {
  const task = world.tasks.get(taskId)?.task;
  if (!task) return;
  if (endsRun) forgetRun(world, draft, task);
  draft.op.delete(key.task(taskId)).delete(key.observed(taskId))
    .delete(key.taskOf(task.serviceId, taskId));
  if (task.nodeId !== undefined) draft.op.delete(key.assign(task.nodeId, taskId));
  draft.events.push(taskEvent(world, task, "task.purged"));
  draft.effects.push(() => dropTask(world, taskId));
}

/** An event about a task, with the names that people know. */
export function taskEvent(world: World, task: Task, type: Event["type"]): Event {
  const service = world.services.get(task.serviceId)?.service;
  const node = task.nodeId === undefined ? undefined : world.nodes.get(task.nodeId)?.node;
  return {
    type,
    taskId: task.id,
    slot: task.slot,
    serviceId: task.serviceId,
    ...(service ? { service: `${service.project}/${service.name}` } : {}),
    ...(task.nodeId === undefined ? {} : { nodeId: task.nodeId }),
    ...(node ? { node: node.name } : {}),
    ...(task.ended ? { state: task.ended } : {}),
    ...(task.why === undefined ? {} : { why: task.why }),
  };
}
