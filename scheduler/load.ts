/**
 * Reading rows into the planner's world: everything at once on takeover, single objects on a wake-up.
 *
 * @module
 */
import type { z } from "zod";
import { key, prefix } from "../kv/keys.ts";
import { Node, NodeSpec, NodeStatus } from "../kv/schema/node.ts";
import { Rollout, RolloutRequest, TaskRestarts } from "../kv/schema/rollout.ts";
import { Revision, Service } from "../kv/schema/service.ts";
import { Observed, Task } from "../kv/schema/task.ts";
import { readCluster } from "../kv/cluster.ts";
import { Elapsed, Run, RunCursor } from "../kv/schema/run.ts";
import { Volume, VolumeNode } from "../kv/schema/volume.ts";
import {
  getRow,
  getRows,
  type Kv,
  listRows,
  readRow,
  scanBatches,
  versionedOf,
} from "../kv/store.ts";
import { FAILING } from "./failing.ts";
import { putVolume, putVolumeNode } from "./volumes.ts";
import { emptyWorld, type World } from "./world.ts";
import {
  noteFailure,
  putNode,
  putRollout,
  putRolloutRequest,
  putService,
  putTask,
  putTemplate,
} from "./world_changes.ts";

/** Told about rows that do not parse: they are left out, so that one bad row stops nothing else. */
export type BadRow = (key: string, problem: string) => void;

/** Told about observed rows that no task owns. */
export type Orphan = (key: Deno.KvKey) => void;

/**
 * Reads the whole world. Every node counts as seen now: a new leader gives all of them a fresh
 * grace period.
 */
export async function loadWorld(
  kv: Kv,
  nowMs: number,
  onBadRow: BadRow,
  onOrphan: Orphan = () => {},
): Promise<World> {
  const cluster = await readCluster(kv);
  const world = emptyWorld(cluster.strategy, nowMs);
  const statuses = await readAll(kv, prefix.nodeStatuses(), NodeStatus, onBadRow);
  const specs = await readAll(kv, prefix.nodeSpecs(), NodeSpec, onBadRow);
  for (const [id, node] of await readAll(kv, prefix.nodes(), Node, onBadRow)) {
    const status = statuses.get(id);
    const spec = specs.get(id) ?? NodeSpec.parse({});
    putNode(world, { node, spec, ...(status ? { status } : {}) }, nowMs);
  }
  for (const [, service] of await readAll(kv, prefix.services(), Service, onBadRow)) {
    putService(world, service);
  }
  for (const [, revision] of await readAll(kv, prefix.allRevisions(), Revision, onBadRow)) {
    putTemplate(world, revision.serviceId, revision.revision, revision.template);
  }
  await loadRuns(kv, world, nowMs, onBadRow);
  await loadVolumes(kv, world, onBadRow);
  for (const [id, row] of await readAll(kv, prefix.rollouts(), Rollout, onBadRow)) {
    putRollout(world, id, row, nowMs);
  }
  for (
    const [id, row] of await readAll(kv, prefix.rolloutRequests(), RolloutRequest, onBadRow)
  ) {
    putRolloutRequest(world, id, row);
  }
  for (const [id, row] of await readAll(kv, prefix.taskRestarts(), TaskRestarts, onBadRow)) {
    const record = world.services.get(id);
    if (record) record.restarts = row.tasks;
  }
  await loadTasks(kv, world, { nowMs, onBadRow, onOrphan });
  for (const [nodeId, { status }] of world.nodes) renewVerdicts(world, nodeId, status, nowMs);
  return world;
}

/** A verdict of an earlier leader holds for its full time again (failing.ts, invariant 2). */
function renewVerdicts(
  world: World,
  nodeId: string,
  status: NodeStatus | undefined,
  nowMs: number,
): void {
  for (const serviceId of Object.keys(status?.failing ?? {})) {
    const service = world.services.get(serviceId);
    if (!service) continue;
    for (let i = 0; i < FAILING.failures; i++) noteFailure(service, nodeId, nowMs);
  }
}

