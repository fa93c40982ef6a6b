/**
 * The server's own rules for a service's spec, applied before asking it. Pure.
 *
 * @module
 */
import type { Parsed } from "./command.ts";
import { ServiceSpec, type ServiceSpecInput } from "../kv/schema/service.ts";

/** The flag that is to blame for a field, by the beginning of its path. */
const FLAG_OF: Record<string, string> = {
  name: "--name",
  project: "--project",
  labels: "--label",
  mode: "--replicas",
  "mode.schedule": "--schedule",
  "mode.timeZone": "--time-zone",
  "mode.completions": "--completions",
  "mode.parallelism": "--parallelism",
  "mode.retries": "--retries",
  "mode.deadlineMs": "--deadline",
  "mode.catchUpMs": "--catch-up",
  "mode.history.succeeded": "--keep-succeeded",
  "mode.history.failed": "--keep-failed",
  "template.image": "IMAGE",
  "template.env": "--env",
  "template.labels": "--label",
  "template.ports": "--publish",
  "template.mounts": "--volume",
  "template.secrets": "--secret",
  "template.configs": "--config",
  "template.reserve": "--cpus or --memory",
  "template.command": "COMMAND",
  "template.stopGraceMs": "--stop-grace-period",
  "template.stopSignal": "--stop-signal",
  "template.restart": "--restart-…",
  "template.restart.maxAttempts": "--restart-max-attempts",
  "template.restart.windowMs": "--restart-window",
  "template.restart.delayMs": "--restart-delay",
  "template.restart.maxDelayMs": "--restart-max-delay",
  "template.health": "--health-…",
  "template.health.probe": "--health-cmd, --health-http or --health-tcp",
  "template.health.intervalMs": "--health-interval",
  "template.health.timeoutMs": "--health-timeout",
  "template.health.retries": "--health-retries",
  "template.health.startPeriodMs": "--health-start-period",
  "template.health.startIntervalMs": "--health-start-interval",
  "template.readiness": "--ready-…",
  "template.placement": "--node",
  "template.placement.pool": "--pool",
  "template.placement.constraints": "--constraint",
  "template.placement.tolerations": "--toleration",
  "template.placement.affinity": "--affinity",
  "template.placement.spread": "--spread",
  "template.placement.maxPerNode": "--max-per-node",
  "update.canary": "--canary",
  "update.parallelism": "--update-parallelism",
  routes: "--route",
  update: "--update-…",
  rollback: "--rollback-…",
  disruption: "--max-unavailable",
  disconnect: "--disconnect-…",
};

/** The spec as it is, or what is wrong with it, with the flag that is to blame. */
export function checkSpec(spec: ServiceSpecInput): Parsed<ServiceSpecInput> {
  const parsed = ServiceSpec.safeParse(spec);
  if (parsed.success) return { ok: true, value: spec };
  const [issue] = parsed.error.issues;
  const path = issue?.path.map(String) ?? [];
  return { ok: false, message: `${flagOf(path)}: ${issue?.message ?? "is not valid"}` };
}

/** As {@link flagOf}, of a field as the server names it: `template.ports.0`. */
export const flagOfField = (field: string) => flagOf(field.split("."));

/** The flag that sets what the path leads to; the path when there is none. */
function flagOf(path: readonly string[]): string {
  for (let length = path.length; length > 0; length--) {
    const flag = FLAG_OF[path.slice(0, length).join(".")];
    if (flag !== undefined) return flag;
  }
  return path.join(".");
}
