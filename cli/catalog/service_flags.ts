/**
 * Flags that say how a service is to be kept: those of `run -d` that `update` has as well. Where Docker
 * has such a flag, it has the same name here.
 *
 * @module
 */
import { choice, flag, list, type OptionsOf, under, value } from "../command.ts";
import { STRATEGY_NAMES } from "../../kv/schema/strategies.ts";
import { parseDuration } from "../format/duration.ts";
import { parseCount, parseRatio } from "../format/quantity.ts";
import {
  parseAffinity,
  parseHttpProbe,
  parsePortNumber,
  parsePriority,
  parseSpread,
  parseToleration,
} from "../format/rules.ts";
import { parseRoute } from "../format/routes.ts";

const HEALTH_FLAGS = under("Health:", {
  healthCmd: value("--health-cmd <command>", "Shell command that fails when it is unhealthy"),
  healthHttp: value(
    "--health-http <port/path>",
    "Probe that path instead: 8080/healthz, https:8443/up",
    parseHttpProbe,
  ),
  healthTcp: value("--health-tcp <port>", "Probe that port instead", parsePortNumber),
  noHealthcheck: flag("--no-healthcheck", "Also not the image's own"),
  healthInterval: value("--health-interval <time>", "Between two probes", parseDuration),
  healthTimeout: value("--health-timeout <time>", "A slower probe fails", parseDuration),
  healthRetries: value("--health-retries <n>", "Failures until it is unhealthy", parseCount),
  healthStartPeriod: value(
    "--health-start-period <time>",
    "Time to start, in which failures do not count",
    parseDuration,
  ),
  healthStartInterval: value(
    "--health-start-interval <time>",
    "Between two probes while it starts",
    parseDuration,
  ),
  readyCmd: value("--ready-cmd <command>", "Shell command that fails while it cannot serve"),
  readyHttp: value("--ready-http <port/path>", "Ready while that path answers", parseHttpProbe),
  readyTcp: value("--ready-tcp <port>", "Ready while that port accepts", parsePortNumber),
  readyInterval: value("--ready-interval <time>", "Between two probes", parseDuration),
  readyTimeout: value("--ready-timeout <time>", "A slower probe fails", parseDuration),
  readyRetries: value("--ready-retries <n>", "Failures until it is not ready", parseCount),
});

const RESTART_FLAGS = under("Restarts and disruptions:", {
  restart: choice("--restart <when>", "Start it again when it ends", [
    "any",
    "on-failure",
    "none",
  ]),
  restartDelay: value("--restart-delay <time>", "Before the first restart", parseDuration),
  restartMaxDelay: value("--restart-max-delay <time>", "Cap of the back-off", parseDuration),
  restartMaxAttempts: value(
    "--restart-max-attempts <n>",
    "Restarts in place before it is replaced",
    parseCount,
  ),
  restartWindow: value("--restart-window <time>", "Within this time", parseDuration),
  stopGracePeriod: value("--stop-grace-period <time>", "From stop to kill", parseDuration),
  stopSignal: value("--stop-signal <signal>", "What asks it to stop, like SIGINT"),
  maxUnavailable: value(
    "--max-unavailable <n>",
    "How many may be down at once for drains and priorities",
    parseCount,
  ),
  singleton: choice("--singleton <how>", "strict: never two at once, even when cut off", [
    "strict",
    "none",
  ]),
  disconnectReplaceAfter: value(
    "--disconnect-replace-after <time>",
    "When its node is down for so long, replace it",
    parseDuration,
  ),
  disconnectStopAfter: value(
    "--disconnect-stop-after <time>",
    "When its node is cut off for so long, stop it there",
    parseDuration,
  ),
  disconnectReconcile: choice(
    "--disconnect-reconcile <which>",
    "Which task stays when the node comes back",
    ["keep-new", "keep-old"],
  ),
});