async function loadVolumes(kv: Kv, world: World, onBadRow: BadRow): Promise<void> {
  const keys = new Map<string, string>();
  for (const [id, volume] of await readAll(kv, prefix.volumes(), Volume, onBadRow)) {
    putVolume(world, volume);
    keys.set(id, `${volume.project}/${volume.name}`);
  }
  for (const [path, row] of await readAll(kv, prefix.allVolumeNodes(), VolumeNode, onBadRow)) {
    const [id = "", nodeId = ""] = path.split("/");
    const volume = keys.get(id);
    if (volume !== undefined) putVolumeNode(world, volume, nodeId, row.node);
  }
}

async function loadRuns(kv: Kv, world: World, nowMs: number, onBadRow: BadRow): Promise<void> {
  for (const [, run] of await readAll(kv, prefix.allRuns(), Run, onBadRow)) {
    world.services.get(run.serviceId)?.runs.set(run.id, run);
  }
  for (const [id, cursor] of await readAll(kv, prefix.runCursors(), RunCursor, onBadRow)) {
    const record = world.services.get(id);
    if (record) record.cursor = cursor;
  }
  for (const [path, row] of await readAll(kv, prefix.elapsed(), Elapsed, onBadRow)) {
    const [id = "", slot] = path.split("/");
    const startedAtMs = nowMs - row.elapsedMs;
    world.services.get(id)?.elapsed.set(Number(slot), { ...row, startedAtMs });
  }
}

/** All rows under a prefix, by the last parts of their keys. */
async function readAll<S extends z.ZodType>(
  kv: Kv,
  under: Deno.KvKey,
  schema: S,
  onBadRow: BadRow,
): Promise<Map<string, z.output<S>>> {
  const rows = new Map<string, z.output<S>>();
  for await (const batch of scanBatches(kv, under)) {
    for (const entry of batch) {
      const row = parseOr(entry, schema, onBadRow);
      if (row !== undefined) rows.set(entry.key.slice(1).join("/"), row);
    }
  }
  return rows;
}

function parseOr<S extends z.ZodType>(
  entry: Deno.KvEntry<unknown>,
  schema: S,
  onBadRow: BadRow,
): z.output<S> | undefined {
  const read = readRow(entry.value, schema);
  if (read.ok) return read.row;
  onBadRow(entry.key.join("/"), read.problem);
  return undefined;
}

interface TaskLoad {
  nowMs: number;
  onBadRow: BadRow;
  onOrphan: Orphan;
}

/**
 * Tasks and what was observed of them, read side by side: both are in the order of the tasks' ids, so that
 * neither is kept until the other is there.
 */
async function loadTasks(kv: Kv, world: World, options: TaskLoad): Promise<void> {
  const { nowMs, onBadRow, onOrphan } = options;
  const seen = createCursor(kv, prefix.observed());
  for await (const tasks of scanBatches(kv, prefix.tasks())) {
    for (const entry of tasks) {
      const id = String(entry.key[1]);
      let observed: Deno.KvEntry<unknown> | undefined;
      while (true) {
        if (seen.dry()) await seen.fill();
        const next = seen.peek();
        if (!next || String(next.key[1]) > id) break;
        seen.skip();
        if (next.key[1] !== id) onOrphan(next.key);
        else {
          observed = next;
          break;
        }
      }
      const task = parseOr(entry, Task, onBadRow);
      if (!task) continue;
      const last = observed && parseOr(observed, Observed, onBadRow);
      shareIds(world, task, last);
      putTask(world, task, last, nowMs);
    }
  }
  for (let next = seen.peek(); next || seen.dry(); next = seen.peek()) {
    if (!next) await seen.fill();
    else {
      seen.skip();
      onOrphan(next.key);
    }
  }
}

