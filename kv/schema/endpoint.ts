/**
 * Endpoints: where the tasks of services can be reached. The API computes them from the rows; nothing of
 * it is stored, except by agents, who go on with the last that they knew.
 *
 * @module
 */
import { z } from "zod";
import { Alias, Id, Name } from "./common.ts";
import { Balancing, HostIp, PortNumber, Protocol } from "./port.ts";
import { Pin } from "./resolved.ts";
import { Route } from "./route.ts";
import { DataName } from "./sealed.ts";

export const EndpointState = z.enum(["ready", "starting", "draining", "unreachable"]).meta({
  id: "EndpointState",
  description: "`ready`: gets connections. `starting`: not yet, or not now. `draining`: keeps " +
    "those it has and gets no new ones. `unreachable`: its node is silent; only for want of others",
});
export type EndpointState = z.infer<typeof EndpointState>;

export const EndpointPort = z.object({
  target: PortNumber.meta({ description: "The service's port that this one stands for" }),
  protocol: Protocol,
  port: PortNumber.meta({ description: "Where it answers, on the endpoint's address" }),
});
export type EndpointPort = z.infer<typeof EndpointPort>;

/** One task that lives. */
export const Endpoint = z.object({
  taskId: Id,
  slot: z.int().min(1),
  nodeId: Id,
  address: z.string().meta({ description: "The node's, as it advertises it" }),
  ports: z.array(EndpointPort),
  state: EndpointState,
}).meta({ id: "Endpoint", description: "Where one task can be reached" });
export type Endpoint = z.infer<typeof Endpoint>;

export const ServicePort = z.object({
  target: PortNumber,
  protocol: Protocol,
  published: PortNumber.optional().meta({ description: "Every node listens on it" }),
  hostIp: HostIp.optional(),
  balancing: Balancing,
}).meta({ id: "ServicePort" });
export type ServicePort = z.infer<typeof ServicePort>;

export const ServiceEndpoints = z.object({
  id: Id,
  project: Name,
  name: Name,
  aliases: z.array(Alias).default([]).meta({ description: "Further names in the project" }),
  ports: z.array(ServicePort),
  endpoints: z.array(Endpoint).meta({ description: "By slot, then by age" }),
  routes: z.array(Route).optional().meta({ description: "What ingress proxies pass on to it" }),
  certificates: z.record(DataName, Pin).optional()
    .meta({ description: "The versions of the secrets that `routes` name" }),
}).meta({ id: "ServiceEndpoints", description: "A service as clients see it" });
export type ServiceEndpoints = z.infer<typeof ServiceEndpoints>;

/**
 * The answer to a poll of endpoints. `full`: `services` is everything, and what is not in it is gone.
 * Otherwise it is what changed since `since`, each service as a whole.
 */
export const EndpointsResponse = z.object({
  version: z.int().min(0),
  full: z.boolean(),
  services: z.array(ServiceEndpoints),
  removed: z.array(Id).default([]).meta({ description: "Services that are gone" }),
}).meta({ id: "EndpointsResponse" });
export type EndpointsResponse = z.infer<typeof EndpointsResponse>;

/** Whom connections go to, the best first; who is still starting gets none. */
const TIERS: readonly EndpointState[] = ["ready", "unreachable", "draining"];

/** Where the best tasks that there are answer for a TCP port of the service, each place once. */
export function answeringAt({ endpoints }: ServiceEndpoints, target: number): string[] {
  for (const tier of TIERS) {
    const found = endpoints.flatMap(({ state, address, ports }) => {
      const bound = ports.find((port) => port.target === target && port.protocol === "tcp");
      return state === tier && bound ? [hostPort(address, bound.port)] : [];
    });
    if (found.length > 0) return [...new Set(found)];
  }
  return [];
}

export function hostPort(address: string, port: number): string {
  return `${address.includes(":") ? `[${address}]` : address}:${port}`;
}
