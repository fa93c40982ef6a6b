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
  textOrTexts,
  texts,
} from "./key.ts";

const BUILDKIT =
  "Needs BuildKit: such an image is not built but expected, as where no engine is local";

export const BUILD: Keys = {
  context: honoured(text, "A directory of this machine, or an address that the engine fetches"),
  dockerfile: honoured(
    text,
    "What only BuildKit understands, like `RUN --mount`, is not built but expected, as where no engine " +
      "is local",
  ),
  dockerfile_inline: honoured(text),
  args: honoured(pairs),
  labels: honoured(pairs),
  cache_from: honoured(texts),
  no_cache: honoured(flag),
  pull: honoured(flag),
  target: honoured(text),
  network: honoured(text),
  shm_size: honoured(bytes),
  extra_hosts: honoured(either(named(textOrTexts), texts)),
  ulimits: honoured(named(either(
    integer,
    keys({ soft: honoured(integer), hard: honoured(integer) }, "soft", "hard"),
  ))),
  tags: honoured(texts),
  platforms: honoured(texts, "One; an image for several is expected, as where no engine is local"),
  isolation: emulated(text, "It is for Windows containers"),
  additional_contexts: emulated(any, BUILDKIT),
  cache_to: emulated(any, BUILDKIT),
  entitlements: emulated(any, BUILDKIT),
  privileged: emulated(any, BUILDKIT),
  provenance: emulated(any, BUILDKIT),
  sbom: emulated(any, BUILDKIT),
  secrets: emulated(any, BUILDKIT),
  ssh: emulated(any, BUILDKIT),
};

export const PORT: Keys = {
  target: honoured(integer),
  published: honoured(
    either(integer, text),
    "A number, or a range of which one that is free is taken",
  ),
  protocol: honoured(choice("tcp", "udp")),
  mode: honoured(choice("ingress", "host")),
  host_ip: honoured(
    text,
    "Nodes that have the address listen on it; with `127.0.0.1` each node does, for its own programs. " +
      "The cluster reaches the task on a port of the engine's choice, as it does every task",
  ),
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
    recursive: refused("mounts are as recursive as the engine makes them", "leave it out", {
      harmless: ["", "enabled"],
    }),
    selinux: honoured(
      choice("z", "Z"),
      "By the node's engine; a named volume it labels for all containers anyway",
    ),
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
const NOT_FIXED =
  "Not given: tasks get addresses of their node's network, and services reach one another by " +
  "name. What speaks of the address itself has to speak of the name";

export const NETWORK_OF_SERVICE: Keys = {
  aliases: honoured(texts),
  interface_name: refused("the engine names interfaces", "leave it out"),
  ipv4_address: emulated(text, NOT_FIXED),
  ipv6_address: emulated(text, NOT_FIXED),
  link_local_ips: refused(ONE_EACH, "use the service's name"),
  mac_address: refused(ONE_EACH, "leave it to the engine"),
  driver_opts: refused("a project has one network on each node, made by its agent", "leave it out"),
  priority: emulated(number, "A task is on one network: there is no order of them"),
  gw_priority: emulated(number, "A task is on one network: there is no choice of gateways"),
};

const external = either(flag, keys({ name: honoured(text, "Old spelling of `name`") }));

const SUBNETS = "Agents take a subnet for each project from the pool that they were given";

export const NETWORK: Keys = {
  name: emulated(text, "The network is the project's, and named after it"),
  driver: emulated(text, "Agents make bridges on each node and connect them"),
  driver_opts: emulated(
    named(any),
    "Not passed on: agents make the project's network on each node, with options of their own",
  ),
  ipam: emulated(
    keys({
      driver: emulated(text, SUBNETS),
      config: emulated(
        listOf(keys({
          subnet: emulated(text, SUBNETS),
          ip_range: emulated(text, SUBNETS),
          gateway: emulated(text, SUBNETS),
          aux_addresses: emulated(named(text), SUBNETS),
        })),
        SUBNETS,
      ),
      options: emulated(named(any), SUBNETS),
    }),
    SUBNETS,
  ),
  external: emulated(external, "Another project is reached as `SERVICE.PROJECT`"),
  internal: refused(
    "a project's network has a way out",
    "take it out, or say internal: !reset null in a file on top: what publishes no port is not " +
      "reached from outside; what shall reach nothing itself has network_mode: none",
  ),
  enable_ipv4: refused("networks have IPv4 addresses", "leave it out", {
    harmless: ["", "true"],
  }),
  enable_ipv6: emulated(
    flag,
    "Not given: tasks have IPv4 addresses, and reach one another by name over these",
  ),
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
