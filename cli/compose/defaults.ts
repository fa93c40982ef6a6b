/**
 * Where Compose and Swarm differ from one another, and what Berth does: data for docs/compose.md.
 *
 * @module
 */

export interface Difference {
  what: string;
  compose: string;
  swarm: string;
  berth: string;
}

export const DIFFERENCES: readonly Difference[] = [
  {
    what: "no `restart`, no `restart_policy`",
    compose: "never started again",
    swarm: "started again whenever it ends",
    berth: "started again whenever it ends; a service that another waits for with " +
      "`service_completed_successfully` is a job, and runs once",
  },
  {
    what: '`restart: "no"`',
    compose: "runs once",
    swarm: "ignored: `deploy.restart_policy` counts",
    berth: "a job: runs once, on whichever node; with ports: a service that is not started again",
  },
  {
    what: "`restart: always`, `unless-stopped`",
    compose: "differ after the engine restarts",
    swarm: "ignored",
    berth: "the same: what runs is decided by the cluster; `berth stop` stops a service for good",
  },
  {
    what: "`restart: on-failure:N`",
    compose: "given up after N",
    swarm: "ignored",
    berth: "N restarts in place within 5 minutes, then replaced, elsewhere if possible",
  },
  {
    what: "`deploy.restart_policy.delay`",
    compose: "0",
    swarm: "5 s",
    berth: "0, then doubling up to a minute",
  },
  {
    what: "`deploy.restart_policy.max_attempts`",
    compose: "without end",
    swarm: "without end",
    berth: "5 in place within `window` (5 minutes), then replaced, without end",
  },
  {
    what: "`ports` without a published one",
    compose: "a free port of the host",
    swarm: "a free port of the cluster",
    berth: "a port of the engine's choice on the task's node, for the cluster's own use",
  },
  {
    what: "`ports.mode`",
    compose: "`host` is meant",
    swarm: "`ingress`",
    berth: "`ingress`: any node takes connections for tasks on all of them",
  },
  {
    what: "`ports.host_ip`",
    compose: "honoured",
    swarm: "refused",
    berth: "honoured, on each node that has the address",
  },
  {
    what: "`.env`, `profiles`, `include`, `extends`",
    compose: "read",
    swarm: "not read, or refused",
    berth: "read",
  },
  {
    what: "`networks`",
    compose: "each one apart",
    swarm: "each one apart",
    berth: "one for each project; `internal` is refused, since nothing would keep it",
  },
  {
    what: "`links`",
    compose: "an order, and names for one service",
    swarm: "ignored",
    berth: "an order, and names for all",
  },
  {
    what: "`uid`, `gid`, `mode` of secrets and configs",
    compose: "ignored: files are mounted as they are",
    swarm: "honoured; by default 0444, of root",
    berth: "as Swarm",
  },
  {
    what: "`network_mode: service:…`, `volumes_from`",
    compose: "honoured",
    swarm: "ignored",
    berth: "refused: the other task may run on another machine",
  },
  {
    what: "`build`",
    compose: "builds",
    swarm: "ignored",
    berth:
      "built with this machine's engine if there is one, else expected; nodes of other machines " +
      "get it from a registry, where you push it",
  },
  {
    what: "`container_name`",
    compose: "the container's name",
    swarm: "ignored",
    berth: "one more name of the service",
  },
  {
    what: "`depends_on`",
    compose: "`up` waits",
    swarm: "ignored",
    berth: "`up` waits, for tasks on any node",
  },
  {
    what: "`env_file`, `label_file`, files of configs and secrets",
    compose: "read where the command runs",
    swarm: "read where the command runs",
    berth: "read where the command runs",
  },
  {
    what: "relative paths of bind mounts",
    compose: "of the machine at hand",
    swarm: "of each node",
    berth: "absolute paths of each node, made from the project's directory",
  },
  {
    what: "a secret or config whose value changed",
    compose: "seen at the next start",
    swarm: "needs another name",
    berth: "`up` makes a new version of it, and rolls its services over",
  },
  {
    what: "`cpus`, `mem_limit`",
    compose: "limits",
    swarm: "ignored: `deploy.resources` counts",
    berth: "limits, and set aside on the node unless `reservations` say how much",
  },
  {
    what: "memory",
    compose: "bytes",
    swarm: "bytes",
    berth: "whole MiB, rounded up",
  },
  {
    what: "`privileged`, `devices`, `cap_add`, `sysctls`, `ulimits` and other options",
    compose: "honoured",
    swarm: "some are ignored",
    berth: "honoured",
  },
  {
    what: "`update_config`",
    compose: "ignored",
    swarm: "one at a time, stop first, pause on failure",
    berth: "as Swarm",
  },
  {
    what: "a container that ended, at the next `up`",
    compose: "started again",
    swarm: "left",
    berth: "left, unless its service changed or failed: then it is made anew",
  },
  {
    what: "services that are no longer in the file",
    compose: "told of; `--remove-orphans`",
    swarm: "left; `--prune`",
    berth: "told of; `--remove-orphans`",
  },
  {
    what: "names with capitals, `_` or `.`",
    compose: "taken",
    swarm: "taken",
    berth: "lower case, with `-`; what the file calls a service is one more host name of it",
  },
  {
    what: "numbers in `environment`, like `1.10`",
    compose: "as YAML reads them: `1.1`",
    swarm: "as YAML reads them",
    berth: "as they are written: `1.10`",
  },
];
