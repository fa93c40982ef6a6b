/**
 * Flags of `docker run` and the keys of a Compose service that mean the same. Pure.
 *
 * @module
 */

/**
 * - `switch`: no value. `one`: one value. `list`: may be repeated. `pairs`: repeated NAME=VALUE.
 * - `words`: a command line in one value.
 */
export type FlagKind = "switch" | "one" | "number" | "list" | "pairs" | "words";

export interface RunFlag {
  /** Without the dashes; the first is the one that is written. */
  names: readonly string[];
  /** Dotted path of the key. */
  key: string;
  kind: FlagKind;
}

function all(
  kind: FlagKind,
  ...flags: readonly (readonly [names: string, key?: string])[]
): RunFlag[] {
  return flags.map(([names, key]) => {
    const list = names.split(" ");
    return { names: list, key: key ?? (list[0] ?? "").replaceAll("-", "_"), kind };
  });
}

export const FLAGS: readonly RunFlag[] = [
  ...all("switch", ["init"], ["privileged"], ["read-only"], ["tty t"], [
    "interactive i",
    "stdin_open",
  ]),
  ...all("switch", ["no-healthcheck", "healthcheck.disable"], ["oom-kill-disable"]),
  ...all("one", ["name", "container_name"], ["hostname h"], ["domainname"], ["user u"]),
  ...all("one", ["workdir w", "working_dir"], ["restart"], ["stop-signal"], ["platform"]),
  ...all("one", ["pull", "pull_policy"], ["network net", "network_mode"], ["ipc"], ["pid"], [
    "uts",
  ]),
  ...all("one", ["userns", "userns_mode"], ["cgroupns", "cgroup"], ["cgroup-parent"], ["runtime"]),
  ...all("one", ["memory m", "mem_limit"], ["memory-reservation", "mem_reservation"]),
  ...all("one", ["memory-swap", "memswap_limit"], ["shm-size"], ["cpuset-cpus", "cpuset"]),
  ...all("one", ["log-driver", "logging.driver"], ["gpus"], ["mac-address"], ["isolation"]),
  ...all("one", ["health-interval", "healthcheck.interval"]),
  ...all("one", ["health-timeout", "healthcheck.timeout"]),
  ...all("one", ["health-start-period", "healthcheck.start_period"]),
  ...all("one", ["health-start-interval", "healthcheck.start_interval"]),
  ...all("number", ["cpus"], ["cpu-shares c"], ["cpu-period"], ["cpu-quota"], ["pids-limit"]),
  ...all("number", ["cpu-rt-period"], ["cpu-rt-runtime"], ["memory-swappiness", "mem_swappiness"]),
  ...all("number", ["oom-score-adj"], ["blkio-weight", "blkio_config.weight"]),
  ...all("number", ["health-retries", "healthcheck.retries"]),
  ...all("list", ["publish p", "ports"], ["volume v", "volumes"], ["expose"], ["env-file"]),
  ...all("list", ["cap-add"], ["cap-drop"], ["security-opt"], ["group-add"], ["device", "devices"]),
  ...all("list", ["device-cgroup-rule", "device_cgroup_rules"], ["dns"], ["dns-search"]),
  ...all("list", ["dns-option dns-opt", "dns_opt"], ["add-host", "extra_hosts"], ["tmpfs"]),
  ...all("list", ["label-file", "label_file"], ["link", "links"], ["volumes-from"]),
  ...all("list", ["network-alias", "networks.default.aliases"]),
  ...all("pairs", ["env e", "environment"], ["label l", "labels"], ["sysctl", "sysctls"]),
  ...all("pairs", ["log-opt", "logging.options"], ["annotation", "annotations"], ["storage-opt"]),
  ...all("words", ["health-cmd", "healthcheck.test"]),
];

/** Flags that say how the command line itself behaves. */
export const ABOUT_THE_CLIENT: ReadonlySet<string> = new Set([
  "detach",
  "d",
  "rm",
  "sig-proxy",
  "quiet",
  "q",
]);
/** The same, with a value. */
export const CLIENT_VALUES: ReadonlySet<string> = new Set([
  "cidfile",
  "detach-keys",
  "attach",
  "a",
]);
