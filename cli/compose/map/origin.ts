/**
 * Which key of the file a field of the spec comes from, for messages about its value. Pure.
 *
 * @module
 */
import type { ComposeService } from "../resolve.ts";
import { get, type Place, type Tree } from "../tree.ts";

/** Prefixes of fields, the longest that fits counts, and the keys that may have set them. */
const ORIGINS: readonly (readonly [field: string, ...keys: string[]])[] = [
  ["labels", "deploy.labels"],
  ["routes", "x-berth.routes"],
  ["mode", "x-berth.schedule", "x-berth.job", "deploy.replicas", "scale", "deploy.mode"],
  ["update", "x-berth.update", "deploy.update_config"],
  ["rollback", "deploy.rollback_config"],
  ["template.image", "image", "build"],
  ["template.env", "environment"],
  ["template.labels", "labels"],
  ["template.ports", "ports", "expose"],
  ["template.secrets", "secrets"],
  ["template.configs", "configs"],
  ["template.mounts", "volumes"],
  ["template.entrypoint", "entrypoint"],
  ["template.command", "command"],
  ["template.workingDir", "working_dir"],
  ["template.user", "user"],
  ["template.stopGraceMs", "stop_grace_period"],
  ["template.stopSignal", "stop_signal"],
  ["template.restart", "deploy.restart_policy", "restart"],
  ["template.health", "x-berth.health", "healthcheck"],
  ["template.readiness", "x-berth.readiness"],
  ["template.reserve", "deploy.resources.reservations", "mem_reservation", "mem_limit", "cpus"],
  ["template.limit", "deploy.resources.limits", "mem_limit", "cpus"],
  ["template.placement", "deploy.placement", "platform", "x-berth"],
  ["template.placement.constraints", "deploy.placement.constraints", "platform"],
  ["template.container.extraHosts", "extra_hosts"],
  ["template.container.tmpfs", "tmpfs", "volumes"],
  ["template.container.postStart", "post_start"],
  ["template.container.preStop", "pre_stop"],
  ["template.container.deviceRequests", "gpus", "deploy.resources.reservations.devices"],
  ["template.container.shmBytes", "shm_size"],
  ["template.container.blkio", "blkio_config"],
  ["template.container.memorySwapBytes", "memswap_limit"],
  ["template.container.memorySwappiness", "mem_swappiness"],
];

/** The place of the value, and the key that it belongs to. */
export function originOf(
  { tree, at, name }: ComposeService,
  path: readonly PropertyKey[],
): { at: Place; key: string } {
  const field = path.map(String).join(".");
  const fits = ORIGINS.filter(([prefix]) => field === prefix || field.startsWith(`${prefix}.`))
    .sort(([a], [b]) => b.length - a.length);
  const keys = [...fits.flatMap(([, ...all]) => all), optionKey(path)];
  for (const key of keys) {
    const found = get(tree, ...key.split("."));
    if (found) {
      const inner = innermost(found, path);
      return { at: inner.at, key: `services.${name}.${key}` };
    }
  }
  return { at, key: `services.${name}` };
}

/** `template.container.capAdd` is `cap_add`: most options are called as in Compose. */
function optionKey(path: readonly PropertyKey[]): string {
  const [, , option = ""] = path.map(String);
  return option.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** The item or entry that the end of the path names, if there is one. */
function innermost(tree: Tree, path: readonly PropertyKey[]): Tree {
  let found = tree;
  for (const step of path.map(String)) {
    const next = found.kind === "list" ? found.items[Number(step)] : get(found, step);
    if (next) found = next;
  }
  return found;
}
