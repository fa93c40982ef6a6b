/**
 * The tasks behind one port of a service, as this node's balancer sees them.
 *
 * 1. A target is a task at one address and port; what is known of it stays while it is in the table.
 * 2. When it leaves the table its connections are cut: its container is gone, or not to be reached.
 *
 * @module
 */
import type { EndpointState, ServiceEndpoints } from "../../kv/schema/endpoint.ts";
import type { Balancing, Protocol } from "../../kv/schema/port.ts";
import { failed, SOUND } from "./outliers.ts";
import { type Candidate, hashOf, pick } from "./pick.ts";

/** Something that ends with its target. */
export interface Link {
  cut(): void;
}

export interface Target extends Candidate {
  readonly taskId: string;
  readonly address: string;
  readonly port: number;
  readonly links: Set<Link>;
  /** Ends the connects that are under way to it; replaced once it was used. */
  connects: AbortController;
  /** A connect took too long. It speaks for all: a host that is cut off answers none of them. */
  onLate(): void;
}

export interface Pool {
  readonly targets: readonly Target[];
  /** The target for a new connection, counted as its own until `release`. */
  take(
    balancing: Pick<Balancing, "policy" | "preferLocal">,
    clientAddress: string,
    nowMs: number,
    tried?: ReadonlySet<Target>,
  ): Target | undefined;
  /** `certain`: it is no use to try it again soon. */
  failed(target: Target, nowMs: number, options?: { certain?: boolean }): void;
  succeeded(target: Target): void;
  release(target: Target): void;
  /** Makes the targets those of the table; cuts what belongs to others. */
  update(service: ServiceEndpoints | undefined): void;
}

export function createPool(
  port: { target: number; protocol: Protocol },
  options: { nodeId: string },
): Pool {
  let targets: Target[] = [];
  let turn = 0;

  return {
    get targets() {
      return targets;
    },
    take({ policy, preferLocal }, clientAddress, nowMs, tried) {
      const clientHash = policy === "client-hash" ? hashOf(clientAddress) : 0;
      const wish = { policy, preferLocal, nowMs, clientHash, tried };
      const target = pick(targets, wish);
      if (!target) return undefined;
      target.lastTurn = ++turn;
      target.active++;
      return target;
    },
    failed(target, nowMs, how) {
      target.outlier = failed(target.outlier, nowMs, how);
    },
    succeeded(target) {
      if (target.outlier !== SOUND) target.outlier = SOUND;
    },
    release(target) {
      target.active--;
    },
    update(service) {
      const known = new Map(targets.map((target) => [keyOf(target), target]));
      targets = placesOf(service, port).map((place) => {
        const target = known.get(keyOf(place));
        known.delete(keyOf(place));
        if (target) {
          target.state = place.state;
          return target;
        }
        return newTarget(place, options.nodeId);
      });
      for (const { links } of known.values()) for (const link of [...links]) link.cut();
    },
  };
}

function newTarget(place: Place, nodeId: string): Target {
  const made: Target = {
    ...place,
    local: place.nodeId === nodeId,
    hash: hashOf(place.taskId),
    ...{ active: 0, lastTurn: 0, outlier: SOUND, links: new Set() },
    connects: new AbortController(),
    onLate() {
      const late = made.connects;
      made.connects = new AbortController();
      late.abort();
    },
  };
  return made;
}

interface Place {
  taskId: string;
  nodeId: string;
  address: string;
  port: number;
  state: EndpointState;
}

function placesOf(
  service: ServiceEndpoints | undefined,
  { target, protocol }: { target: number; protocol: Protocol },
): Place[] {
  return (service?.endpoints ?? []).flatMap(({ taskId, nodeId, address, ports, state }) => {
    const bound = ports.find((p) => p.target === target && p.protocol === protocol);
    return bound ? [{ taskId, nodeId, address, port: bound.port, state }] : [];
  });
}

function keyOf({ taskId, address, port }: Pick<Place, "taskId" | "address" | "port">): string {
  return `${taskId} ${address} ${port}`;
}
