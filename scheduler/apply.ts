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
import type { Event, LogRecord } from "../kv/schema/event.ts";
import type { Rollout } from "../kv/schema/rollout.ts";
import { routePlace } from "../kv/schema/route.ts";
import type { Service } from "../kv/schema/service.ts";
import type { Task } from "../kv/schema/task.ts";
import type { Clock } from "../kv/schema/time.ts";
import type { Kv } from "../kv/store.ts";
import type { Action } from "./action.ts";
import { type CommitDraft as Draft, markNode, rankNode, type Stamp } from "./apply_nodes.ts";
import { recordsOf } from "./records.ts";
import { taskIdAfter } from "./task_id.ts";
import { putVolumeNode, volumesGained } from "./volumes.ts";
import { forgetRun, moveCursor, saveElapsed, skipRun } from "./apply_runs.ts";
import {
  dropService,
  dropTask,
  putRollout,
  putService,
  putTask,
  type ServiceRecord,
  type World,
} from "./world.ts";

export interface ApplyDeps {
  kv: Kv;
  clock: Clock;
  newId: () => string;
}

/** Actions that have a commit of their own. */
export type ServiceAction = Extract<Action, { kind: "retire" | "remove" }>;
export type TaskAction = Exclude<Action, ServiceAction>;

export function isServiceAction(action: Action): action is ServiceAction {
  return action.kind === "retire" || action.kind === "remove";
}

export interface Batch {
  actions: readonly TaskAction[];
  /** Wake-ups whose effect is complete with this batch. */
  consumed: readonly string[];
  /** Events that are not effects of actions, such as states that nodes reported. */
  events: readonly Event[];
}

/** With the records of the log that the commit has written, in order. */
export type Applied = { ok: true; records: readonly LogRecord[] } | { ok: false };

/** Actions a commit: with four mutations each and the wake-ups this stays below KV's limits. */
export const ACTIONS_PER_COMMIT = 200;
const MUTATIONS_PER_ACTION = 4;

/** Revision rows deleted with their service; older ones are left to the sweep. */
const REVISIONS_PER_REMOVE = 200;

/**
 * Writes to a service's own row, in a commit of its own: `retire` marks a finished job for removal,
 * `remove` deletes the rows of a service that has no task left. The row is its user's; the leader
 * touches it because only it knows that the job is done or that no container is left. The commit checks
 * that the user has not written it since, so nothing that was acknowledged is undone; if they have,
 * nothing happens, and their wake-up has it planned again.
 */
export async function applyToService(
  deps: ApplyDeps,
  world: World,
  action: ServiceAction,
  options: { lease: Lease; seq: number },
): Promise<Applied> {
  const known = world.services.get(action.serviceId);
  if (!known) return { ok: true, records: [] };
  const { service } = known;
  const entry = await deps.kv.get<Service>(key.service(service.id));
  if (entry.value?.updatedAt !== service.updatedAt) return { ok: true, records: [] };
  const at = timestamp(deps.clock.wallMs());
  const retired: Service = { ...service, deleting: true, updatedAt: at };
  const op = deps.kv.atomic().check(options.lease.guard).check(entry);
  if (action.kind === "retire") op.set(key.service(service.id), retired);
  else deleteService(op, known);
  const removed = action.kind === "remove";
  const logged: LogRecord = {
    at,
    epoch: options.lease.epoch,
    events: [{
      type: removed ? "service.removed" : "service.finished",
      serviceId: service.id,
      service: `${service.project}/${service.name}`,
      ...(action.kind === "retire" ? { why: action.why } : {}),
    }],
  };
  appendLog(op, options.seq, logged);
  if ((await op.commit()).ok) {
    if (removed) dropService(world, service.id);
    else putService(world, retired);
    return { ok: true, records: [logged] };
  }
  const epoch = await deps.kv.get(options.lease.guard.key);
  return epoch.versionstamp === options.lease.guard.versionstamp
    ? { ok: true, records: [] }
    : { ok: false };
}

