/**
 * What supposed services take of the cluster: published ports and the places of routes. Refused as a
 * write would be, one service after the other.
 *
 * @module
 */
import { choosePorts } from "../kv/ingress_ports.ts";
import { refuseTaken } from "../kv/ingress_routes.ts";
import { done, type Outcome, type Refusal, refuse } from "../kv/outcome.ts";
import { portName } from "../kv/schema/port.ts";
import { routePlace } from "../kv/schema/route.ts";
import type { Service } from "../kv/schema/service.ts";
import { spokenName } from "../kv/service_reads.ts";
import type { SupposedService } from "../scheduler/forecast/forecast.ts";
import type { World } from "../scheduler/world.ts";

/** The service with what it gets, or why it gets it not; `field` leads to its spec in the request. */
export type Claim = (supposed: SupposedService, field: string) => Outcome<SupposedService>;

/** Gives services the ports and places that they ask of the cluster, as applying them would. */
export function createClaims(world: World): Claim {
  const services = new Map([...world.services].map(([id, { service }]) => [id, service]));
  const ports = new Map<string, string>();
  const places = new Map<string, string>();
  for (const { id, ingressPorts, routes = [] } of services.values()) {
    for (const port of ingressPorts) ports.set(portName(port), id);
    for (const route of routes) places.set(routePlace(route), id);
  }
  const nameOf = (id: string) => {
    const service = services.get(id);
    return service ? spokenName(service) : `service ${id}`;
  };
  return (supposed, field) => {
    if (supposed.result === "unchanged") return done(supposed);
    const { service, template } = supposed;
    const { id, routes = [] } = service;
    const before = services.get(id);
    const held = before?.ingressPorts ?? [];
    const chosen = choosePorts({ id, held }, template.ports, { ids: ports, nameOf });
    if (!chosen.ok) return refuseOf(service, chosen.refusal, field);
    const taken = refuseTaken(id, routes, { ids: places, nameOf });
    if (taken) return refuseOf(service, taken.refusal, field);
    for (const port of held) ports.delete(portName(port));
    for (const port of chosen.value) ports.set(portName(port), id);
    for (const route of before?.routes ?? []) places.delete(routePlace(route));
    for (const route of routes) places.set(routePlace(route), id);
    const claimed = { ...service, ingressPorts: chosen.value };
    services.set(id, claimed);
    return done({ ...supposed, service: claimed });
  };
}

/** What applying one of several services is refused with. */
function refuseOf(
  service: Service,
  { kind, detail, errors = [], ...more }: Refusal,
  field: string,
) {
  return refuse(kind, `${spokenName(service)}: ${detail}`, {
    ...more,
    errors: errors.map((one) => ({ ...one, field: `${field}.${one.field}` })),
  });
}
