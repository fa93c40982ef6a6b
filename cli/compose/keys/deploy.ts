/**
 * The keys of `deploy`.
 *
 * @module
 */
import {
  bytes,
  choice,
  duration,
  either,
  emulated,
  honoured,
  integer,
  type Keys,
  keys,
  listOf,
  number,
  pairs,
  refused,
  text,
  texts,
} from "./key.ts";

const CHANGE = {
  parallelism: honoured(integer),
  delay: honoured(duration),
  monitor: honoured(duration),
  max_failure_ratio: honoured(number),
};

const RESERVED_DEVICE: Keys = {
  capabilities: honoured(texts),
  count: honoured(either(integer, choice("all"))),
  device_ids: honoured(texts),
  driver: honoured(text),
  options: honoured(pairs),
};

export const DEPLOY: Keys = {
  mode: honoured(
    choice("replicated", "global", "replicated-job", "global-job"),
    "`global-job` is a global service whose tasks are not started again once they succeeded",
  ),
  replicas: honoured(integer),
  endpoint_mode: emulated(
    choice("vip", "dnsrr"),
    "Both ways are always there: the service's name, and `tasks.NAME` for the tasks' addresses",
  ),
  labels: honoured(pairs, "Of the service"),
  resources: honoured(keys({
    limits: honoured(keys({
      cpus: honoured(number),
      memory: honoured(bytes),
      pids: honoured(integer),
    })),
    reservations: honoured(keys({
      cpus: honoured(number),
      memory: honoured(bytes),
      generic_resources: refused(
        "nodes announce no resources of their own making",
        "label the nodes and use a constraint, or use devices",
      ),
      devices: honoured(listOf(keys(RESERVED_DEVICE, "capabilities"))),
    })),
  })),
  placement: honoured(keys({
    constraints: honoured(
      texts,
      "`node.role==worker` is true of every node; other roles are refused: there are none",
    ),
    preferences: honoured(listOf(keys({ spread: honoured(text) }))),
    max_replicas_per_node: honoured(integer),
  })),
  restart_policy: honoured(keys({
    condition: honoured(
      choice("none", "on-failure", "any", "no", "always", "unless-stopped"),
      "`none`, `on-failure` or `any`; the words of `restart` are taken too, as Compose does",
    ),
    delay: honoured(duration),
    max_attempts: honoured(
      integer,
      "Restarts in place within `window`; then the task is replaced, elsewhere if possible",
    ),
    window: honoured(duration),
  })),
  update_config: honoured(keys({
    ...CHANGE,
    failure_action: honoured(choice("pause", "continue", "rollback")),
    order: honoured(choice("stop-first", "start-first")),
  })),
  rollback_config: honoured(keys({
    ...CHANGE,
    failure_action: honoured(choice("pause", "continue")),
    order: honoured(
      choice("stop-first", "start-first"),
      "A rollback starts first whatever it says, so that nothing that serves is stopped early",
    ),
  })),
};
