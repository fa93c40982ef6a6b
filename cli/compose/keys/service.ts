/**
 * The keys of a service, but for `deploy`.
 *
 * @module
 */
import {
  any,
  bytes,
  choice,
  duration,
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
import { DEPLOY } from "./deploy.ts";
import { BUILD, CONFIG_FILES, MOUNT, NETWORK_OF_SERVICE, PORT, SECRET_FILES } from "./parts.ts";

const WINDOWS = "is for Windows containers";
const command = either(text, texts);

const HOOK: Keys = {
  command: honoured(command),
  user: honoured(text),
  privileged: honoured(flag),
  working_dir: honoured(text),
  environment: honoured(pairs),
};

const DEVICE_REQUEST: Keys = {
  capabilities: honoured(texts),
  count: honoured(either(integer, choice("all"))),
  device_ids: honoured(texts),
  driver: honoured(text),
  options: honoured(pairs),
};

const rate = keys({ path: honoured(text), rate: honoured(bytes) }, "path", "rate");

export const SERVICE: Keys = {
  image: honoured(text),
  build: honoured(
    either(text, keys(BUILD)),
    "`up` builds what this machine's engine does not have yet, or with --build everything; without " +
      "an engine here it names the image that is expected: `image`, else `PROJECT-SERVICE`",
  ),
  command: honoured(command),
  entrypoint: honoured(command),
  environment: honoured(pairs),
  env_file: honoured(
    either(
      text,
      listOf(either(
        text,
        keys({
          path: honoured(text),
          format: honoured(choice("raw"), "`raw`: values are taken as they stand"),
          required: honoured(flag),
        }, "path"),
      )),
    ),
    "Read where the command runs",
  ),
  labels: honoured(pairs, "Of the containers; for the service's own: `deploy.labels`"),
  label_file: honoured(textOrTexts, "Read where the command runs"),
  annotations: honoured(pairs, "Needs Docker 24 or later on the nodes"),
  expose: honoured(
    listOf(either(integer, text)),
    "A port for the cluster's own use, on a host port of the engine's choice",
  ),
  ports: honoured(listOf(either(integer, text, keys(PORT, "target")))),
  volumes: honoured(
    listOf(either(text, keys(MOUNT, "type"))),
    "Named volumes are the project's; a task follows the node that has its volume",
  ),
  volumes_from: refused(
    "containers of a service may run on different machines",
    "name the same volume in both services",
  ),
  tmpfs: honoured(textOrTexts),
  configs: honoured(listOf(either(text, keys(CONFIG_FILES, "source")))),
  secrets: honoured(
    listOf(either(text, keys(SECRET_FILES, "source"))),
    "Files in memory, under /run/secrets",
  ),
  networks: emulated(
    either(texts, named(keys(NETWORK_OF_SERVICE))),
    "The services of a project reach one another, whichever networks they are on; aliases are " +
      "further names",
  ),
  network_mode: honoured(
    text,
    "`host`, `none` and `bridge`; `service:` and `container:` are refused: tasks do not share a " +
      "network stack",
  ),
  links: emulated(texts, "Services of a project reach each other by name; an alias is one for all"),
  external_links: refused(
    "containers that Berth does not run are not looked up",
    "write their address into extra_hosts",
  ),
  depends_on: honoured(
    either(
      texts,
      named(keys({
        condition: honoured(
          choice("service_started", "service_healthy", "service_completed_successfully"),
          "`up` waits for it, on whichever nodes the tasks run",
        ),
        required: honoured(flag),
        restart: emulated(
          flag,
          "Dependents are not restarted: connections to a task that is replaced are drained",
        ),
      })),
    ),
  ),
  healthcheck: honoured(keys({
    test: honoured(either(text, texts)),
    interval: honoured(duration),
    timeout: honoured(duration),
    retries: honoured(integer),
    start_period: honoured(duration),
    start_interval: honoured(duration),
    disable: honoured(flag),
  })),
  restart: honoured(
    text,
    "`no` makes a service without ports a job: its tasks run to their end, once. Without it: see above",
  ),
  stop_grace_period: honoured(duration),
  stop_signal: honoured(text),
  init: honoured(flag),
  user: honoured(text),
  working_dir: honoured(text),
  hostname: honoured(text, "The same in all tasks of the service"),
  domainname: honoured(text),
  extra_hosts: honoured(either(named(textOrTexts), texts)),
  dns: honoured(textOrTexts),
  dns_opt: honoured(texts),
  dns_search: honoured(textOrTexts),
  mac_address: refused("tasks of a service would share it", "leave it to the engine"),
  logging: honoured(keys({ driver: honoured(text), options: honoured(named(any)) })),
  platform: honoured(
    text,
    "Asked of the engine, and a constraint: only nodes of that system and architecture",
  ),
  pull_policy: honoured(
    text,
    "`always`, `never`, `missing`. `daily`, `weekly` and `every_…` become `always`; `build` is " +
      "`missing`, and builds anew",
  ),
  pull_refresh_after: emulated(text, "Images are looked up at each start instead: `always`"),
  profiles: honoured(texts),
  scale: honoured(integer),
  container_name: emulated(
    text,
    "Berth names containers itself, `berth-SERVICE-SLOT-TASK`; the name is one more host name of the service",
  ),
  attach: emulated(flag, "`berth up` attaches to nothing; follow with `berth logs -f`"),
  stdin_open: honoured(flag),
  tty: honoured(flag),
  pre_start: emulated(
    listOf(keys({
      ...HOOK,
      image: honoured(text),
      per_replica: honoured(flag, "Only `false`: once for the service"),
    }, "command")),
    "Each step is a job named `SERVICE-pre-start-N` that `up` waits for, run anew when it changed",
  ),
  post_start: honoured(
    listOf(keys(HOOK, "command")),
    "By the node's agent, in the container; a failure counts as one of the task",
  ),
  pre_stop: honoured(
    listOf(keys(HOOK, "command")),
    "By the node's agent, before the stop signal, for as long as the grace period lasts",
  ),
  cap_add: honoured(texts),
  cap_drop: honoured(texts),
  privileged: honoured(flag),
  security_opt: honoured(texts),
  read_only: honoured(flag),
  userns_mode: honoured(text),
  group_add: honoured(listOf(either(integer, text))),
  devices: honoured(listOf(either(
    text,
    keys({
      source: honoured(text),
      target: honoured(text),
      permissions: honoured(text),
    }, "source"),
  ))),
  device_cgroup_rules: honoured(texts),
  gpus: honoured(either(choice("all"), listOf(keys(DEVICE_REQUEST)))),
  cpus: honoured(number, "The limit; set aside as well unless `deploy` says how much"),
  cpu_shares: honoured(integer),
  cpu_quota: honoured(integer),
  cpu_period: honoured(integer),
  cpu_rt_period: honoured(either(integer, duration)),
  cpu_rt_runtime: honoured(either(integer, duration)),
  cpuset: honoured(text),
  cpu_count: refused(WINDOWS, "use cpus"),
  cpu_percent: refused(WINDOWS, "use cpus"),
  mem_limit: honoured(bytes, "The limit; set aside as well unless `deploy` says how much"),
  mem_reservation: honoured(bytes, "What the scheduler sets aside on the node"),
  memswap_limit: honoured(bytes),
  mem_swappiness: honoured(integer),
  oom_kill_disable: honoured(flag),
  oom_score_adj: honoured(integer),
  pids_limit: honoured(integer),
  shm_size: honoured(bytes),
  ulimits: honoured(named(either(
    integer,
    keys({ soft: honoured(integer), hard: honoured(integer) }, "soft", "hard"),
  ))),
  sysctls: honoured(pairs),
  blkio_config: honoured(keys({
    weight: honoured(integer),
    weight_device: honoured(listOf(
      keys({ path: honoured(text), weight: honoured(integer) }, "path", "weight"),
    )),
    device_read_bps: honoured(listOf(rate)),
    device_read_iops: honoured(listOf(rate)),
    device_write_bps: honoured(listOf(rate)),
    device_write_iops: honoured(listOf(rate)),
  })),
  cgroup: honoured(choice("host", "private")),
  cgroup_parent: honoured(text),
  ipc: honoured(text, "`host`, `private`, `shareable`, `none`; `service:` is refused"),
  pid: honoured(text, "`host`; `service:` is refused"),
  uts: honoured(choice("host")),
  runtime: honoured(text),
  storage_opt: honoured(named(any)),
  isolation: refused(WINDOWS, "leave it out"),
  credential_spec: refused(WINDOWS, "leave it out"),
  deploy: honoured(keys(DEPLOY)),
  extends: honoured(either(
    text,
    keys({ service: honoured(text), file: honoured(text) }, "service"),
  )),
  develop: emulated(any, "It is for `docker compose watch` alone; Berth watches no files"),
  provider: refused(
    "programs on this machine that provide a service have no place in a cluster",
    "set up the service by itself and write its address into environment",
  ),
  models: refused("Berth runs no model runners", "run the model server as a service"),
  use_api_socket: refused(
    "an engine's socket gives whoever has it the whole machine",
    "mount the socket by yourself, if that is meant",
  ),
};
