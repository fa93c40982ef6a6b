/**
 * Secrets and configs, changed. Values never change: a new one is a new version, and which version a
 * service gets is part of its revision.
 *
 * 1. Every write touches the project's data head, and a service's revision is committed only if the head
 *    is where its names were looked up (resolve.ts): no service is made with what is being replaced.
 * 2. A new version is on record as a rotation until every service has it (rotation.ts).
 *    Nor does a certificate get a value that it cannot have (ingress_routes.ts).
 * 3. Removal marks first and looks for users then: from the mark on there can be no new ones.
 *
 * @module
 */
import { type Once, recordUse, writeOnce } from "./idempotency.ts";
import { key, prefix } from "./keys.ts";
import {
  done,
  type Outcome,
  refuse,
  tooManyConflicts,
  WRITE_ATTEMPTS,
  type Written,
} from "./outcome.ts";
import { finishRotation } from "./rotation.ts";
import { sameValue } from "./same.ts";
import { decodeBase64 } from "./schema/base64.ts";
import { Id, timestamp } from "./schema/common.ts";
import {
  MAX_VALUE_BYTES,
  Sealed,
  type SealedRequest,
  type SealedView,
  type ValueRequest,
} from "./schema/sealed.ts";
import type { SealedKind } from "./schema/sealed.ts";
import { aboutPart, findSealed, openSealed, type SealedRef, sealedView } from "./sealed_reads.ts";
import { certificateTrouble } from "./certificates.ts";
import { certificatesOf, servicesIn, usersIn } from "./data_users.ts";
import type { ServiceDeps } from "./services.ts";
import { getRow, type Kv, type Versioned } from "./store.ts";
import type { Vault } from "./vault.ts";

export interface SealedDeps extends ServiceDeps {
  vault: Vault;
}

/** Below KV's limit of a value, with what is stored beside it. */
const PART_BYTES = 60_000;

export async function createSealed(
  deps: SealedDeps,
  kind: SealedKind,
  request: SealedRequest,
  { once }: { once?: Once } = {},
): Promise<Outcome<Written<SealedView>>> {
  const { kv } = deps;
  const { name, project, labels } = request;
  const value = valueOf(request.data);
  if (!value.ok) return value;
  return await writeOnce(kv, once, `${kind} ${name}`, {
    replay: (use) => replay(kv, kind, use),
    async attempt() {
      const nameKey = key.sealedName(kind, project, name);
      const taken = await getRow(kv, nameKey, Id);
      if (taken) {
        return refuse("name-taken", `there is already a ${kind} ${name} in project ${project}`, {
          hint: `Give it a new value (berth ${kind} rotate ${name}), or remove it first.`,
        });
      }
      const at = timestamp(deps.clock.wallMs());
      const id = deps.newId();
      const row: Sealed = {
        ...{ id, kind, project, name, labels, version: 1, createdAt: at, updatedAt: at },
      };
      const op = kv.atomic().check({ key: nameKey, versionstamp: null })
        .set(nameKey, id).set(key.sealed(kind, id), row);
      await sealInto(op, deps, row, value.value);
      recordUse(touch(op, deps, project), once, { status: 201, objectId: id });
      return (await op.commit()).ok ? done({ value: await sealedView(kv, row) }) : undefined;
    },
  });
}

/** Gives a new value, and all services that refer to it a revision with that. The same value: nothing. */
export async function rotateSealed(
  deps: SealedDeps,
  ref: SealedRef,
  request: ValueRequest,
  { once }: { once?: Once } = {},
): Promise<Outcome<Written<SealedView>>> {
  const { kv } = deps;
  const value = valueOf(request.data);
  if (!value.ok) return value;
  const written = await writeOnce(kv, once, `${ref.kind} ${ref.ref}`, {
    replay: (use) => replay(kv, ref.kind, use),
    async attempt() {
      const found = await findSealed(kv, ref);
      if (!found.ok) return found;
      const { row, versionstamp } = found.value;
      if (row.removing) return beingRemoved(row);
      const head = await kv.get(key.dataHead(row.project));
      const unfit = await refuseCertificate(kv, row, value.value);
      if (unfit) return unfit;
      const same = await isSame(deps, row, value.value);
      const labels = request.labels ?? row.labels;
      const op = kv.atomic().check({ key: key.sealed(row.kind, row.id), versionstamp });
      recordUse(op, once, { status: 200, objectId: row.id });
      if (same && sameValue(labels, row.labels)) {
        if (once && !(await op.commit()).ok) return undefined;
        return done({ value: await sealedView(kv, row) });
      }
      const version = same ? row.version : row.version + 1;
      const at = timestamp(deps.clock.wallMs());
      const next: Sealed = { ...row, labels, version, updatedAt: at };
      op.set(key.sealed(row.kind, row.id), next);
      if (!same) {
        await sealInto(op, deps, next, value.value);
        touch(op.check(head), deps, row.project).set(key.rotation(row.kind, row.id), version); // invariant 2
      }
      return (await op.commit()).ok ? done({ value: await sealedView(kv, next) }) : undefined;
    },
  });
  if (written.ok) await finishRotation(deps, ref.kind, written.value.value.id);
  return written;
}

