/**
 * Services, changed: what users ask for. Each write is one commit with the wake-up of the leader.
 *
 * @module
 */
import { type Once, recordUse, writeOnce } from "./idempotency.ts";
import { claimPorts } from "./ingress_ports.ts";
import { carryDigest, refusePull } from "./digests.ts";
import { claimRoutes } from "./ingress_routes.ts";
import { key } from "./keys.ts";
import { done, type Outcome, refuse, type Written } from "./outcome.ts";
import { enqueue } from "./queue.ts";
import { type Resolution, resolveTemplate } from "./resolve.ts";
import { newestRevision } from "./revisions.ts";
import { Id, timestamp } from "./schema/common.ts";
import { type Revision, Service, type ServiceSpec, type ServiceView } from "./schema/service.ts";
import { changeOf, refusePut, refuseStale } from "./service_change.ts";
import { findService, readRevision, type ServiceRef, viewOf } from "./service_reads.ts";
import type { Clock } from "./schema/time.ts";
import { serviceView } from "./service_view.ts";
import { getRow, type Kv, storeFailure, type Versioned } from "./store.ts";
import type { Vault } from "./vault.ts";

export interface ServiceDeps {
  kv: Kv;
  clock: Clock;
  newId: () => string;
  /** Opens the certificates that routes name; a service without such needs none. */
  vault?: Vault;
}

export interface WriteOptions {
  /** Versionstamp that the row must be at; `*` is any. Without it the last write wins. */
  ifMatch?: string;
  once?: Once;
}

export interface PutOptions extends WriteOptions {
  /** Also of an unchanged template a new revision, whose image's tag is looked up anew. */
  pull?: boolean;
}

/** Creates a service and its first revision. */
export async function createService(
  deps: ServiceDeps,
  spec: ServiceSpec,
  { once }: Pick<WriteOptions, "once"> = {},
): Promise<Outcome<Written<ServiceView>>> {
  const { kv } = deps;
  return await writeOnce(kv, once, `service ${spec.name}`, {
    replay: (use) => replay(kv, use),
    async attempt() {
      const nameKey = key.serviceName(spec.project, spec.name);
      const taken = await getRow(kv, nameKey, Id);
      if (taken) return await nameTaken(kv, spec, taken.row);
      const resolution = await resolveTemplate(deps, spec.project, spec.template);
      if (!resolution.ok) return resolution;
      const at = timestamp(deps.clock.wallMs());
      const { template, ...rest } = spec;
      const id = deps.newId();
      const claim = await claimPorts(kv, { id, held: [] }, template.ports);
      if (!claim.ok) return claim;
      const routed = await claimRoutes(deps, { ...rest, id, held: [] }, spec.routes ?? []);
      if (!routed.ok) return routed;
      const { certificates } = routed.value;
      const row: Service = {
        ...rest,
        id,
        revision: 1,
        ingressPorts: claim.value.ports,
        ...(certificates ? { certificates } : {}),
        createdAt: at,
        updatedAt: at,
        deleting: false,
      };
      const revision = withResolved(
        { serviceId: id, revision: 1, createdAt: at, template },
        resolution.value,
      );
      const op = kv.atomic()
        .check({ key: nameKey, versionstamp: null })
        .set(nameKey, id)
        .set(key.service(id), row)
        .set(key.revision(id, 1), revision);
      resolution.value.addTo(routed.value.addTo(claim.value.addTo(op)));
      recordUse(op, once, { status: 201, objectId: id });
      enqueue(op, { kind: "service", id }, deps.newId);
      const committed = await commitSpec(op, spec.name);
      if (!committed.ok) return committed;
      if (committed.value === undefined) return undefined;
      const stored = { row, versionstamp: committed.value };
      return done({ value: await serviceView(kv, stored, revision) });
    },
  });
}

