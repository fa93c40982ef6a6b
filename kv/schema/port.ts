/**
 * Ports of a service, and how connections to them are spread over its tasks.
 *
 * @module
 */
import { z } from "zod";
import { DurationMs } from "./common.ts";

export const PortNumber = z.int().min(1).max(65535);
export const Protocol = z.enum(["tcp", "udp"]);
export type Protocol = z.infer<typeof Protocol>;

export const PortRange = z.object({ from: PortNumber, to: PortNumber })
  .refine(({ from, to }) => from <= to, "`from` must not be above `to`")
  .meta({ id: "PortRange", description: "Any one that is free, and from then on that one" });
export type PortRange = z.infer<typeof PortRange>;

export const BalancePolicy = z.enum(["least-connections", "round-robin", "client-hash"]).meta({
  description: "`client-hash`: the same client gets the same task while that one is ready",
});
export type BalancePolicy = z.infer<typeof BalancePolicy>;

/** What a user sets; what is absent is taken from the service, then from {@link BALANCING}. */
export const BalanceOptions = z.object({
  policy: BalancePolicy.optional().meta({ description: "Default: least-connections" }),
  preferLocal: z.boolean().optional()
    .meta({ description: "Ready tasks of the node that was connected to come first" }),
  proxyProtocol: z.boolean().optional().meta({
    description: "Send a PROXY protocol v2 header first, which names the client (tcp)",
  }),
  maxConnections: z.int().min(1).max(1_000_000).optional()
    .meta({ description: "At a time, through each node; more are refused" }),
  idleMs: DurationMs.min(1000).optional().meta({
    description:
      "Without a byte in either direction for so long, a connection is closed; default: " +
      "an hour for tcp, a minute for udp",
  }),
  connectTimeoutMs: DurationMs.min(10).optional()
    .meta({ description: "After so long another task is tried; default: 3 s" }),
}).meta({ id: "BalanceOptions", description: "How connections are spread over the tasks" });
export type BalanceOptions = z.infer<typeof BalanceOptions>;

/** The settings in force for a port. */
export const Balancing = z.object({
  policy: BalancePolicy,
  preferLocal: z.boolean(),
  proxyProtocol: z.boolean(),
  maxConnections: z.int().optional(),
  idleMs: z.int(),
  connectTimeoutMs: z.int(),
}).meta({ id: "Balancing" });
export type Balancing = z.infer<typeof Balancing>;

/** What holds unless a service or a port says otherwise. */
const BALANCING = {
  policy: "least-connections",
  connectTimeoutMs: 3_000,
  idleMs: { tcp: 3_600_000, udp: 60_000 },
} as const;

export const HostIp = z.union([z.ipv4(), z.ipv6()]).meta({
  description: "Listen on this address alone, on the nodes that have it; default: on all. With " +
    "127.0.0.1 only the node's own programs get through",
});

export const Port = z.object({
  target: PortNumber.meta({ description: "Port inside the container" }),
  published: z.union([PortNumber, PortRange]).optional().meta({
    description: "Port for clients; absent: for the cluster's own use, on a port of the " +
      "engine's choice",
  }),
  protocol: Protocol.default("tcp"),
  mode: z.enum(["ingress", "host"]).default("ingress").meta({
    description:
      "`ingress`: every node listens on `published` and passes connections on to ready " +
      "tasks anywhere. `host`: the node of a task binds it for that task alone",
  }),
  hostIp: HostIp.optional(),
  balance: BalanceOptions.optional().meta({ description: "What differs from the service's" }),
}).meta({ id: "Port" });
export type Port = z.infer<typeof Port>;

/** A template's ports: no two ask for the same one. */
export const Ports = z.array(Port).max(64).superRefine((ports, context) => {
  const seen = new Set<string>();
  ports.forEach(({ published, protocol, mode }, i) => {
    const refuse = (message: string) =>
      context.addIssue({ code: "custom", path: [i, "published"], message });
    if (published === undefined) return;
    if (typeof published !== "number") {
      if (mode === "host") refuse("must be one number in mode host");
      return;
    }
    const name = portName({ protocol, published });
    if (seen.has(name)) refuse(`${name} is published twice`);
    seen.add(name);
  });
});

/** A port that the whole cluster listens on for a service. The service has it to itself. */
export const IngressPort = z.object({
  target: PortNumber,
  protocol: Protocol,
  published: PortNumber,
}).meta({ id: "IngressPort" });
export type IngressPort = z.infer<typeof IngressPort>;

/** A container's port as the engine bound it on its node. */
export const BoundPort = z.object({
  target: PortNumber,
  published: PortNumber,
  protocol: Protocol,
  hostIp: z.string().max(64).default("0.0.0.0"),
}).meta({ id: "BoundPort" });
export type BoundPort = z.infer<typeof BoundPort>;

/** Names a port for people and as a key: `tcp/8080`. */
export function portName(port: { protocol: Protocol; published: number }): string {
  return `${port.protocol}/${port.published}`;
}

/** Whether the cluster listens for it. */
export function isIngress(
  port: Port,
): port is Port & { published: number | PortRange; mode: "ingress" } {
  return port.mode === "ingress" && port.published !== undefined;
}

/** The number that a port takes on its task's own node, if it says one. */
export function hostPortOf({ mode, published }: Port): number | undefined {
  return mode === "host" && typeof published === "number" ? published : undefined;
}

/** The settings in force: the port's, the service's, the defaults. */
export function balancingOf(
  protocol: Protocol,
  service: BalanceOptions | undefined,
  port: BalanceOptions | undefined,
): Balancing {
  const maxConnections = port?.maxConnections ?? service?.maxConnections;
  return {
    policy: port?.policy ?? service?.policy ?? BALANCING.policy,
    preferLocal: port?.preferLocal ?? service?.preferLocal ?? false,
    proxyProtocol: port?.proxyProtocol ?? service?.proxyProtocol ?? false,
    ...(maxConnections === undefined ? {} : { maxConnections }),
    idleMs: port?.idleMs ?? service?.idleMs ?? BALANCING.idleMs[protocol],
    connectTimeoutMs: port?.connectTimeoutMs ?? service?.connectTimeoutMs ??
      BALANCING.connectTimeoutMs,
  };
}