const ROUTE_FLAGS = under("Routes:", {
  route: list(
    "--route <host[/path]>",
    "Requests from outside, like www.example.com/api,port=80,tls=plain; may be repeated",
    parseRoute,
  ),
});

const PLACEMENT_FLAGS = under("Placement:", {
  node: value("--node <name>", "Only on this node"),
  pool: value("--pool <name>", "Only on nodes of this pool"),
  constraint: list(
    "--constraint <expression>",
    "Only on such nodes: node.labels.disk==ssd; may be repeated",
  ),
  toleration: list(
    "--toleration <taint>",
    "Also on nodes with this taint, key[=value][:effect]; *: any; may be repeated",
    parseToleration,
  ),
  affinity: list(
    "--affinity <target>",
    "Near a service's tasks or on such nodes, like db,topology=zone; may be repeated",
    parseAffinity,
  ),
  antiAffinity: list(
    "--anti-affinity <target>",
    "Away from them, like web,required; may be repeated",
    parseAffinity,
  ),
  spread: list(
    "--spread <label>",
    "Evenly over a node label: zone, or zone,max-skew=1; may be repeated",
    parseSpread,
  ),
  maxPerNode: value("--max-per-node <n>", "At most so many on one node", parseCount),
  strategy: choice("--strategy <name>", "Which of the fitting nodes", STRATEGY_NAMES),
  priority: value("--priority <n>", "Higher ones displace lower ones", parsePriority),
});

const ORDERS = ["stop-first", "start-first"] as const;

/** How a new revision replaces the one before it, and how it is taken back. */
const UPDATE_FLAGS = under("Updates:", {
  updateStrategy: choice("--update-strategy <name>", "How to change to a new revision", [
    "rolling",
    "canary",
    "bluegreen",
  ]),
  canary: value("--canary <n>", "Slots that a canary changes first", parseCount),
  promote: choice("--promote <how>", "Whether blue/green turns over by itself", [
    "auto",
    "manual",
  ]),
  updateParallelism: value("--update-parallelism <n>", "Slots at a time; 0: all", parseCount),
  updateDelay: value("--update-delay <time>", "Between two slots", parseDuration),
  updateOrder: choice("--update-order <order>", "Stop the old or start the new first", ORDERS),
  updateMonitor: value(
    "--update-monitor <time>",
    "How long to watch a new task for failure",
    parseDuration,
  ),
  updateMaxFailureRatio: value(
    "--update-max-failure-ratio <n>",
    "Share that may fail: 0 to 1",
    parseRatio,
  ),
  updateFailureAction: choice("--update-failure-action <action>", "What to do when it fails", [
    "pause",
    "continue",
    "rollback",
  ]),
  progressDeadline: value(
    "--progress-deadline <time>",
    "Without progress for so long it has failed; 0s: never",
    parseDuration,
  ),
  drain: value(
    "--drain <time>",
    "How long an old task stays beside its successor",
    parseDuration,
  ),
  rollbackParallelism: value("--rollback-parallelism <n>", "On the way back: slots", parseCount),
  rollbackDelay: value("--rollback-delay <time>", "Between two slots", parseDuration),
  rollbackOrder: choice("--rollback-order <order>", "For Docker: it always starts first", ORDERS),
  rollbackMonitor: value("--rollback-monitor <time>", "How long to watch", parseDuration),
  rollbackMaxFailureRatio: value(
    "--rollback-max-failure-ratio <n>",
    "Share that may fail",
    parseRatio,
  ),
  rollbackFailureAction: choice("--rollback-failure-action <action>", "What to do then", [
    "pause",
    "continue",
  ]),
});

export type UpdateFlags = OptionsOf<typeof UPDATE_FLAGS>;

export const SERVICE_FLAGS = {
  ...HEALTH_FLAGS,
  ...RESTART_FLAGS,
  ...ROUTE_FLAGS,
  ...PLACEMENT_FLAGS,
  ...UPDATE_FLAGS,
};
export type ServiceFlags = OptionsOf<typeof SERVICE_FLAGS>;
