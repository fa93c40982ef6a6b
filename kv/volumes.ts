/**
 * Named volumes: made by being named in a service, removed by hand. Where they are is the leader's to
 * say (scheduler/volumes.ts); what is in them is on the nodes.
 *
 * @module
 */
import { key, prefix } from "./keys.ts";
import { done, type Outcome, refuse } from "./outcome.ts";
import { decodeCursor, encodeCursor, type Page, type PageQuery } from "./page.ts";
import { Id } from "./schema/common.ts";
import {
  engineVolumeName,
  isShared,
  Volume,
  VolumeNode,
  type VolumeView,
} from "./schema/volume.ts";
import { usersIn } from "./data_users.ts";
import { isId } from "./service_reads.ts";
import { getRow, getRows, type Kv, listRows, type Versioned } from "./store.ts";

export interface VolumeRef {
  ref: string;
  project: string;
}

export async function findVolume(
  kv: Kv,
  { ref, project }: VolumeRef,
): Promise<Outcome<Versioned<Volume>>> {
  const byId = isId(ref) ? await getRow(kv, key.volume(ref), Volume) : undefined;
  if (byId) return done(byId);
  const id = (await getRow(kv, key.volumeName(project, ref), Id))?.row;
  const found = id === undefined ? undefined : await getRow(kv, key.volume(id), Volume);
  if (found) return done(found);
  return refuse("not-found", `there is no volume ${ref} in project ${project}`, {
    hint: "`berth volume ls` lists them; --project names another project.",
  });
}

export async function getVolume(kv: Kv, ref: VolumeRef): Promise<Outcome<VolumeView>> {
  const found = await findVolume(kv, ref);
  if (!found.ok) return found;
  const { row } = found.value;
  return done(await viewOf(kv, row, await usersIn(kv, row.project)));
}

async function viewOf(
  kv: Kv,
  row: Volume,
  users: ReadonlyMap<string, string[]>,
): Promise<VolumeView> {
  const { removing: _, ...view } = row;
  return {
    ...view,
    engineName: engineVolumeName(row),
    shared: isShared(row),
    nodes: await nodesOf(kv, row.id),
    usedBy: users.get(`volume/${row.name}`) ?? [],
  };
}

async function nodesOf(kv: Kv, id: string): Promise<VolumeView["nodes"]> {
  const nodes: VolumeView["nodes"] = [];
  for await (const { key: at, row } of listRows(kv, prefix.volumeNodes(id), VolumeNode)) {
    nodes.push({ ...row, id: String(at[2]) });
  }
  return nodes;
}

/** By project and name. */
export async function listVolumes(
  kv: Kv,
  query: PageQuery & { project?: string },
): Promise<Outcome<Page<VolumeView>>> {
  const cursor = query.cursor === undefined ? done([]) : decodeCursor(query.cursor, 2);
  if (!cursor.ok) return cursor;
  const [project, name] = cursor.value;
  const scope = query.project === undefined
    ? prefix.volumeNames()
    : prefix.volumeNamesOf(query.project);
  const within = query.project === undefined || query.project === project;
  const start = project !== undefined && name !== undefined && within
    ? { start: key.volumeName(project, name) }
    : {};
  const names: { key: Deno.KvKey; row: string }[] = [];
  for await (const entry of listRows(kv, scope, Id, { ...start, limit: query.limit + 1 })) {
    names.push(entry);
  }
  const more = names.length > query.limit ? names.pop() : undefined;
  const users = new Map<string, Map<string, string[]>>();
  const items: VolumeView[] = [];
  for (const row of await getRows(kv, names.map((entry) => key.volume(entry.row)), Volume)) {
    if (!row) continue;
    let known = users.get(row.row.project);
    if (!known) users.set(row.row.project, known = await usersIn(kv, row.row.project));
    items.push(await viewOf(kv, row.row, known));
  }
  const next = more ? { next: encodeCursor([String(more.key[1]), String(more.key[2])]) } : {};
  return done({ items, ...next });
}

type Deps = { kv: Kv; newId: () => string };

/**
 * Begins a removal: from then on no service can name the volume. Refused while one does; what was begun
 * and not finished is begun again.
 */
export async function beginRemoval(deps: Deps, ref: VolumeRef): Promise<Outcome<VolumeView>> {
  const found = await findVolume(deps.kv, ref);
  if (!found.ok) return found;
  const early = await refuseUsed(deps.kv, found.value.row);
  if (early && !found.value.row.removing) return early;
  const marked = await mark(deps, found.value, true);
  if (!marked) return lost(found.value.row);
  const used = await refuseUsed(deps.kv, marked.row);
  if (!used) return done(await viewOf(deps.kv, marked.row, new Map()));
  await mark(deps, marked, false);
  return used;
}

/**
 * What is in the volume is gone, or given up: its rows go. Refused if another request has called the removal
 * off meanwhile, since services may name the volume again.
 */
export async function finishRemoval(deps: Deps, id: string): Promise<Outcome<undefined>> {
  const found = await getRow(deps.kv, key.volume(id), Volume);
  if (!found) return done(undefined);
  if (!found.row.removing) return lost(found.row);
  const { project, name } = found.row;
  const op = deps.kv.atomic().check({ key: key.volume(id), versionstamp: found.versionstamp })
    .delete(key.volume(id)).delete(key.volumeName(project, name))
    .set(key.dataHead(project), deps.newId());
  for await (const entry of deps.kv.list({ prefix: prefix.volumeNodes(id) })) op.delete(entry.key);
  return (await op.commit()).ok ? done(undefined) : lost(found.row);
}

/** The removal is not to be: services may name the volume again. */
export async function cancelRemoval(deps: Deps, id: string): Promise<void> {
  const found = await getRow(deps.kv, key.volume(id), Volume);
  if (found?.row.removing) await mark(deps, found, false);
}

async function mark(
  deps: Deps,
  { row, versionstamp }: Versioned<Volume>,
  removing: boolean,
): Promise<Versioned<Volume> | undefined> {
  const { removing: _, ...rest } = row;
  const next: Volume = removing ? { ...rest, removing } : rest;
  const committed = await deps.kv.atomic().check({ key: key.volume(row.id), versionstamp })
    .set(key.volume(row.id), next).set(key.dataHead(row.project), deps.newId()).commit();
  return committed.ok ? { row: next, versionstamp: committed.versionstamp } : undefined;
}

async function refuseUsed(kv: Kv, { name, project }: Volume) {
  const users = (await usersIn(kv, project)).get(`volume/${name}`) ?? [];
  if (users.length === 0) return undefined;
  const who = users.length === 1 ? `service ${users[0]}` : `services ${users.join(", ")}`;
  return refuse("busy", `volume ${name} is in use by ${who}`, {
    hint:
      `Remove ${users.length === 1 ? "it" : "them"}, or the mount, and wait until no task with ` +
      "it is left.",
  });
}

function lost({ name }: Volume) {
  return refuse("busy", `volume ${name} changed while it was to be removed`, {
    hint: "Repeat the request.",
  });
}
