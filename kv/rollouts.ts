/**
 * What users ask of a rollout. `pause`, `resume` and `promote` are a row that the leader heeds; `undo`
 * points the service at a revision that it had before; `restart` makes a new revision that differs in
 * nothing, so that it is rolled out as any other. Each write is one commit with the wake-up.
 *
 * @module
 */
import { recordUse, writeOnce } from "./idempotency.ts";
import { type Claim, claimPorts } from "./ingress_ports.ts";
import { carryDigest } from "./digests.ts";
import { key } from "./keys.ts";
import { done, type Outcome, refuse, type Written } from "./outcome.ts";
import { enqueue } from "./queue.ts";
import { missingPins } from "./resolve.ts";
import { getRevision, newestRevision } from "./revisions.ts";
import { timestamp } from "./schema/common.ts";
import { goalOf, Rollout, type RolloutCommand, type RolloutRequest } from "./schema/rollout.ts";
import { routeIssues } from "./schema/route.ts";
import type { Revision, Service, ServiceView } from "./schema/service.ts";
import { findService, type ServiceRef, viewOf } from "./service_reads.ts";
import { refuseStale } from "./service_change.ts";
import { replay, type ServiceDeps, type WriteOptions } from "./services.ts";
import { getRow, type Kv } from "./store.ts";

const WANT = { pause: "pause", resume: "run", promote: "promote" } as const;

/** Carries out what a user asks of a service's rollout; answers the service as it is then. */
export async function steerRollout(
  deps: ServiceDeps,
  ref: ServiceRef,
  command: RolloutCommand,
  { ifMatch, once }: WriteOptions = {},
): Promise<Outcome<Written<ServiceView>>> {
  const { kv } = deps;
  return await writeOnce(kv, once, `the rollout of ${ref.ref}`, {
    replay: (use) => replay(kv, use),
    async attempt() {
      const found = await findService(kv, ref);
      if (!found.ok) return found;
      const current = found.value;
      const refused = refuseStale(current, ifMatch) ?? refuseRollout(current.row);
      if (refused) return refused;
      const { id } = current.row;
      const rollout = await getRow(kv, key.rollout(id), Rollout);
      const change = await changeFor(deps, current.row, rollout?.row, command);
      if (!change.ok) return change;
      const op = kv.atomic().check({ key: key.service(id), versionstamp: current.versionstamp });
      recordUse(op, once, { status: 200, objectId: id });
      const { row, claim, request, revision } = change.value;
      if (row) {
        // To which revision, follows from how far the leader is: it may go back at this moment.
        const versionstamp = rollout?.versionstamp ?? null;
        op.check({ key: key.rollout(id), versionstamp }).set(key.service(id), row);
      }
      if (revision) {
        op.set(key.revision(id, revision.to.revision), revision.to);
        await carryDigest(kv, op, revision);
      }
      claim?.addTo(op);
      if (request) op.set(key.rolloutRequest(id), request);
      enqueue(op, { kind: "service", id }, deps.newId);
      const committed = await op.commit();
      if (!committed.ok) return undefined;
      const stored = row ? { row, versionstamp: committed.versionstamp } : current;
      const view = await viewOf(kv, stored);
      return view.ok ? done({ value: view.value }) : view;
    },
  });
}

interface Change {
  row?: Service;
  claim?: Claim;
  request?: RolloutRequest;
  /** A new one that takes over the image of an earlier one. */
  revision?: { from: Revision; to: Revision };
}

async function changeFor(
  deps: ServiceDeps,
  row: Service,
  rollout: Rollout | undefined,
  { action, to }: RolloutCommand,
): Promise<Outcome<Change>> {
  if (action === "undo") return await undo(deps, row, rollout, to);
  if (action === "restart") return await restart(deps, row, rollout);
  const state = rollout?.revision === row.revision ? rollout.state : undefined;
  // Without a row for this revision the leader has not seen it yet: it may be about to begin.
  const over = state === "done" || state === "rolled-back" || (!rollout && row.revision === 1);
  if (over) {
    return refuse("busy", `service ${row.name} has no rollout under way: ${state ?? "done"}`, {
      hint: `Look at it with \`berth rollout status ${row.name}\`.`,
    });
  }
  if (action === "promote" && row.update.strategy === "rolling") {
    return refuse("busy", `service ${row.name} is updated slot by slot: nothing to promote`, {
      hint: "Promote is for the strategies canary and bluegreen; a paused rollout is resumed.",
    });
  }
  const request = { id: deps.newId(), revision: row.revision, want: WANT[action] };
  return done({ request });
}

