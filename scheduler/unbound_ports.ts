/**
 * Published ports on which a node cannot listen. Pure.
 *
 * @module
 */
import type { Node, UnboundPort } from "../kv/schema/node.ts";
import { type IngressPort, portName } from "../kv/schema/port.ts";
import type { World } from "./world.ts";

/**
 * The ports that nobody listens on at this node's address. Where several nodes share a machine, one of
 * them listens for all, and the others miss nothing.
 */
export function missingPorts(world: World, node: Node): UnboundPort[] {
  const unbound = node.unboundPorts ?? [];
  if (unbound.length === 0) return [];
  const siblings = [...world.nodes.values()].filter(({ node: other, status }) =>
    other.id !== node.id && other.address === node.address && status?.state === "ready"
  );
  return unbound.filter((port) =>
    !siblings.some(({ node: { unboundPorts = [] } }) =>
      !unboundPorts.some((other) => portName(other) === portName(port))
    )
  );
}

/** What to tell about a node's ports: `cannot listen on tcp/8080: another program has it`. */
export function missingText(ports: readonly UnboundPort[]): string {
  return ports.map((port) => `cannot listen on ${portName(port)}: ${port.reason}`).join("; ");
}

/** Which nodes cannot listen on a service's ports, in one sentence each. */
export function portTrouble(world: World, ports: readonly IngressPort[]): string[] {
  if (ports.length === 0) return [];
  const own = new Set(ports.map(portName));
  return [...world.nodes.values()].flatMap(({ node }) => {
    const missing = missingPorts(world, node).filter((port) => own.has(portName(port)));
    return missing.length === 0 ? [] : [`${node.name} ${missingText(missing)}`];
  });
}
