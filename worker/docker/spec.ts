/**
 * From an assignment to what the engine is asked to create. Pure.
 *
 * @module
 */
import type { Assignment } from "../../kv/schema/agent.ts";
import type { HealthCheck } from "../../kv/schema/health.ts";
import { hostPortOf } from "../../kv/schema/port.ts";
import { containerName, LABEL, type ProjectNetwork } from "../runtime.ts";
import type { CreateOptions } from "./client.ts";
import { containerOptions, hostOptions } from "./container_options.ts";
import { mountOptions } from "./mounts.ts";

/**
 * The options of the container. Restart is left to the agent, what a template does not say to the engine.
 * A port that is not published in mode host gets a port from the engine, on `bindAddress` alone if
 * there is one: that is where agents find it.
 */
export function createOptions(
  assignment: Assignment,
  { nodeId, bindAddress, network: ofProject }: {
    nodeId: string;
    bindAddress?: string;
    network?: { network: ProjectNetwork; dns?: string[] };
  },
): CreateOptions & { name: string } {
  const { template } = assignment;
  const { entrypoint, command, workingDir, user, stopSignal, limit, container = {} } = template;
  const ports = portOptions(template.ports, bindAddress);
  // A container with a mode of its own is on no project's network.
  const network = container.networkMode === undefined ? ofProject : undefined;
  return {
    name: containerName(assignment),
    Image: template.image,
    Labels: { ...template.labels, ...berthLabels(assignment, nodeId) },
    Env: Object.entries(template.env).map(([name, value]) => `${name}=${value}`),
    ...(entrypoint ? { Entrypoint: entrypoint } : {}),
    ...(command ? { Cmd: command } : {}),
    ...(workingDir ? { WorkingDir: workingDir } : {}),
    ...(user ? { User: user } : {}),
    ...(stopSignal ? { StopSignal: stopSignal } : {}),
    StopTimeout: wholeSeconds(template.stopGraceMs),
    Tty: template.tty,
    ...healthOptions(template.health),
    ExposedPorts: ports.exposed,
    ...containerOptions(container),
    HostConfig: {
      RestartPolicy: { Name: "no" },
      PortBindings: ports.bindings,
      Init: template.init,
      ...(network ? { NetworkMode: network.network.name } : {}),
      ...mountOptions(assignment),
      ...(limit.cpus > 0 ? { NanoCpus: Math.round(limit.cpus * 1e9) } : {}),
      ...(limit.memoryMiB > 0 ? { Memory: limit.memoryMiB * 1024 * 1024 } : {}),
      ...hostOptions(container),
      // The project's names come first, or they would not be found at all.
      ...(network?.dns ? { Dns: [...network.dns, ...container.dns ?? []] } : {}),
    },
    // The engine's own names know of this machine only, so they are for want of better ones.
    ...(network && !network.dns
      ? {
        NetworkingConfig: {
          EndpointsConfig: { [network.network.name]: { Aliases: [assignment.service] } },
        },
      }
      : {}),
  };
}

/** The labels by which an agent knows its containers again. */
export function berthLabels(assignment: Assignment, nodeId: string): Record<string, string> {
  return {
    [LABEL.node]: nodeId,
    [LABEL.task]: assignment.taskId,
    [LABEL.service]: assignment.service,
    [LABEL.project]: assignment.project,
    [LABEL.slot]: String(assignment.slot),
    [LABEL.revision]: String(assignment.revision),
  };
}

/** The engine counts grace in whole seconds; a shorter one is rounded up, 0 stays 0. */
export function wholeSeconds(ms: number): number {
  return Math.ceil(ms / 1000);
}

const DOCKER_DEFAULT = {
  intervalMs: 30_000,
  timeoutMs: 30_000,
  retries: 3,
  startIntervalMs: 5_000,
};

/**
 * The engine's own probe: off when the agent probes, so that there is one verdict. A number that is
 * Docker's default is not sent, so that the image's own HEALTHCHECK keeps what it says of it.
 */
function healthOptions(health: HealthCheck | undefined) {
  if (!health) return {};
  const { probe } = health;
  if (probe.type !== "engine") return { Healthcheck: { Test: ["NONE"] } };
  const unlessDefault = (name: keyof typeof DOCKER_DEFAULT, key: string, perUnit = 1_000_000) =>
    health[name] === DOCKER_DEFAULT[name] ? {} : { [key]: health[name] * perUnit };
  return {
    Healthcheck: {
      ...(probe.command ? { Test: ["CMD", ...probe.command] } : {}),
      ...unlessDefault("intervalMs", "Interval"),
      ...unlessDefault("timeoutMs", "Timeout"),
      ...unlessDefault("retries", "Retries", 1),
      ...(health.startPeriodMs > 0 ? { StartPeriod: health.startPeriodMs * 1_000_000 } : {}),
      ...unlessDefault("startIntervalMs", "StartInterval"),
    },
  };
}

function portOptions(ports: Assignment["template"]["ports"], bindAddress?: string) {
  const exposed: Record<string, Record<string, never>> = {};
  const bindings: Record<string, { HostPort: string; HostIp?: string }[]> = {};
  const dynamic = { HostPort: "", ...(bindAddress === undefined ? {} : { HostIp: bindAddress }) };
  const chosen = new Set<string>();
  for (const port of ports) {
    const key = `${port.target}/${port.protocol}`;
    const published = hostPortOf(port);
    exposed[key] = {};
    // However often a target is published by the cluster, the container answers on one port.
    if (published === undefined && chosen.has(key)) continue;
    if (published === undefined) chosen.add(key);
    (bindings[key] ??= []).push(
      published === undefined ? dynamic : {
        HostPort: String(published),
        ...(port.hostIp === undefined ? {} : { HostIp: port.hostIp }),
      },
    );
  }
  return { exposed, bindings };
}
