/**
 * Which services refer to what: read from their revisions, stored nowhere.
 *
 * @module
 */
import { key, prefix } from "./keys.ts";
import { Id } from "./schema/common.ts";
import { Rollout } from "./schema/rollout.ts";
import { certificateOf } from "./schema/route.ts";
import { Revision, Service, type TaskTemplate } from "./schema/service.ts";
import { isTerminal } from "./schema/task_state.ts";
import { namedVolumes } from "./schema/volume.ts";
import { idsUnder, readTasks } from "./service_view.ts";
import { getRow, getRows, type Kv, listRows } from "./store.ts";

/** What a template refers to, as `secret/name` and the like. */
export function referencesOf(template: TaskTemplate): string[] {
  return [
    ...template.secrets.map(({ source }) => `secret/${source}`),
    ...template.configs.map(({ source }) => `config/${source}`),
    ...namedVolumes(template.mounts).map(({ source }) => `volume/${source}`),
  ];
}

/** The secrets that a service's routes have certificates in. */
export function certificatesOf({ routes = [] }: Pick<Service, "routes">): string[] {
  return routes.flatMap((route) => certificateOf(route) ?? []);
}

/** The services of a project. */
export async function servicesIn(kv: Kv, project: string): Promise<Service[]> {
  const ids: string[] = [];
  for await (const { row } of listRows(kv, prefix.servicesOf(project), Id)) ids.push(row);
  const rows = await getRows(kv, ids.map((id) => key.service(id)), Service);
  return rows.flatMap((row) => row ? [row.row] : []);
}

/** Names of the services that refer to each thing, by `kind/name`: in a revision that may yet run. */
export async function usersIn(kv: Kv, project: string): Promise<Map<string, string[]>> {
  const users = new Map<string, string[]>();
  for (const service of await servicesIn(kv, project)) {
    const revisions = [...await revisionsInUse(kv, service)];
    const rows = await getRows(kv, revisions.map((r) => key.revision(service.id, r)), Revision);
    const references = new Set(rows.flatMap((row) => row ? referencesOf(row.row.template) : []));
    for (const name of certificatesOf(service)) references.add(`secret/${name}`);
    for (const reference of references) {
      users.set(reference, [...users.get(reference) ?? [], service.name]);
    }
  }
  return users;
}

/** The wanted revision, those that its rollout may go back to, and those of tasks that have not ended. */
async function revisionsInUse(kv: Kv, service: Service): Promise<Set<number>> {
  const used = new Set([service.revision]);
  const rollout = await getRow(kv, key.rollout(service.id), Rollout);
  if (rollout) used.add(rollout.row.stable);
  for (
    const { task, state } of await readTasks(kv, await idsUnder(kv, prefix.tasksOf(service.id)))
  ) {
    if (!isTerminal(state)) used.add(task.revision);
  }
  return used;
}
