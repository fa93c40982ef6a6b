/**
 * Turns planned actions into guarded commits.
 *
 * 1. A batch is one atomic commit: rows, index rows, one log record and the consumed wake-ups, checked
 *    against the leader's epoch.
 * 2. The world changes after the commit and only by what was committed.
 * 3. Ids are minted here; the planner never sees one that it did not get from the world. A task's id is
 *    greater than those of all tasks there are, whatever the clocks of the leaders that mint them: "by id"
 *    is "by age" everywhere.
 *
 * @module
 */
import { key } from "../kv/keys.ts";
import type { Lease } from "../kv/leader.ts";
import { appendLog } from "../kv/log.ts";
import { timestamp } from "../kv/schema/common.ts";
import type { Event } from "../kv/schema/event.ts";
import type { Task } from "../kv/schema/task.ts";
import type { Action } from "./action.ts";
import { markNode, rankNode } from "./apply_nodes.ts";
import { moveCursor, saveElapsed, skipRun } from "./apply_runs.ts";
import { type ServiceAction, steerRollout } from "./apply_services.ts";
import { addTask, changeTask, purgeTask } from "./apply_tasks.ts";
import type { Applied, ApplyDeps, CommitDraft as Draft, Stamp } from "./commit.ts";
import { recordsOf } from "./records.ts";
import { taskIdAfter } from "./task_id.ts";
import { volumesGained } from "./volumes.ts";
import type { World } from "./world.ts";

/** Actions that share commits. */
export type TaskAction = Exclude<Action, ServiceAction>;

export interface Batch {
  actions: readonly TaskAction[];
  /** Wake-ups whose effect is complete with this batch. */
  consumed: readonly string[];
  /** Events that are not effects of actions, such as states that nodes reported. */
  events: readonly Event[];
}

/** Actions a commit: with four mutations each and the wake-ups this stays below KV's limits. */
export const ACTIONS_PER_COMMIT = 200;
const MUTATIONS_PER_ACTION = 4;

/**
 * Commits one batch, with its events as records of the log from `seq` on. `{ok: false}` means that the
 * epoch changed: this process leads no more. Throws when the database fails; whether the batch took effect is then
 * unknown, and the world must be loaded anew.
 */
export async function applyBatch(
  deps: ApplyDeps,
  world: World,
  batch: Batch,
  options: { lease: Lease; seq: number },
): Promise<Applied> {
  const { lease, seq } = options;
  const at = timestamp(deps.clock.wallMs());
  const nowMs = deps.clock.monoMs();
  const draft: Draft = {
    op: deps.kv.atomic().check(lease.guard),
    statuses: new Map(),
    events: [...batch.events],
    effects: [],
    lastTaskId: world.lastTaskId,
  };
  for (const action of batch.actions) addAction(deps, world, draft, action, { at, nowMs });
  for (const messageId of batch.consumed) {
    draft.op.delete(key.queue(messageId)).delete(key.failed(messageId));
  }
  const records = recordsOf(draft.events).map((events) => ({ at, epoch: lease.epoch, events }));
  for (const [i, record] of records.entries()) appendLog(draft.op, seq + i, record);
  const done = await draft.op.commit();
  if (!done.ok) return { ok: false };
  for (const effect of draft.effects) effect();
  return { ok: true, records };
}

function addAction(
  deps: ApplyDeps,
  world: World,
  draft: Draft,
  action: TaskAction,
  stamp: Stamp,
): void {
  const change = (taskId: string, type: Event["type"], edit: (task: Task) => Task) =>
    changeTask(world, draft, stamp, { taskId, type, edit });
  switch (action.kind) {
    case "create": {
      const { kind: _, cursor, ...fields } = action;
      if (cursor) moveCursor(world, draft, action.serviceId, cursor);
      const id = draft.lastTaskId = taskIdAfter(draft.lastTaskId, deps.newId());
      return addTask(world, draft, stamp, { id, ...fields, desired: "run", createdAt: stamp.at });
    }
    case "assign":
      return change(
        action.taskId,
        "task.assigned",
        ({ why: _why, nominated: _nominated, ...task }) => ({
          ...task,
          nodeId: action.nodeId,
        }),
      );
    case "explain":
      return change(action.taskId, "task.waiting", ({ nominated: _, ...task }) => ({
        ...task,
        why: action.why,
        ...(action.nominated === undefined ? {} : { nominated: action.nominated }),
      }));
    case "stop":
      return change(action.taskId, "task.stopping", (task) => ({
        ...task,
        desired: "stop",
        why: action.why,
        ...(action.over ? { over: true as const } : {}),
        ...(task.nodeId === undefined ? { ended: "stopped" as const } : {}),
      }));
    case "lose":
      return change(action.taskId, "task.state", (task) => ({
        ...task,
        desired: "stop",
        ended: "lost",
        why: action.why,
      }));
    case "disconnect":
      return change(
        action.taskId,
        action.disconnected ? "task.disconnected" : "task.reconnected",
        ({ disconnected: _, ...task }) => ({
          ...task,
          ...(action.disconnected ? { disconnected: true } : {}),
          why: action.why,
        }),
      );
    case "purge":
      return purgeTask(world, draft, action);
    case "skip":
      return skipRun(world, draft, action);
    case "elapsed":
      return saveElapsed(world, draft, action);
    case "mark":
      return markNode(world, draft, stamp, action);
    case "rank":
      return rankNode(world, draft, action);
    case "rollout":
      return steerRollout(world, draft, stamp, action);
  }
}

/**
 * How many of the actions make the next commit: as many as keep it below KV's limit of mutations,
 * volumes included, and at least one.
 */
export function batchLength(world: World, actions: readonly TaskAction[]): number {
  let weight = 0;
  for (const [i, action] of actions.entries()) {
    weight += MUTATIONS_PER_ACTION + volumesOf(world, action);
    if (weight > ACTIONS_PER_COMMIT * MUTATIONS_PER_ACTION) return Math.max(1, i);
  }
  return actions.length;
}

function volumesOf(world: World, action: TaskAction): number {
  if (action.kind === "create") {
    return action.nodeId === undefined ? 0 : volumesGained(world, action, action.nodeId).length;
  }
  const task = action.kind === "assign" ? world.tasks.get(action.taskId)?.task : undefined;
  return task && action.kind === "assign" ? volumesGained(world, task, action.nodeId).length : 0;
}
