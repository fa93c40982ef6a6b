/**
 * Services, read: by id or name, and listed by name.
 *
 * @module
 */
import { key, prefix } from "./keys.ts";
import { done, type Outcome, refuse } from "./outcome.ts";
import { decodeCursor, encodeCursor, type Page, type PageQuery } from "./page.ts";
import { Id } from "./schema/common.ts";
import { Revision, Service, type ServiceView } from "./schema/service.ts";
import type { LiveTasks } from "./schema/tasks_known.ts";
import { serviceView } from "./service_view.ts";
import { getRow, getRows, type Kv, listRows, type Versioned } from "./store.ts";

/** A service is named by its id, or by its name within a project. */
export interface ServiceRef {
  ref: string;
  project: string;
}

export function isId(ref: string): boolean {
  return Id.safeParse(ref).success;
}

/** The row of a service. An id wins over a name of the same form. */
export async function findService(
  kv: Kv,
  { ref, project }: ServiceRef,
): Promise<Outcome<Versioned<Service>>> {
  const byId = isId(ref) ? await getRow(kv, key.service(ref), Service) : undefined;
  if (byId) return done(byId);
  const id = (await getRow(kv, key.serviceName(project, ref), Id))?.row;
  const found = id === undefined ? undefined : await getRow(kv, key.service(id), Service);
  if (found) return done(found);
  return refuse("not-found", `there is no service ${ref} in project ${project}`, {
    hint: "`berth ps` lists the services; --project names another project.",
  });
}

/** A service by its id, for people. */
export async function nameOf(kv: Kv, serviceId: string): Promise<string> {
  const service = (await getRow(kv, key.service(serviceId), Service))?.row;
  return service ? spokenName(service) : `service ${serviceId}`;
}

export function spokenName(
  { project, name, deleting }: Pick<Service, "project" | "name" | "deleting">,
): string {
  return `service ${project}/${name}${deleting ? ", which is being removed" : ""}`;
}

export async function getService(
  kv: Kv,
  ref: ServiceRef,
  live?: LiveTasks,
): Promise<Outcome<ServiceView>> {
  const found = await findService(kv, ref);
  return found.ok ? await viewOf(kv, found.value, live) : found;
}

/** Services by project and name. */
export async function listServices(
  kv: Kv,
  query: PageQuery & { project?: string },
  live?: LiveTasks,
): Promise<Outcome<Page<ServiceView>>> {
  const cursor = query.cursor === undefined ? done([]) : decodeCursor(query.cursor, 2);
  if (!cursor.ok) return cursor;
  const [project, name] = cursor.value;
  const scope = query.project === undefined
    ? prefix.serviceNames()
    : prefix.servicesOf(query.project);
  const within = query.project === undefined || query.project === project;
  const start = project !== undefined && name !== undefined && within
    ? { start: key.serviceName(project, name) }
    : {};
  const names: { key: Deno.KvKey; row: string }[] = [];
  for await (const entry of listRows(kv, scope, Id, { ...start, limit: query.limit + 1 })) {
    names.push(entry);
  }
  const more = names.length > query.limit ? names.pop() : undefined;
  const rows = await getRows(kv, names.map((entry) => key.service(entry.row)), Service);
  const items: ServiceView[] = [];
  for (const row of rows) {
    const view = row ? await viewOf(kv, row, live) : undefined;
    if (view?.ok) items.push(view.value);
  }
  const next = more ? { next: encodeCursor([String(more.key[1]), String(more.key[2])]) } : {};
  return done({ items, ...next });
}

/** The revision that a service wants now. */
export async function readRevision(kv: Kv, row: Service): Promise<Revision | undefined> {
  return (await getRow(kv, key.revision(row.id, row.revision), Revision))?.row;
}

/** The view of a row. Its revision is missing only if the service went in between. */
export async function viewOf(
  kv: Kv,
  service: Versioned<Service>,
  live?: LiveTasks,
): Promise<Outcome<ServiceView>> {
  const revision = await readRevision(kv, service.row);
  if (revision) return done(await serviceView(kv, service, revision, live));
  return refuse("not-found", `service ${service.row.name} was removed`);
}
