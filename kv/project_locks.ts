/**
 * Locks of projects. A lock is held by whoever keeps writing it; it is stale when it did not change for
 * its TTL by the clock of somebody who waits, who then names the version that was seen.
 *
 * @module
 */
import { key } from "./keys.ts";
import { done, type Outcome, refuse, tooManyConflicts, WRITE_ATTEMPTS } from "./outcome.ts";
import { timestamp } from "./schema/common.ts";
import { type LockRequest, ProjectLock, type ProjectLockView } from "./schema/project.ts";
import type { Clock } from "./schema/time.ts";
import { getRow, type Kv, type Versioned } from "./store.ts";

/** Takes the lock, renews it when it is the caller's, or takes over one that is stale. */
export async function lockProject(
  { kv, clock }: { kv: Kv; clock: Clock },
  project: string,
  { id, holder, ttlMs, replaces }: LockRequest,
): Promise<Outcome<ProjectLockView>> {
  for (let attempt = 0; attempt < WRITE_ATTEMPTS; attempt++) {
    const held = await getRow(kv, key.projectLock(project), ProjectLock);
    const own = held?.row.id === id;
    if (held && !own && held.versionstamp !== replaces) return refuseHeld(project, held);
    const row: ProjectLock = {
      id,
      holder,
      ttlMs,
      since: own ? held.row.since : timestamp(clock.wallMs()),
      renewals: own ? held.row.renewals + 1 : 0,
    };
    const committed = await kv.atomic()
      .check({ key: key.projectLock(project), versionstamp: held?.versionstamp ?? null })
      .set(key.projectLock(project), row)
      .commit();
    if (committed.ok) return done(viewOf(project, { row, versionstamp: committed.versionstamp }));
  }
  return tooManyConflicts(`the lock of project ${project}`);
}

export async function readLock(kv: Kv, project: string): Promise<Outcome<ProjectLockView>> {
  const held = await getRow(kv, key.projectLock(project), ProjectLock);
  if (held) return done(viewOf(project, held));
  return refuse("not-found", `project ${project} is not locked`, {
    hint: "Nobody is applying files to it: `berth up` takes the lock by itself.",
  });
}

/** Releases the lock if it is the caller's; one that is somebody else's, or nobody's, stays. */
export async function unlockProject(kv: Kv, project: string, id: string): Promise<Outcome<void>> {
  for (let attempt = 0; attempt < WRITE_ATTEMPTS; attempt++) {
    const held = await getRow(kv, key.projectLock(project), ProjectLock);
    if (held?.row.id !== id) return done(undefined);
    const committed = await kv.atomic()
      .check({ key: key.projectLock(project), versionstamp: held.versionstamp })
      .delete(key.projectLock(project))
      .commit();
    if (committed.ok) return done(undefined);
  }
  return tooManyConflicts(`the lock of project ${project}`);
}

function refuseHeld(project: string, { row }: Versioned<ProjectLock>) {
  return refuse("busy", `project ${project} is being changed by ${row.holder} since ${row.since}`, {
    hint: "Wait until they are done, and try again.",
  });
}

function viewOf(project: string, { row, versionstamp }: Versioned<ProjectLock>): ProjectLockView {
  const { id: _, ...told } = row;
  return { ...told, project, version: versionstamp };
}
