/**
 * Rotations: a new version of a secret or config reaches the services that refer to it by a new revision
 * of each, which is rolled out like any other.
 *
 * The row of the rotation is written with the version and deleted when all services have been seen to.
 * Should the server die in between, the next one to look goes on. Several may look at once; what is over
 * changes nothing any more, since users may have gone back to an earlier value by then.
 *
 * @module
 */
import { carryDigest } from "./digests.ts";
import { key, prefix } from "./keys.ts";
import { WRITE_ATTEMPTS } from "./outcome.ts";
import { enqueue } from "./queue.ts";
import { getRevision, newestRevision } from "./revisions.ts";
import { timestamp } from "./schema/common.ts";
import type { Resolved } from "./schema/resolved.ts";
import { Sealed, SealedKind } from "./schema/sealed.ts";
import { Revision, Service } from "./schema/service.ts";
import { certificatesOf, referencesOf, servicesIn } from "./data_users.ts";
import type { ServiceDeps } from "./services.ts";
import { getRow } from "./store.ts";

/** Carries out what earlier servers left undone. */
export async function finishRotations(deps: ServiceDeps): Promise<void> {
  for await (const entry of deps.kv.list({ prefix: prefix.rotations() })) {
    const kind = SealedKind.safeParse(entry.key[1]);
    if (kind.success) await finishRotation(deps, kind.data, String(entry.key[2]));
  }
}

/** Sees to it that every service has the newest version. */
export async function finishRotation(
  deps: ServiceDeps,
  kind: SealedKind,
  id: string,
): Promise<void> {
  const { kv } = deps;
  const rotation = await kv.get(key.rotation(kind, id));
  const row = (await getRow(kv, key.sealed(kind, id), Sealed))?.row;
  if (rotation.versionstamp === null) return;
  if (row) {
    for (const service of await servicesIn(kv, row.project)) {
      if (!await renew(deps, service.id, { changed: row, rotation })) return;
    }
  }
  await kv.atomic().check(rotation).delete(rotation.key).commit();
}

/** A certificate is no part of a revision: the proxies have the new one at once. */
function renewCertificate(service: Service, { kind, name, id, version }: Sealed): boolean {
  if (kind !== "secret" || !certificatesOf(service).includes(name)) return false;
  const pin = service.certificates?.[name];
  if (pin?.id === id && pin.version >= version) return false;
  service.certificates = { ...service.certificates, [name]: { id, version } };
  return true;
}

/**
 * Puts into `op` and `next` the revision that is needed, if one is. All else in it stands for what it did:
 * of that, something may just be marked for a removal that will be refused.
 */
async function revise(
  deps: ServiceDeps,
  next: Service,
  { current, changed, op }: { current: Revision; changed: Sealed; op: Deno.AtomicOperation },
): Promise<boolean> {
  const { template } = current;
  const { kind, name, id, version } = changed;
  if (!referencesOf(template).includes(`${kind}/${name}`)) return false;
  const resolved: Resolved = { secrets: {}, configs: {}, volumes: {}, ...current.resolved };
  const pin = resolved[`${kind}s`][name];
  if (pin?.id === id && pin.version >= version) return false;
  resolved[`${kind}s`] = { ...resolved[`${kind}s`], [name]: { id, version } };
  next.revision = await newestRevision(deps.kv, next) + 1;
  const { id: serviceId, revision, updatedAt: createdAt } = next;
  const renewed: Revision = { serviceId, revision, createdAt, template, resolved };
  op.set(key.revision(serviceId, revision), renewed);
  await carryDigest(deps.kv, op, { from: current, to: renewed });
  return true;
}

/**
 * A new revision of the same template, if what it names stands for something else now. A job is left
 * alone: its tasks are one piece of work, begun with what there was. Answers whether the rotation is
 * still what it was: if not, it was finished elsewhere, or there is a newer one.
 */
async function renew(
  deps: ServiceDeps,
  serviceId: string,
  { changed, rotation }: { changed: Sealed; rotation: Deno.KvEntryMaybe<unknown> },
): Promise<boolean> {
  const { kv } = deps;
  for (let attempt = 0; attempt < WRITE_ATTEMPTS; attempt++) {
    const found = await getRow(kv, key.service(serviceId), Service);
    if (!found || found.row.deleting || found.row.mode.type === "job") return true;
    const { row, versionstamp } = found;
    const current = await getRevision(kv, serviceId, row.revision);
    if (!current) continue;
    const at = timestamp(deps.clock.wallMs());
    const next: Service = { ...row, updatedAt: at };
    const certified = renewCertificate(next, changed);
    const op = kv.atomic().check(rotation, { key: key.service(serviceId), versionstamp });
    const revised = await revise(deps, next, { current, changed, op });
    if (!certified && !revised) return true;
    op.set(key.service(serviceId), next);
    if ((await enqueue(op, { kind: "service", id: serviceId }, deps.newId).commit()).ok) {
      return true;
    }
    if ((await kv.get(rotation.key)).versionstamp !== rotation.versionstamp) return false;
  }
  throw new Error(`service ${serviceId} kept changing while it was to get a new version`);
}