/** Replaces the spec. A changed template becomes a new revision; an unchanged spec writes nothing. */
export async function putService(
  deps: ServiceDeps,
  ref: ServiceRef,
  spec: ServiceSpec,
  { ifMatch, once, pull = false }: PutOptions = {},
): Promise<Outcome<Written<ServiceView>>> {
  const { kv } = deps;
  return await writeOnce(kv, once, `service ${spec.name}`, {
    replay: (use) => replay(kv, use),
    async attempt() {
      const found = await findService(kv, ref);
      if (!found.ok) return found;
      const current = found.value;
      const refused = refusePut(current, spec, ifMatch) ?? (pull ? refusePull(spec) : undefined);
      if (refused) return refused;
      const known = await readRevision(kv, current.row);
      if (!known) return undefined;
      const change = changeOf(current.row, known.template, spec, {
        at: timestamp(deps.clock.wallMs()),
        newest: await newestRevision(kv, current.row),
        pull,
      });
      if (!change && !once) return done({ value: await serviceView(kv, current, known) });
      const id = current.row.id;
      const op = kv.atomic().check({ key: key.service(id), versionstamp: current.versionstamp });
      recordUse(op, once, { status: 200, objectId: id });
      let revision = known;
      if (change?.revision) {
        const resolution = await resolveTemplate(deps, spec.project, spec.template);
        if (!resolution.ok) return resolution;
        revision = withResolved(change.revision, resolution.value);
        resolution.value.addTo(op).set(key.revision(id, revision.revision), revision);
        await carryDigest(kv, op, { from: known, to: revision });
      }
      if (change) {
        const held = current.row.ingressPorts;
        const claim = await claimPorts(kv, { id, held }, spec.template.ports);
        if (!claim.ok) return claim;
        const claimant = { ...spec, id, held: current.row.routes ?? [] };
        const routed = await claimRoutes(deps, claimant, spec.routes ?? []);
        if (!routed.ok) return routed;
        const { certificates } = routed.value;
        const row = { ...change.row, ...(certificates ? { certificates } : {}) };
        row.ingressPorts = claim.value.ports;
        routed.value.addTo(claim.value.addTo(op)).set(key.service(id), row);
        change.row = row;
        enqueue(op, { kind: "service", id }, deps.newId);
      }
      const committed = await commitSpec(op, spec.name);
      if (!committed.ok) return committed;
      if (committed.value === undefined) return undefined;
      const stored = change ? { row: change.row, versionstamp: committed.value } : current;
      return done({ value: await serviceView(kv, stored, revision) });
    },
  });
}

/** Asks for a service to go. The name stays taken until its last container is gone. */
export async function deleteService(
  deps: ServiceDeps,
  ref: ServiceRef,
  { ifMatch, once }: WriteOptions = {},
): Promise<Outcome<Written<ServiceView>>> {
  const { kv } = deps;
  return await writeOnce(kv, once, `service ${ref.ref}`, {
    replay: (use) => replay(kv, use),
    async attempt() {
      const found = await findService(kv, ref);
      if (!found.ok) return found;
      const { row, versionstamp } = found.value;
      const stale = refuseStale(found.value, ifMatch);
      if (stale) return stale;
      if (row.deleting && !once) return await withTemplate(kv, found.value);
      const op = kv.atomic().check({ key: key.service(row.id), versionstamp });
      recordUse(op, once, { status: 200, objectId: row.id });
      const next: Service = row.deleting
        ? row
        : { ...row, deleting: true, updatedAt: timestamp(deps.clock.wallMs()) };
      if (!row.deleting) {
        op.set(key.service(row.id), next);
        enqueue(op, { kind: "service", id: row.id }, deps.newId);
      }
      const committed = await op.commit();
      if (!committed.ok) return undefined;
      const stamp = row.deleting ? versionstamp : committed.versionstamp;
      return await withTemplate(kv, { row: next, versionstamp: stamp });
    },
  });
}

async function withTemplate(
  kv: Kv,
  service: Versioned<Service>,
): Promise<Outcome<Written<ServiceView>>> {
  const view = await viewOf(kv, service);
  return view.ok ? done({ value: view.value }) : view;
}

/** Answers a write of a service that was carried out before. */
export async function replay(
  kv: Kv,
  use: { objectId: string; status: number },
): Promise<Outcome<Written<ServiceView>>> {
  const found = await getRow(kv, key.service(use.objectId), Service);
  if (!found) {
    return refuse("not-found", "this request was carried out before; its service is gone since", {
      hint: "Use a new Idempotency-Key for a new request.",
    });
  }
  const view = await viewOf(kv, found);
  return view.ok ? done({ value: view.value, replay: use.status }) : view;
}

async function nameTaken(kv: Kv, spec: ServiceSpec, id: string) {
  const owner = (await getRow(kv, key.service(id), Service))?.row;
  const name = `${spec.project}/${spec.name}`;
  return refuse(
    "name-taken",
    owner?.deleting
      ? `the name ${name} is taken until the service that is being removed is gone`
      : `there is already a service ${name}`,
    {
      hint: owner?.deleting
        ? "Wait until its last container is gone, or choose another name."
        : "Change that one with PUT, remove it, or choose another name.",
    },
  );
}

function withResolved(revision: Revision, { resolved }: Resolution): Revision {
  return resolved ? { ...revision, resolved } : revision;
}

/** Commits; `undefined` when a check failed. A row over KV's limit is the sender's mistake. */
async function commitSpec(
  op: Deno.AtomicOperation,
  name: string,
): Promise<Outcome<string | undefined>> {
  try {
    const committed = await op.commit();
    return done(committed.ok ? committed.versionstamp : undefined);
  } catch (error) {
    if (storeFailure(error)?.kind !== "too-large") throw error;
    return refuse("too-large", `the spec of service ${name} is over 64 KiB`, {
      hint: "Shorten env, command and labels; mount large files or bake them into the image.",
      errors: [{ field: "template", message: "must fit into 64 KiB with all its labels" }],
    });
  }
}
