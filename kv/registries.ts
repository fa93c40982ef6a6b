/**
 * Credentials for registries, and who gets them: the node that is to run a task, for the pull of its image.
 *
 * @module
 */
import { key, prefix } from "./keys.ts";
import { done, type Outcome, refuse } from "./outcome.ts";
import { timestamp } from "./schema/common.ts";
import {
  type LoginRequest,
  namesFor,
  parseImage,
  type PullLogin,
  Registry,
  type RegistryView,
} from "./schema/registry.ts";
import { Revision } from "./schema/service.ts";
import { isTerminal } from "./schema/task_state.ts";
import type { Clock } from "./schema/time.ts";
import { getRow, getRows, type Kv, listRows, type Versioned } from "./store.ts";
import { readTask } from "./tasks.ts";
import type { Vault } from "./vault.ts";

interface Deps {
  kv: Kv;
  vault: Vault;
}

/** What a password is authenticated with. */
export function aboutRegistry({ registry, username }: Pick<Registry, "registry" | "username">) {
  return JSON.stringify(["berth", "registry", registry, username]);
}

/** Stores credentials, or replaces those of the same registry. */
export async function putLogin(
  { kv, vault, clock }: Deps & { clock: Clock },
  registry: string,
  { username, password }: LoginRequest,
): Promise<RegistryView> {
  const about = aboutRegistry({ registry, username });
  const box = await vault.seal(new TextEncoder().encode(password), about);
  const row: Registry = { registry, username, ...box, updatedAt: timestamp(clock.wallMs()) };
  await kv.atomic().set(key.registry(registry), row).commit();
  return viewOf(row);
}

function viewOf({ registry, username, updatedAt }: Registry): RegistryView {
  return { registry, username, updatedAt };
}

/** All of them: as many as a cluster has registries with credentials. */
export async function listLogins(kv: Kv): Promise<RegistryView[]> {
  const views: RegistryView[] = [];
  for await (const { row } of listRows(kv, prefix.registries(), Registry)) views.push(viewOf(row));
  return views;
}

export async function removeLogin(kv: Kv, registry: string): Promise<Outcome<undefined>> {
  const found = await kv.get(key.registry(registry));
  if (found.versionstamp === null) {
    return refuse("not-found", `there are no credentials for ${registry}`, {
      hint: "`berth registry ls` lists those that there are.",
    });
  }
  await kv.atomic().delete(key.registry(registry)).commit();
  return done(undefined);
}

/** Credentials for pulling the image of a task that the node is to run, if there are any. */
export async function readPullLogin(
  { kv, vault }: Deps,
  nodeId: string,
  taskId: string,
): Promise<Outcome<PullLogin>> {
  const found = await revisionFor(kv, nodeId, taskId);
  if (!found.ok) return found;
  const name = parseImage(found.value.row.template.image);
  const names = namesFor(name);
  const rows = await getRows(kv, names.map((registry) => key.registry(registry)), Registry);
  const at = rows.findIndex((row) => row !== undefined);
  const row = rows[at]?.row;
  const registry = names[at];
  if (!row || registry === undefined) return done({});
  const { username } = row;
  // Opened for the name that was asked for, not for the one that the row claims.
  const password = await vault.open(row, aboutRegistry({ registry, username }));
  if (!password) {
    return refuse("busy", `the credentials for ${registry} cannot be opened here`, {
      hint: `Store them again: berth login ${registry}`,
    });
  }
  const login = { registry, host: name.registry, username };
  return done({ login: { ...login, password: new TextDecoder().decode(password) } });
}

/** The revision of a task that the node is to run. */
export async function revisionFor(
  kv: Kv,
  nodeId: string,
  taskId: string,
): Promise<Outcome<Versioned<Revision>>> {
  const found = await readTask(kv, taskId);
  const task = found?.task;
  const isTheirs = task?.nodeId === nodeId && task.desired === "run";
  const revision = isTheirs
    ? await getRow(kv, key.revision(task.serviceId, task.revision), Revision)
    : undefined;
  if (!found || !revision || isTerminal(found.state)) {
    return refuse("not-found", `node ${nodeId} is not to run a task ${taskId}`);
  }
  return done(revision);
}
