/**
 * Actions applied to a world without a database: does to it what the leader's commits do, and what
 * nodes then report when all goes well. For forecasts and tests.
 *
 * @module
 */
import type { NodeStatus } from "../../kv/schema/node.ts";
import type { Observed, Task } from "../../kv/schema/task.ts";
import { isTerminal } from "../../kv/schema/task_state.ts";
import type { Action } from "../action.ts";
import { taskIdAfter } from "../task_id.ts";
import { putVolumeNode, volumesGained } from "../volumes.ts";
import type { World } from "../world.ts";
import {
  dropService,
  dropTask,
  putNode,
  putRollout,
  putService,
  putTask,
} from "../world_changes.ts";

/** Nothing here has a time of day. */
export const NO_TIME = "1970-01-01T00:00:00.000Z";

/** Does to the world what the leader's commits of these actions do. An impossible action throws. */
export function applyActions(
  world: World,
  actions: readonly Action[],
  newId: () => string,
  nowMs: number,
): void {
  for (const action of actions) applyAction(world, action, newId, nowMs);
}

function applyAction(world: World, action: Action, newId: () => string, nowMs: number): void {
  const change = (taskId: string, fields: Partial<Task>) => {
    const record = world.tasks.get(taskId);
    if (!record) throw new Error(`${action.kind}: no task ${taskId}`);
    if (isTerminal(record.state)) throw new Error(`${action.kind}: task ${taskId} has ended`);
    putTask(world, { ...record.task, ...fields }, record.observed, nowMs);
  };
  const placed = (
    nodeId: string | undefined,
    task: { serviceId: string; revision: number },
  ) => {
    const node = nodeId === undefined ? undefined : world.nodes.get(nodeId);
    if (!node || nodeId === undefined) return;
    node.lastPlacedAt = ++world.placements;
    for (const { key } of volumesGained(world, task, nodeId)) {
      putVolumeNode(world, key, nodeId, node.node.name);
    }
  };
  switch (action.kind) {
    case "create": {
      const { kind: _, cursor, ...fields } = action;
      const record = world.services.get(action.serviceId);
      if (record && cursor) record.cursor = cursor;
      const id = taskIdAfter(world.lastTaskId, newId());
      const task: Task = { id, desired: "run", createdAt: NO_TIME, ...fields };
      if (!putTask(world, task, undefined, nowMs)) throw new Error("create: no such service");
      return placed(action.nodeId, task);
    }
    case "assign": {
      const record = world.tasks.get(action.taskId);
      if (record?.state !== "pending") throw new Error(`assign: ${action.taskId} does not wait`);
      const { why: _why, nominated: _nominated, ...task } = record.task;
      putTask(world, { ...task, nodeId: action.nodeId }, undefined, nowMs);
      return placed(action.nodeId, task);
    }
    case "explain": {
      const record = world.tasks.get(action.taskId);
      if (record?.state !== "pending") throw new Error(`explain: ${action.taskId} does not wait`);
      const { nominated: _, ...task } = record.task;
      const { kind: _kind, taskId: _id, ...told } = action;
      putTask(world, { ...task, ...told }, undefined, nowMs);
      return;
    }
    case "stop": {
      const pending = world.tasks.get(action.taskId)?.state === "pending";
      const ended = pending ? { ended: "stopped" as const } : {};
      const over = action.over ? { over: true as const } : {};
      return change(action.taskId, { desired: "stop", why: action.why, ...over, ...ended });
    }
    case "lose":
      return change(action.taskId, { desired: "stop", ended: "lost", why: action.why });
    case "disconnect":
      return change(action.taskId, { disconnected: action.disconnected, why: action.why });
    case "purge":
      if (!isTerminal(world.tasks.get(action.taskId)?.state ?? "pending")) {
        throw new Error(`purge: task ${action.taskId} has not ended`);
      }
      if (action.endsRun) endRun(world, action.taskId);
      return dropTask(world, action.taskId);
    case "skip": {
      const record = world.services.get(action.serviceId);
      if (record) record.cursor = action.cursor;
      return;
    }
    case "elapsed": {
      const { slot, revision, elapsedMs, startedAtMs } = action;
      world.services.get(action.serviceId)?.elapsed.set(slot, { revision, elapsedMs, startedAtMs });
      return;
    }
    case "mark":
      return judgeNode(world, action.nodeId, nowMs, (status) => ({
        ...status,
        state: action.state,
        since: NO_TIME,
        why: action.why,
      }));
    case "rank":
      return judgeNode(world, action.nodeId, nowMs, (status) => {
        if (!status) throw new Error(`rank: no status of node ${action.nodeId}`);
        const { [action.serviceId]: _, ...others } = status.failing ?? {};
        const { why } = action;
        return {
          ...status,
          failing: why === undefined ? others : { ...others, [action.serviceId]: why },
        };
      });
    case "rollout":
      return putRollout(world, action.serviceId, { ...action.row, at: NO_TIME }, nowMs);
    case "retire": {
      const service = world.services.get(action.serviceId)?.service;
      if (service) putService(world, { ...service, deleting: true });
      return;
    }
    case "remove":
      return dropService(world, action.serviceId);
  }
}

function endRun(world: World, taskId: string): void {
  const task = world.tasks.get(taskId)?.task;
  const record = task && world.services.get(task.serviceId);
  record?.elapsed.delete(task?.slot ?? 0);
  record?.runs.delete(task?.runId ?? "");
}

function judgeNode(
  world: World,
  nodeId: string,
  nowMs: number,
  change: (status: NodeStatus | undefined) => NodeStatus,
): void {
  const record = world.nodes.get(nodeId);
  if (!record) throw new Error(`no node ${nodeId}`);
  const { node, spec, status } = record;
  putNode(world, { node, spec, status: change(status) }, nowMs);
}

/**
 * Nodes do as they are told: a task that shall run does, healthy, and one that shall stop has. Looks
 * at the tasks with these ids, and leaves out those on nodes that `silent` names.
 */
export function obey(
  world: World,
  taskIds: Iterable<string>,
  nowMs: number,
  silent: ReadonlySet<string> = new Set(),
): void {
  for (const taskId of taskIds) {
    const record = world.tasks.get(taskId);
    if (!record || isTerminal(record.state) || record.task.nodeId === undefined) continue;
    if (silent.has(record.task.nodeId)) continue;
    const state = record.task.desired === "stop" ? "stopped" : "running";
    if (record.state === state) continue;
    putTask(world, record.task, seen(taskId, state), nowMs);
  }
}

function seen(taskId: string, state: "running" | "stopped"): Observed {
  return { taskId, attempt: 1, state, health: "healthy", ports: [] };
}