async function undo(
  deps: ServiceDeps,
  row: Service,
  rollout: Rollout | undefined,
  to: number | undefined,
): Promise<Outcome<Change>> {
  const wanted = to ?? await lastGood(deps.kv, row, rollout);
  const hint = `\`berth rollout history ${row.name}\` lists the revisions.`;
  if (wanted === undefined || wanted < 1) {
    return refuse("busy", `service ${row.name} has no revision before ${row.revision}`, { hint });
  }
  if (wanted === row.revision) {
    return refuse("busy", `service ${row.name} is at revision ${wanted} already`, { hint });
  }
  const revision = await getRevision(deps.kv, row.id, wanted);
  if (!revision) {
    return refuse("not-found", `service ${row.name} has no revision ${wanted}`, { hint });
  }
  return await pointAt(deps, row, revision, hint);
}

/** All tasks anew, as the update policy has it; of a rollout that was taken back, what it went back to. */
async function restart(
  deps: ServiceDeps,
  row: Service,
  rollout: Rollout | undefined,
): Promise<Outcome<Change>> {
  if (row.mode.type === "cron") {
    return refuse("busy", `service ${row.name} runs by its schedule: there is nothing to restart`, {
      hint: `Run it now with \`berth job run ${row.name}\`, or restart a task of it.`,
    });
  }
  if (row.stopped) {
    return refuse("busy", `service ${row.name} is stopped`, {
      hint: `Start it with \`berth start ${row.name}\`.`,
    });
  }
  const goal = goalOf(row, rollout);
  const current = await getRevision(deps.kv, row.id, goal);
  if (!current) {
    return refuse("not-found", `revision ${goal} of service ${row.name} is gone`, {
      hint: "Look at the service again, and repeat the request.",
    });
  }
  const newest = await newestRevision(deps.kv, row);
  const createdAt = timestamp(deps.clock.wallMs());
  const { pull: _, ...same } = current;
  const to: Revision = { ...same, revision: newest + 1, createdAt };
  const change = await pointAt(deps, row, to, "Put them back, or update the service.");
  return change.ok ? done({ ...change.value, revision: { from: current, to } }) : change;
}

/** Makes a revision the wanted one. */
async function pointAt(
  deps: ServiceDeps,
  row: Service,
  { revision, resolved, template }: Revision,
  hint: string,
): Promise<Outcome<Change>> {
  const missing = await missingPins(deps.kv, resolved);
  if (missing.length > 0) {
    const what = missing.join(", ");
    return refuse("busy", `revision ${revision} of ${row.name} needs what is gone: ${what}`, {
      hint,
    });
  }
  const [issue] = routeIssues(row.routes ?? [], { ports: template.ports, serves: true });
  if (issue) {
    const field = ["routes", ...issue.path].join(".");
    return refuse("busy", `revision ${revision} of ${row.name} does not fit its routes`, {
      hint: "Change the routes first.",
      errors: [{ field, message: issue.message }],
    });
  }
  const service = { id: row.id, held: row.ingressPorts };
  const claim = await claimPorts(deps.kv, service, template.ports);
  if (!claim.ok) return claim;
  const updatedAt = timestamp(deps.clock.wallMs());
  const { ports: ingressPorts } = claim.value;
  return done({ row: { ...row, revision, ingressPorts, updatedAt }, claim: claim.value });
}

/**
 * Where an unfinished or failed rollout came from; of a finished one what was in place before it, and not
 * what failed or was taken back meanwhile. Where that is not remembered, the revision before it.
 */
async function lastGood(
  kv: Kv,
  row: Service,
  rollout: Rollout | undefined,
): Promise<number | undefined> {
  if (rollout && rollout.stable !== row.revision) {
    if (rollout.revision !== row.revision) return goalOf({ revision: rollout.revision }, rollout);
    return rollout.stable;
  }
  const previous = rollout?.revision === row.revision ? rollout.previous : undefined;
  if (previous !== undefined && await getRevision(kv, row.id, previous)) return previous;
  for (let revision = row.revision - 1; revision >= 1; revision--) {
    if (await getRevision(kv, row.id, revision)) return revision;
    if (row.revision - revision > SEARCHED) return undefined;
  }
  return undefined;
}

/** Older revisions are swept beyond this many. */
const SEARCHED = 50;

function refuseRollout(row: Service) {
  if (row.mode.type === "job") {
    return refuse("busy", `service ${row.name} is a job: it has no rollouts`, {
      hint: "Change the job with PUT, or create another one.",
    });
  }
  if (!row.deleting) return undefined;
  return refuse("busy", `service ${row.name} is being removed`, {
    hint: "Wait until it is gone and create it anew.",
  });
}
