/**
 * What an agent knows of the services' endpoints, and which ports follow from it. Pure.
 *
 * @module
 */
import type { EndpointsResponse, ServiceEndpoints } from "../../kv/schema/endpoint.ts";
import { type Balancing, portName, type Protocol } from "../../kv/schema/port.ts";

export interface Table {
  version: number;
  services: ReadonlyMap<string, ServiceEndpoints>;
}

/** The table after an answer. A change that is older than the table came late and is ignored. */
export function applyAnswer(table: Table | undefined, answer: EndpointsResponse): Table {
  const { version, full, services, removed } = answer;
  if (full || !table) {
    return { version, services: new Map(services.map((service) => [service.id, service])) };
  }
  if (version < table.version) return table;
  if (services.length === 0 && removed.length === 0) return { ...table, version };
  const next = new Map(table.services);
  for (const id of removed) next.delete(id);
  for (const service of services) next.set(service.id, service);
  return { version, services: next };
}

/** A port that every node is to listen on. */
export interface Wanted {
  /** `tcp/8080`, or `tcp/8080 on 127.0.0.1`. */
  name: string;
  protocol: Protocol;
  published: number;
  /** The one address to listen on. */
  hostIp?: string;
  serviceId: string;
  /** For people: `project/name`. */
  service: string;
  target: number;
  balancing: Balancing;
}

export function wantedPorts({ services }: Pick<Table, "services">): Map<string, Wanted> {
  const wanted = new Map<string, Wanted>();
  for (const { id, project, name, ports } of services.values()) {
    for (const { target, protocol, published, hostIp, balancing } of ports) {
      if (published === undefined) continue;
      const port = portName({ protocol, published });
      const at = hostIp === undefined ? port : `${port} on ${hostIp}`;
      wanted.set(at, {
        ...{ name: at, protocol, published, ...(hostIp === undefined ? {} : { hostIp }) },
        ...{ serviceId: id, service: `${project}/${name}`, target, balancing },
      });
    }
  }
  return wanted;
}