/**
 * Each row came with strings of its own: of its ids, those that the world has already will do. What is frozen
 * belongs to somebody else, too.
 */
function shareIds({ services, nodes }: World, task: Task, observed: Observed | undefined): void {
  if (!Object.isFrozen(task)) {
    task.serviceId = services.get(task.serviceId)?.service.id ?? task.serviceId;
    const node = task.nodeId === undefined ? undefined : nodes.get(task.nodeId);
    if (node) task.nodeId = node.node.id;
  }
  if (observed && !Object.isFrozen(observed)) observed.taskId = task.id;
}

/** The entries under a prefix, one at a time and in order: without waiting, but for the next batch. */
function createCursor(kv: Kv, under: Deno.KvKey) {
  const batches = scanBatches(kv, under);
  let batch: Deno.KvEntry<unknown>[] = [];
  let at = 0;
  let done = false;
  return {
    peek: () => batch[at],
    skip: () => void at++,
    /** What was read is used up, and there may be more. */
    dry: () => at === batch.length && !done,
    async fill() {
      const next = await batches.next();
      done = next.done === true;
      batch = next.done ? [] : next.value;
      at = 0;
    },
  };
}

/** Brings one service up to date; false when its row is gone. */
export async function refreshService(kv: Kv, world: World, serviceId: string): Promise<boolean> {
  const found = await getRow(kv, key.service(serviceId), Service);
  if (!found) return false;
  const { row } = found;
  const known = world.services.get(serviceId)?.templates.has(row.revision);
  const revision = known
    ? undefined
    : await getRow(kv, key.revision(serviceId, row.revision), Revision);
  if (!known && !revision) {
    throw new Error(`load service ${serviceId}: revision ${row.revision} is missing`);
  }
  // Of one moment: what users asked of the rollout, and of single tasks.
  const [request, restarts] = await kv.getMany([
    key.rolloutRequest(serviceId),
    key.taskRestarts(serviceId),
  ]);
  const asked = request && versionedOf(request, RolloutRequest)?.row;
  const restarting = restarts && versionedOf(restarts, TaskRestarts)?.row.tasks;
  const named = Object.values(revision?.row.resolved?.volumes ?? {});
  const volumes = await getRows(kv, named.map(({ id }) => key.volume(id)), Volume);
  const runs: Run[] = [];
  if (row.mode.type === "job" || row.mode.type === "cron") {
    for await (const { row: run } of listRows(kv, prefix.runs(serviceId), Run)) runs.push(run);
  }
  // All is read before anything is taken over: with a part of it the service would be planned wrongly.
  const record = putService(world, row, revision?.row.template);
  putRolloutRequest(world, serviceId, asked);
  record.restarts = restarting ?? [];
  // Where known volumes are, the leader knows best.
  for (const volume of volumes) if (volume) putVolume(world, volume.row);
  for (const run of runs) record.runs.set(run.id, run);
  return true;
}

/** Brings one node up to date; false when its row is gone. */
export async function refreshNode(
  kv: Kv,
  world: World,
  nodeId: string,
  nowMs: number,
): Promise<boolean> {
  const [node, spec, status] = await Promise.all([
    getRow(kv, key.node(nodeId), Node),
    getRow(kv, key.nodeSpec(nodeId), NodeSpec),
    getRow(kv, key.nodeStatus(nodeId), NodeStatus),
  ]);
  if (!node) return false;
  putNode(world, {
    node: node.row,
    spec: spec?.row ?? NodeSpec.parse({}),
    ...(status ? { status: status.row } : {}),
  }, nowMs);
  return true;
}

/** Brings what was observed of one task up to date; false when the leader knows no such task. */
export function refreshTask(
  world: World,
  taskId: string,
  observed: Deno.KvEntryMaybe<unknown>,
  nowMs: number,
): boolean {
  const known = world.tasks.get(taskId);
  if (!known) return false;
  putTask(world, known.task, versionedOf(observed, Observed)?.row, nowMs);
  return true;
}