function deleteService(
  op: Deno.AtomicOperation,
  { service, templates, runs, elapsed }: ServiceRecord,
): void {
  op.delete(key.service(service.id)).delete(key.serviceName(service.project, service.name))
    .delete(key.rollout(service.id)).delete(key.rolloutRequest(service.id))
    .delete(key.taskRestarts(service.id))
    .delete(key.runCursor(service.id));
  for (const { protocol, published } of service.ingressPorts) {
    op.delete(key.port(protocol, published));
  }
  for (const route of service.routes ?? []) op.delete(key.route(routePlace(route)));
  for (const runId of runs.keys()) op.delete(key.run(service.id, runId));
  for (const slot of elapsed.keys()) op.delete(key.elapsed(service.id, slot));
  const newest = Math.max(service.revision, ...templates.keys());
  const oldest = Math.max(1, newest - REVISIONS_PER_REMOVE);
  for (let revision = oldest; revision <= newest; revision++) {
    op.delete(key.revision(service.id, revision)).delete(key.digest(service.id, revision));
  }
}

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
  switch (action.kind) {
    case "create": {
      const { kind: _, cursor, ...fields } = action;
      if (cursor) moveCursor(world, draft, action.serviceId, cursor);
      const id = draft.lastTaskId = taskIdAfter(draft.lastTaskId, deps.newId());
      return addTask(world, draft, stamp, { id, ...fields, desired: "run", createdAt: stamp.at });
    }
    case "assign":
      return changeTask(
        world,
        draft,
        stamp,
        action.taskId,
        "task.assigned",
        ({ why: _why, nominated: _nominated, ...task }) => ({
          ...task,
          nodeId: action.nodeId,
        }),
      );
    case "explain":
      return changeTask(
        world,
        draft,
        stamp,
        action.taskId,
        "task.waiting",
        ({ nominated: _, ...task }) => ({
          ...task,
          why: action.why,
          ...(action.nominated === undefined ? {} : { nominated: action.nominated }),
        }),
      );
    case "stop":
      return changeTask(world, draft, stamp, action.taskId, "task.stopping", (task) => ({
        ...task,
        desired: "stop",
        why: action.why,
        ...(action.over ? { over: true as const } : {}),
        ...(task.nodeId === undefined ? { ended: "stopped" as const } : {}),
      }));
    case "lose":
      return changeTask(world, draft, stamp, action.taskId, "task.state", (task) => ({
        ...task,
        desired: "stop",
        ended: "lost",
        why: action.why,
      }));
    case "disconnect":
      return changeTask(
        world,
        draft,
        stamp,
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

function addTask(world: World, draft: Draft, stamp: Stamp, task: Task): void {
  draft.op.set(key.task(task.id), task).set(key.taskOf(task.serviceId, task.id), 1);
  if (task.nodeId !== undefined) draft.op.set(key.assign(task.nodeId, task.id), 1);
  gainVolumes(world, draft, stamp, task);
  draft.events.push(taskEvent(world, task, task.nodeId ? "task.assigned" : "task.created"));
  draft.effects.push(() => {
    putTask(world, task, undefined, stamp.nowMs);
    notePlacement(world, task);
  });
}

function changeTask(
  world: World,
  draft: Draft,
  stamp: Stamp,
  taskId: string,
  type: Event["type"],
  change: (task: Task) => Task,
): void {
  const record = world.tasks.get(taskId);
  if (!record) return;
  const task = change(record.task);
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

function notePlacement(world: World, task: Task): void {
  const node = task.nodeId === undefined ? undefined : world.nodes.get(task.nodeId);
  if (node) node.lastPlacedAt = ++world.placements;
}

function purgeTask(
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

function steerRollout(
  world: World,
  draft: Draft,
  stamp: Stamp,
  { serviceId, row, event }: Extract<Action, { kind: "rollout" }>,
): void {
  const service = world.services.get(serviceId)?.service;
  if (!service) return;
  const rollout: Rollout = { ...row, at: stamp.at };
  draft.op.set(key.rollout(serviceId), rollout);
  draft.events.push({
    type: event,
    serviceId,
    service: `${service.project}/${service.name}`,
    ...(row.why === undefined ? {} : { why: row.why }),
  });
  draft.effects.push(() => putRollout(world, serviceId, rollout, stamp.nowMs));
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
