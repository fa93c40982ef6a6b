/**
 * The keys of what services refer to: builds, ports, mounts, files, networks.
 *
 * @module
 */
import {
  any,
  bytes,
  choice,
  either,
  emulated,
  flag,
  honoured,
  integer,
  type Keys,
  keys,
  listOf,
  named,
  number,
  pairs,
  refused,
  text,
  texts,
} from "./key.ts";

/** Nothing of it matters to running the image. */
export const BUILD: Keys = Object.fromEntries([
  ...["context", "dockerfile", "dockerfile_inline", "entitlements", "args", "ssh", "labels"],
  ...["cache_from", "cache_to", "no_cache", "additional_contexts", "network", "pull", "target"],
  ...["shm_size", "extra_hosts", "isolation", "privileged", "secrets", "tags", "ulimits"],
  ...["platforms", "provenance", "sbom"],
].map((name) => [name, emulated(any, "For whoever builds the image")]));

export const PORT: Keys = {
  target: honoured(integer),
  published: honoured(
    either(integer, text),
    "A number, or a range of which one that is free is taken",
  ),
  protocol: honoured(choice("tcp", "udp")),
  mode: honoured(choice("ingress", "host")),
  host_ip: emulated(text, "Any address of the node: a task may run on each, and each has its own"),
  name: emulated(text, "For people; nothing refers to it"),
  app_protocol: emulated(text, "For people; nothing refers to it"),
};

export const MOUNT: Keys = {
  type: honoured(
    choice("bind", "volume", "tmpfs", "cluster", "npipe", "image"),
    "`bind`, `volume` and `tmpfs`; the others are refused",
  ),
  source: honoured(text),
  target: honoured(text),
  read_only: honoured(flag),
  consistency: emulated(text, "It speaks of file sharing with virtual machines; nodes need none"),
  bind: honoured(keys({
    propagation: honoured(text),
    create_host_path: honoured(flag),
    recursive: refused("mounts are as recursive as the engine makes them", "leave it out"),
    selinux: refused("nodes are not relabelled", "label the path on the node, once"),
  })),
  volume: honoured(keys({
    labels: honoured(pairs),
    nocopy: honoured(flag),
    subpath: refused(
      "volumes are mounted whole",
      "mount it whole and point the program at the path",
    ),
  })),
  tmpfs: honoured(keys({ size: honoured(bytes), mode: honoured(either(integer, text)) })),
  image: refused("images are not mounted", "copy the files into the service's own image"),
};

export const SECRET_FILES: Keys = {
  source: honoured(text),
  target: honoured(text),
  uid: honoured(text),
  gid: honoured(text),
  mode: honoured(either(integer, text)),
};
export const CONFIG_FILES = SECRET_FILES;

const ONE_EACH = "tasks of a service would share it";

export const NETWORK_OF_SERVICE: Keys = {
  aliases: honoured(texts),
  interface_name: refused("the engine names interfaces", "leave it out"),
  ipv4_address: refused(ONE_EACH, "use the service's name"),
  ipv6_address: refused(ONE_EACH, "use the service's name"),
  link_local_ips: refused(ONE_EACH, "use the service's name"),
  mac_address: refused(ONE_EACH, "leave it to the engine"),
  driver_opts: refused("a project has one network on each node, made by its agent", "leave it out"),
  priority: emulated(number, "A task is on one network: there is no order of them"),
  gw_priority: emulated(number, "A task is on one network: there is no choice of gateways"),
};

const external = either(flag, keys({ name: honoured(text, "Old spelling of `name`") }));

export const NETWORK: Keys = {
  name: emulated(text, "The network is the project's, and named after it"),
  driver: emulated(text, "Agents make bridges on each node and connect them"),
  driver_opts: refused("agents choose the options of the project's network", "leave it out"),
  ipam: refused(
    "agents take subnets from the pool they were given",
    "leave it out",
    keys({
      driver: honoured(text),
      config: honoured(listOf(keys({
        subnet: honoured(text),
        ip_range: honoured(text),
        gateway: honoured(text),
        aux_addresses: honoured(named(text)),
      }))),
      options: honoured(named(any)),
    }),
  ),
  external: emulated(external, "Another project is reached as `SERVICE.PROJECT`"),
  internal: refused("a project's network has a way out", "use network_mode: none"),
  enable_ipv4: refused("networks have IPv4 addresses", "leave it out"),
  enable_ipv6: refused("networks have IPv4 addresses", "leave it out"),
  attachable: emulated(flag, "Only Berth's containers are on it"),
  labels: emulated(pairs, "Networks carry Berth's labels alone"),
};

export const VOLUME: Keys = {
  name: honoured(text),
  driver: honoured(text),
  driver_opts: honoured(named(any)),
  external: honoured(external, "It must be there before; `down -v` leaves it"),
  labels: honoured(pairs),
};

const FILE = { name: honoured(text), labels: honoured(pairs) };

export const SECRET: Keys = {
  ...FILE,
  file: honoured(text, "Read where the command runs"),
  environment: honoured(text, "Read where the command runs"),
  external: honoured(external, "Made before with `berth secret create`"),
  driver: refused("secrets are kept by Berth itself", "use file, environment or external"),
  driver_opts: refused("secrets are kept by Berth itself", "leave it out"),
  template_driver: refused("values are delivered as they are", "write the value out"),
};

export const CONFIG: Keys = {
  ...FILE,
  file: honoured(text, "Read where the command runs"),
  environment: honoured(text, "Read where the command runs"),
  content: honoured(text),
  external: honoured(external, "Made before with `berth config create`"),
  template_driver: refused("values are delivered as they are", "write the value out"),
};
