/**
 * Secrets and configs, read: without their values, and the values by themselves.
 *
 * @module
 */
import { key, prefix } from "./keys.ts";
import { done, type Outcome, refuse } from "./outcome.ts";
import { decodeCursor, encodeCursor, type Page, type PageQuery } from "./page.ts";
import { encodeBase64 } from "./schema/base64.ts";
import { Id } from "./schema/common.ts";
import {
  Sealed,
  type SealedKind,
  SealedPart,
  type SealedView,
  type ValueView,
} from "./schema/sealed.ts";
import { isId } from "./service_reads.ts";
import { usersIn } from "./data_users.ts";
import { getRow, getRows, type Kv, listRows, type Versioned } from "./store.ts";
import { concat, type Vault } from "./vault.ts";

/** One of a kind, by its id, or by its name within a project. */
export interface SealedRef {
  kind: SealedKind;
  ref: string;
  project: string;
}

export async function findSealed(
  kv: Kv,
  { kind, ref, project }: SealedRef,
): Promise<Outcome<Versioned<Sealed>>> {
  const byId = isId(ref) ? await getRow(kv, key.sealed(kind, ref), Sealed) : undefined;
  if (byId) return done(byId);
  const id = (await getRow(kv, key.sealedName(kind, project, ref), Id))?.row;
  const found = id === undefined ? undefined : await getRow(kv, key.sealed(kind, id), Sealed);
  if (found) return done(found);
  return refuse("not-found", `there is no ${kind} ${ref} in project ${project}`, {
    hint: `\`berth ${kind} ls\` lists them; --project names another project.`,
  });
}

export async function getSealed(kv: Kv, ref: SealedRef): Promise<Outcome<SealedView>> {
  const found = await findSealed(kv, ref);
  return found.ok ? done(await sealedView(kv, found.value.row)) : found;
}

export async function sealedView(kv: Kv, row: Sealed): Promise<SealedView> {
  return viewOf(row, await usersIn(kv, row.project));
}

function viewOf(row: Sealed, users: Awaited<ReturnType<typeof usersIn>>): SealedView {
  const { removing: _, ...view } = row;
  return { ...view, usedBy: users.get(`${row.kind}/${row.name}`) ?? [] };
}

/** By project and name. */
export async function listSealed(
  kv: Kv,
  kind: SealedKind,
  query: PageQuery & { project?: string },
): Promise<Outcome<Page<SealedView>>> {
  const cursor = query.cursor === undefined ? done([]) : decodeCursor(query.cursor, 2);
  if (!cursor.ok) return cursor;
  const [project, name] = cursor.value;
  const scope = query.project === undefined
    ? prefix.sealedNames(kind)
    : prefix.sealedNamesOf(kind, query.project);
  const within = query.project === undefined || query.project === project;
  const start = project !== undefined && name !== undefined && within
    ? { start: key.sealedName(kind, project, name) }
    : {};
  const names: { key: Deno.KvKey; row: string }[] = [];
  for await (const entry of listRows(kv, scope, Id, { ...start, limit: query.limit + 1 })) {
    names.push(entry);
  }
  const more = names.length > query.limit ? names.pop() : undefined;
  const rows = await getRows(kv, names.map((entry) => key.sealed(kind, entry.row)), Sealed);
  const users = new Map<string, Awaited<ReturnType<typeof usersIn>>>();
  const items: SealedView[] = [];
  for (const row of rows) {
    if (!row) continue;
    let known = users.get(row.row.project);
    if (!known) users.set(row.row.project, known = await usersIn(kv, row.row.project));
    items.push(viewOf(row.row, known));
  }
  const next = more ? { next: encodeCursor([String(more.key[2]), String(more.key[3])]) } : {};
  return done({ items, ...next });
}

/** What a part of a value is authenticated with: all that tells it from every other one. */
export function aboutPart(
  { kind, project, name, id }: Pick<Sealed, "kind" | "project" | "name" | "id">,
  version: number,
  part: { part: number; parts: number },
): string {
  return JSON.stringify(["berth", kind, project, name, id, version, part.part, part.parts]);
}

/** The value itself; refused when it cannot be opened here. */
export async function openSealed(
  { kv, vault }: { kv: Kv; vault: Vault },
  row: Sealed,
  version: number,
): Promise<Outcome<Uint8Array<ArrayBuffer>>> {
  const opened: Uint8Array[] = [];
  let parts = 1;
  const scope = prefix.sealedValue(row.kind, row.id, version);
  for await (const { row: box } of listRows(kv, scope, SealedPart)) {
    parts = box.parts;
    const value = await vault.open(box, aboutPart(row, version, { part: opened.length, parts }));
    if (!value) {
      const why = vault.has(box.keyId)
        ? "what is stored is not what was sealed"
        : `it is sealed with key ${box.keyId}, which this server does not have`;
      return refuse("busy", `${row.kind} ${row.name} cannot be opened: ${why}`, {
        hint: vault.has(box.keyId)
          ? `Give it a new value: berth ${row.kind} rotate ${row.name}`
          : "Give the server that key too, after its own: BERTH_VAULT_KEY, or the file of keys.",
      });
    }
    opened.push(value);
  }
  if (opened.length === parts) return done(concat(...opened));
  return refuse("not-found", `version ${version} of ${row.kind} ${row.name} is gone`, {
    hint: `The newest is version ${row.version}.`,
  });
}

/** Of configs only: nobody is shown a secret. */
export async function readConfigValue(
  deps: { kv: Kv; vault: Vault },
  ref: { ref: string; project: string },
  version?: number,
): Promise<Outcome<ValueView>> {
  const found = await findSealed(deps.kv, { kind: "config", ...ref });
  if (!found.ok) return found;
  const { row } = found.value;
  const wanted = version ?? row.version;
  const opened = await openSealed(deps, row, wanted);
  return opened.ok ? done({ version: wanted, data: encodeBase64(opened.value) }) : opened;
}