/** Removes all versions; refuses while a service refers to it. */
export async function removeSealed(
  deps: ServiceDeps,
  ref: SealedRef,
): Promise<Outcome<undefined>> {
  const { kv } = deps;
  for (let attempt = 0; attempt < WRITE_ATTEMPTS; attempt++) {
    const found = await findSealed(kv, ref);
    if (!found.ok) return found;
    const { row } = found.value;
    const early = await refuseUsed(kv, row);
    if (early && !row.removing) return early;
    const marked = row.removing ? found.value : await mark(deps, found.value, true);
    if (!marked) continue;
    const used = await refuseUsed(kv, row); // invariant 3
    if (used) {
      await mark(deps, marked, false);
      return used;
    }
    if (await erase(deps, marked)) return done(undefined);
  }
  return tooManyConflicts(`${ref.kind} ${ref.ref}`);
}

async function mark(
  deps: ServiceDeps,
  { row, versionstamp }: Versioned<Sealed>,
  removing: boolean,
): Promise<Versioned<Sealed> | undefined> {
  const { removing: _, ...rest } = row;
  const next: Sealed = removing ? { ...rest, removing } : rest;
  const op = deps.kv.atomic().check({ key: key.sealed(row.kind, row.id), versionstamp })
    .set(key.sealed(row.kind, row.id), next);
  const committed = await touch(op, deps, row.project).commit();
  return committed.ok ? { row: next, versionstamp: committed.versionstamp } : undefined;
}

async function erase(
  deps: ServiceDeps,
  { row, versionstamp }: Versioned<Sealed>,
): Promise<boolean> {
  const { kind, id, project, name } = row;
  const op = deps.kv.atomic().check({ key: key.sealed(kind, id), versionstamp })
    .delete(key.sealed(kind, id)).delete(key.sealedName(kind, project, name))
    .delete(key.rotation(kind, id));
  for await (const entry of deps.kv.list({ prefix: prefix.sealedValuesOf(kind, id) })) {
    op.delete(entry.key);
  }
  return (await touch(op, deps, project).commit()).ok;
}

async function refuseUsed(kv: Kv, { kind, name, project }: Sealed) {
  const users = (await usersIn(kv, project)).get(`${kind}/${name}`) ?? [];
  if (users.length === 0) return undefined;
  const who = users.length === 1 ? `service ${users[0]}` : `services ${users.join(", ")}`;
  return refuse("busy", `${kind} ${name} is in use by ${who}`, {
    hint:
      `Remove ${users.length === 1 ? "it" : "them"}, or the reference, and wait until no task ` +
      "with it is left.",
  });
}

/** A value that the routes which have their certificate in this secret could not be served with. */
async function refuseCertificate(kv: Kv, { kind, name, project }: Sealed, value: Uint8Array) {
  const trouble = kind === "secret" ? await certificateTrouble(value) : undefined;
  if (trouble === undefined) return undefined;
  const user = (await servicesIn(kv, project)).find((one) => certificatesOf(one).includes(name));
  if (!user) return undefined;
  const message = `the new value ${trouble}, and the routes of service ${user.name} need it`;
  return refuse("invalid", `secret ${name} keeps its value: ${message}`, {
    hint: "It must have the certificate chain and its private key, both as PEM.",
    errors: [{ field: "data", message }],
  });
}

function beingRemoved({ kind, name }: Sealed) {
  return refuse("busy", `${kind} ${name} is being removed`, {
    hint: `Remove it again, should that have been interrupted: berth ${kind} rm ${name}`,
  });
}

async function replay(
  kv: Kv,
  kind: SealedKind,
  use: { objectId: string; status: number },
): Promise<Outcome<Written<SealedView>>> {
  const row = await getRow(kv, key.sealed(kind, use.objectId), Sealed);
  if (row) return done({ value: await sealedView(kv, row.row), replay: use.status });
  return refuse("not-found", `this request was carried out before; its ${kind} is gone since`, {
    hint: "Use a new Idempotency-Key for a new request.",
  });
}

function valueOf(data: string): Outcome<Uint8Array<ArrayBuffer>> {
  const value = decodeBase64(data);
  if (value && value.length <= MAX_VALUE_BYTES) return done(value);
  const message = value ? `must be at most ${MAX_VALUE_BYTES} bytes` : "must be base64";
  return refuse("invalid", `the value ${message}`, { errors: [{ field: "data", message }] });
}

async function isSame(deps: SealedDeps, row: Sealed, value: Uint8Array): Promise<boolean> {
  const current = await openSealed(deps, row, row.version);
  return current.ok && current.value.length === value.length &&
    current.value.every((byte, i) => byte === value[i]);
}

async function sealInto(
  op: Deno.AtomicOperation,
  { vault }: SealedDeps,
  row: Sealed,
  value: Uint8Array<ArrayBuffer>,
): Promise<void> {
  const parts = Math.max(1, Math.ceil(value.length / PART_BYTES));
  for (let part = 0; part < parts; part++) {
    const piece = value.subarray(part * PART_BYTES, (part + 1) * PART_BYTES);
    const box = await vault.seal(piece, aboutPart(row, row.version, { part, parts }));
    op.set(key.sealedValue(row.kind, row.id, row.version, part), { ...box, parts });
  }
}

/** Invariant 1. */
function touch(op: Deno.AtomicOperation, deps: ServiceDeps, project: string) {
  return op.set(key.dataHead(project), deps.newId());
}
