/**
 * From a service to the options of its containers. Pure.
 *
 * @module
 */
import type { z } from "zod";
import type { ContainerOptions } from "../../../kv/schema/container.ts";
import { ComposeError, entriesOf, get, itemsOf, textOf, type Tree } from "../tree.ts";
import { durationMs } from "../values.ts";
import { bytesAt, flagAt, numberAt, pairsAt, present, textAt, textsAt } from "./read.ts";

export type ContainerInput = z.input<typeof ContainerOptions>;
type HookInput = NonNullable<ContainerInput["postStart"]>[number];

/** The options; undefined when there are none. */
export function containerOf(service: Tree): ContainerInput | undefined {
  const options = present({
    ...names(service),
    ...namespaces(service),
    ...rights(service),
    ...limits(service),
    logging: loggingOf(get(service, "logging")),
    tmpfs: tmpfsOf(service),
    postStart: hooksOf(get(service, "post_start")),
    preStop: hooksOf(get(service, "pre_stop")),
  });
  return Object.keys(options).length === 0 ? undefined : options;
}

function names(service: Tree) {
  return {
    hostname: textAt(service, "hostname"),
    domainname: textAt(service, "domainname"),
    extraHosts: get(service, "extra_hosts") &&
      entriesOf(get(service, "extra_hosts")).flatMap(([name, { value }]) =>
        itemsOf(value).map((address) => `${name}:${textOf(address) ?? ""}`)
      ),
    dns: textsAt(service, "dns"),
    dnsSearch: textsAt(service, "dns_search"),
    dnsOptions: textsAt(service, "dns_opt"),
    stdinOpen: flagAt(service, "stdin_open"),
    platform: textAt(service, "platform"),
    annotations: pairsAt(service, "annotations"),
    runtime: textAt(service, "runtime"),
  };
}

function namespaces(service: Tree) {
  return {
    networkMode: oneOf(service, "network_mode", ["bridge", "host", "none"]),
    ipc: oneOf(service, "ipc", ["host", "private", "shareable", "none"]),
    pid: oneOf(service, "pid", ["host"]),
    uts: oneOf(service, "uts", ["host"]),
    userns: textAt(service, "userns_mode"),
    cgroup: oneOf(service, "cgroup", ["host", "private"]),
    cgroupParent: textAt(service, "cgroup_parent"),
  };
}

/** Namespaces of other containers cannot be joined: those may run on another machine. */
function oneOf<const T extends string>(
  service: Tree,
  key: string,
  known: readonly T[],
): T | undefined {
  const value = textAt(service, key);
  if (value === undefined) return undefined;
  const found = known.find((one) => one === value);
  if (found !== undefined) return found;
  const shared = /^(service|container):/.test(value);
  throw new ComposeError(
    shared
      ? `${key}: ${value} is refused: the other task may run on another machine`
      : `${key}: must be ${known.join(", ")}, found "${value}"`,
    get(service, key)?.at,
    shared ? "reach the other service by its name, or make the two one image" : "",
  );
}

function rights(service: Tree) {
  return {
    capAdd: textsAt(service, "cap_add"),
    capDrop: textsAt(service, "cap_drop"),
    privileged: flagAt(service, "privileged"),
    securityOpt: textsAt(service, "security_opt"),
    readOnly: flagAt(service, "read_only"),
    groupAdd: textsAt(service, "group_add"),
    devices: get(service, "devices") && itemsOf(get(service, "devices")).map((item) => ({
      source: textAt(item, "source") ?? "",
      ...present({ target: textAt(item, "target"), permissions: textAt(item, "permissions") }),
    })),
    deviceCgroupRules: textsAt(service, "device_cgroup_rules"),
    deviceRequests: deviceRequests(service),
  };
}

function deviceRequests(service: Tree): ContainerInput["deviceRequests"] {
  const gpus = itemsOf(get(service, "gpus")).map((item) => deviceRequest(item, ["gpu"]));
  const reserved = itemsOf(get(service, "deploy", "resources", "reservations", "devices"))
    .map((item) => deviceRequest(item, []));
  const all = [...gpus, ...reserved];
  return all.length === 0 ? undefined : all;
}

