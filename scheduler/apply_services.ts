/**
 * Commits to a service's own row, and the part of others that is about services.
 *
 * @module
 */
import { key, prefix } from "../kv/keys.ts";
import type { Lease } from "../kv/leader.ts";
import { appendLog } from "../kv/log.ts";
import { newestRevision } from "../kv/revisions.ts";
import { timestamp } from "../kv/schema/common.ts";
import type { LogRecord } from "../kv/schema/event.ts";
import type { Rollout } from "../kv/schema/rollout.ts";
import { routePlace } from "../kv/schema/route.ts";
import type { Service } from "../kv/schema/service.ts";
import { idsUnder } from "../kv/service_view.ts";
import type { Kv } from "../kv/store.ts";
import type { Action } from "./action.ts";
import type { Applied, ApplyDeps, CommitDraft as Draft, Stamp } from "./commit.ts";
import type { ServiceRecord, World } from "./world.ts";
import { dropService, putRollout, putService } from "./world_changes.ts";

/** Actions that have a commit of their own. */
export type ServiceAction = Extract<Action, { kind: "retire" | "remove" }>;

export function isServiceAction(action: Action): action is ServiceAction {
  return action.kind === "retire" || action.kind === "remove";
}

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
  else deleteService(op, known, await storedOf(deps.kv, service));
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

interface Stored {
  newest: number;
  runs: string[];
}

/**
 * What the database has of a service. The leader may not know all of it: a change that was undone at once never
 * reached it, and a row that it could not read is not in its world.
 */
async function storedOf(kv: Kv, service: Service): Promise<Stored> {
  return {
    newest: await newestRevision(kv, service),
    runs: await idsUnder(kv, prefix.runs(service.id)),
  };
}

function deleteService(
  op: Deno.AtomicOperation,
  { service, elapsed }: ServiceRecord,
  { newest, runs }: Stored,
): void {
  op.delete(key.service(service.id)).delete(key.serviceName(service.project, service.name))
    .delete(key.rollout(service.id)).delete(key.rolloutRequest(service.id))
    .delete(key.taskRestarts(service.id))
    .delete(key.runCursor(service.id));
  for (const { protocol, published } of service.ingressPorts) {
    op.delete(key.port(protocol, published));
  }
  for (const route of service.routes ?? []) op.delete(key.route(routePlace(route)));
  for (const runId of runs) op.delete(key.run(service.id, runId));
  for (const slot of elapsed.keys()) op.delete(key.elapsed(service.id, slot));
  const oldest = Math.max(1, newest - REVISIONS_PER_REMOVE);
  for (let revision = oldest; revision <= newest; revision++) {
    op.delete(key.revision(service.id, revision)).delete(key.digest(service.id, revision));
  }
}

export function steerRollout(
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
