/**
 * From the engine's answers to {@link ContainerStatus}. Pure.
 *
 * @module
 */
import type { BoundPort } from "../../kv/schema/task.ts";
import { oneLine } from "../probes/result.ts";
import { type ContainerStatus, LABEL } from "../runtime.ts";
import type { Inspection, ListItem } from "./client.ts";

/** Everything about one container. */
export function statusFromInspect(info: Inspection): ContainerStatus {
  const { State: state, Config: config } = info;
  const startedAt = time(state.StartedAt);
  const finishedAt = time(state.FinishedAt);
  const now = stateOf(state.Status);
  const health = healthOf(state.Health?.Status);
  const said = health === "unhealthy" ? state.Health?.Log?.at(-1)?.Output : undefined;
  const address = now === "running" ? addressOf(info) : undefined;
  return {
    id: info.Id,
    taskId: config.Labels[LABEL.task] ?? "",
    state: now,
    exitCode: state.ExitCode,
    oomKilled: state.OOMKilled,
    error: state.Error.replace(/\s+/g, " ").trim(),
    health,
    ...(said === undefined ? {} : { healthOutput: oneLine(said) }),
    ...(startedAt ? { startedAt } : {}),
    // A running container carries the end of its previous run.
    ...(finishedAt && now === "exited" ? { finishedAt } : {}),
    ports: now === "running" ? boundPorts(info.NetworkSettings.Ports ?? {}) : [],
    ...(address === undefined ? {} : { address }),
  };
}

/**
 * What a list says that may differ from an earlier inspect of the same container. While it is the
 * same, that inspect still holds, apart from the health, which {@link refreshed} takes over.
 */
export function fingerprint(item: ListItem): string {
  const exitCode = /^Exited \((-?\d+)\)/.exec(item.Status)?.[1] ?? "";
  return `${item.Id} ${stateOf(item.State)} ${exitCode}`;
}

/** `known`, with what the list says of it now. */
export function refreshed(known: ContainerStatus, item: ListItem): ContainerStatus {
  const said = /\((healthy|unhealthy|health: starting)\)/.exec(item.Status)?.[1];
  const { healthOutput: _old, ...rest } = known;
  return { ...rest, health: healthOf(said?.replace("health: ", "")) };
}

function stateOf(state: string): ContainerStatus["state"] {
  switch (state) {
    case "created":
    case "configured": // Podman's word for it
      return "created";
    case "running":
    case "paused":
    case "restarting":
    case "stopping":
      return "running";
    default: // exited, dead, removing
      return "exited";
  }
}

function healthOf(status: string | undefined): ContainerStatus["health"] {
  return status === "starting" || status === "healthy" || status === "unhealthy" ? status : "none";
}

/** The container's address on its first network, or the machine's own. */
function addressOf({ HostConfig, NetworkSettings }: Inspection): string | undefined {
  if (HostConfig?.NetworkMode === "host") return "127.0.0.1";
  const networks = Object.values(NetworkSettings.Networks ?? {});
  return networks.map(({ IPAddress }) => IPAddress).find((address) => address);
}

/** ISO in UTC, or undefined for the engine's zero time. Nanoseconds stay: they identify a run. */
function time(text: string): string | undefined {
  if (text === "" || text.startsWith("0001-")) return undefined;
  return text.endsWith("Z") ? text : new Date(text).toISOString();
}

function boundPorts(
  published: Record<string, { HostIp: string; HostPort: string }[] | null>,
): BoundPort[] {
  const ports = new Map<string, BoundPort>();
  for (const [key, bindings] of Object.entries(published)) {
    const [target, protocol] = key.split("/");
    if (protocol !== "tcp" && protocol !== "udp") continue;
    // A port is bound for IPv4 and IPv6, and under load an engine may choose another number for each:
    // what answers on an IPv4 address is told, IPv6 only where there is nothing else.
    const all = bindings ?? [];
    const some = all.filter(({ HostIp }) => !HostIp.includes(":"));
    for (const { HostIp, HostPort } of some.length > 0 ? some : all) {
      const id = `${key} ${HostPort}`;
      if (HostPort === "" || ports.has(id)) continue;
      ports.set(id, {
        target: Number(target),
        published: Number(HostPort),
        protocol,
        hostIp: HostIp || "0.0.0.0",
      });
    }
  }
  return [...ports.values()];
}