function deviceRequest(item: Tree, always: readonly string[]) {
  const capabilities = textsAt(item, "capabilities") ?? [];
  const count = textAt(item, "count");
  return {
    capabilities: [...new Set([...always, ...capabilities])],
    ...present({
      count: count === "all" ? -1 : numberAt(item, "count"),
      deviceIds: textsAt(item, "device_ids"),
      driver: textAt(item, "driver"),
      options: pairsAt(item, "options"),
    }),
  };
}

function limits(service: Tree) {
  const ulimits = get(service, "ulimits");
  return {
    shmBytes: bytesAt(service, "shm_size"),
    storageOpt: pairsAt(service, "storage_opt"),
    sysctls: pairsAt(service, "sysctls"),
    ulimits: ulimits && entriesOf(ulimits).map(([name, { value }]) => ({
      name,
      soft: numberAt(value, "soft") ?? 0,
      hard: numberAt(value, "hard") ?? 0,
    })),
    pidsLimit: numberAt(service, "deploy", "resources", "limits", "pids") ??
      numberAt(service, "pids_limit"),
    memorySwapBytes: bytesAt(service, "memswap_limit"),
    memorySwappiness: numberAt(service, "mem_swappiness"),
    oomKillDisable: flagAt(service, "oom_kill_disable"),
    oomScoreAdj: numberAt(service, "oom_score_adj"),
    cpuShares: numberAt(service, "cpu_shares"),
    cpuQuotaUs: numberAt(service, "cpu_quota"),
    cpuPeriodUs: numberAt(service, "cpu_period"),
    cpuRealtimeRuntimeUs: microseconds(service, "cpu_rt_runtime"),
    cpuRealtimePeriodUs: microseconds(service, "cpu_rt_period"),
    cpuset: textAt(service, "cpuset"),
    blkio: blkioOf(get(service, "blkio_config")),
  };
}

/** A number is in µs already. */
function microseconds(service: Tree, key: string): number | undefined {
  const number = numberAt(service, key);
  if (number !== undefined) return number;
  const ms = durationMs(textAt(service, key) ?? "");
  return ms === undefined ? undefined : ms * 1000;
}

function blkioOf(tree: Tree | undefined): ContainerInput["blkio"] {
  if (!tree) return undefined;
  const rates = (key: string) =>
    get(tree, key) && itemsOf(get(tree, key)).map((item) => ({
      path: textAt(item, "path") ?? "",
      rate: bytesAt(item, "rate") ?? 0,
    }));
  return present({
    weight: numberAt(tree, "weight"),
    weightDevice: get(tree, "weight_device") && itemsOf(get(tree, "weight_device")).map((item) => ({
      path: textAt(item, "path") ?? "",
      weight: numberAt(item, "weight") ?? 0,
    })),
    readBps: rates("device_read_bps"),
    readIops: rates("device_read_iops"),
    writeBps: rates("device_write_bps"),
    writeIops: rates("device_write_iops"),
  });
}

function loggingOf(tree: Tree | undefined): ContainerInput["logging"] {
  return tree &&
    present({ driver: textAt(tree, "driver"), options: pairsAt(tree, "options") });
}

/** `tmpfs: /run:size=64m`, and volumes of type tmpfs. */
function tmpfsOf(service: Tree): ContainerInput["tmpfs"] {
  const found: Record<string, string> = {};
  for (const text of textsAt(service, "tmpfs") ?? []) {
    const [path = "", ...options] = text.split(":");
    found[path] = options.join(":");
  }
  for (const item of itemsOf(get(service, "volumes"))) {
    if (textAt(item, "type") !== "tmpfs") continue;
    const size = bytesAt(item, "tmpfs", "size");
    const mode = textAt(item, "tmpfs", "mode");
    const options = [
      ...(size === undefined ? [] : [`size=${size}`]),
      ...(mode === undefined ? [] : [`mode=${mode.replace(/^0o?/, "")}`]),
      ...(flagAt(item, "read_only") ? ["ro"] : []),
    ];
    found[textAt(item, "target") ?? ""] = options.join(",");
  }
  return Object.keys(found).length === 0 ? undefined : found;
}

function hooksOf(tree: Tree | undefined): HookInput[] | undefined {
  return tree && itemsOf(tree).map((item) => ({
    command: textsAt(item, "command") ?? [],
    ...present({
      user: textAt(item, "user"),
      privileged: flagAt(item, "privileged"),
      workingDir: textAt(item, "working_dir"),
      env: pairsAt(item, "environment"),
    }),
  }));
}
