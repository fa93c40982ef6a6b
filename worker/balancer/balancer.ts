/**
 * The node's balancer: listens on every published port of the cluster and passes connections on to the
 * tasks that the table names.
 *
 * 1. What is open follows the table. A port whose settings or tasks change is not closed for it.
 * 2. A port that cannot be bound is tried again and again, slowly: another agent of this machine may have
 *    it, and may go. It is told once, to the log and through `onProblems`.
 * 3. Nothing here waits for the control plane.
 *
 * @module
 */
import type { Protocol } from "../../kv/schema/port.ts";
import type { ServiceEndpoints } from "../../kv/schema/endpoint.ts";
import type { UnboundPort } from "../../kv/schema/node.ts";
import type { Clock } from "../../kv/schema/time.ts";
import { bindFailure, isAddressAbsent } from "../bind_failure.ts";
import { claimAddress } from "../datagram.ts";
import type { Log } from "../log.ts";
import { messageOf } from "../state_file.ts";
import { createWake } from "../wake.ts";
import { createPool, type Pool } from "./pool.ts";
import { createProxies } from "./proxies.ts";
import { type Table, type Wanted, wantedPorts } from "./table.ts";
import { listenTcp, type Place, type Proxy, type Route } from "./tcp_proxy.ts";
import { listenUdp } from "./udp_proxy.ts";

export interface BalancerDeps {
  nodeId: string;
  clock: Clock;
  log: Log;
  /** Addresses to listen on, the first that the machine has; default: all, of IPv6 and IPv4. */
  hostnames?: readonly string[];
  /** Called with the ports that cannot be bound, whenever that changes. */
  onProblems?: (ports: UnboundPort[]) => void;
}

export interface Balancer {
  /** Makes this the table in effect. */
  update(table: Table): void;
  /** Binds ports, and closes connections that are idle, until the signal aborts; then ends all. */
  run(signal: AbortSignal): Promise<void>;
  /** The ports that are bound, as `tcp/8080`. */
  bound(): string[];
  connections(): number;
}

const EVERYWHERE = ["::", "0.0.0.0"];
const RETRY_MS = 5_000;

export function createBalancer(deps: BalancerDeps): Balancer {
  const { nodeId, clock, log, hostnames = EVERYWHERE, onProblems = () => {} } = deps;
  const bell = createWake(clock);
  const proxies = createProxies({ clock, log, listening: () => open.values() });
  const pools = new Map<string, { pool: Pool; serviceId: string; made?: ServiceEndpoints }>();
  const open = new Map<string, Proxy>();
  const problems = new Map<string, UnboundPort>();
  let wanted = new Map<string, Wanted>();

  function poolOf({ serviceId, target, protocol }: Wanted): Pool {
    const name = `${serviceId} ${target} ${protocol}`;
    const known = pools.get(name);
    if (known) return known.pool;
    const pool = createPool({ target, protocol }, { nodeId });
    pools.set(name, { pool, serviceId });
    return pool;
  }

  const routeOf = (port: Wanted): Route => ({ pool: poolOf(port), balancing: port.balancing });

  function update(table: Table): void {
    wanted = wantedPorts(table);
    for (const port of wanted.values()) poolOf(port);
    for (const entry of pools.values()) {
      const service = table.services.get(entry.serviceId);
      if (service && service === entry.made) continue;
      entry.pool.update(service);
      if (service) entry.made = service;
      else delete entry.made;
    }
    for (const [name, proxy] of open) {
      const port = wanted.get(name);
      if (port) proxy.route = routeOf(port); // invariant 1
      else {
        open.delete(name);
        proxies.leave(proxy);
      }
    }
    dropPools();
    bell.ring();
  }

  /** Pools that no port leads to, once their connections have ended. */
  function dropPools(): void {
    const used = new Set([...wanted.values()].map(poolOf));
    for (const [name, { pool }] of pools) {
      if (!used.has(pool) && pool.targets.every((one) => one.active === 0)) pools.delete(name);
    }
  }

  async function bind(port: Wanted): Promise<void> {
    const { name, protocol, published, hostIp, service } = port;
    let failure: unknown;
    for (const hostname of hostIp === undefined ? hostnames : [hostIp]) {
      try {
        const proxy = await listen(protocol, { hostname, port: published }, routeOf(port));
        problems.delete(name);
        log("info", "listening on a published port", { port: name, service });
        open.set(name, proxy);
        return;
      } catch (error) {
        failure = error;
        // A machine without IPv6 has no such address; anything else is the answer.
        if (!isAddressAbsent(error)) break;
      }
    }
    const reason = bindFailure(failure);
    if (problems.get(name)?.reason === reason) return;
    problems.set(name, { protocol, published, reason }); // invariant 2
    log("warn", "cannot listen on a published port; trying again", { port: name, service, reason });
  }

  async function listen(
    protocol: Protocol,
    at: { hostname: string; port: number },
    route: Route,
  ): Promise<Proxy> {
    if (!EVERYWHERE.includes(at.hostname)) return await listenAt(protocol, at, route);
    const release = await claimPort(protocol, at.port);
    try {
      return await listenAt(
        protocol,
        { ...at, ...(release ? { shared: true, release } : {}) },
        route,
      );
    } catch (error) {
      await release?.();
      throw error;
    }
  }

  async function listenAt(protocol: Protocol, place: Place, route: Route): Promise<Proxy> {
    return protocol === "tcp"
      ? listenTcp(place, route, proxies.deps)
      : await listenUdp(place, route, proxies.deps);
  }

  async function bindAll(): Promise<void> {
    const before = problemsText();
    for (const name of problems.keys()) if (!wanted.has(name)) problems.delete(name);
    for (const port of wanted.values()) {
      if (!open.has(port.name)) await bind(port);
      // The table may have changed meanwhile.
      const proxy = open.get(port.name);
      if (proxy && !wanted.has(port.name)) {
        open.delete(port.name);
        proxy.cut();
      }
    }
    if (problemsText() !== before) onProblems([...problems.values()]);
  }

  const problemsText = () => JSON.stringify([...problems.values()]);
  return {
    update,
    async run(signal) {
      const serving = proxies.run(signal);
      while (!signal.aborted) {
        await bindAll();
        await bell.wait(signal, problems.size > 0 ? RETRY_MS : undefined);
      }
      await serving;
      for (const proxy of open.values()) proxy.cut(); // Also one that was bound at the last moment.
    },
    bound: () => [...open.keys()],
    connections: proxies.connections,
  };
}

/**
 * On all addresses a port is shared with those addresses that stand for services (worker/dns/), but not
 * with another agent of this machine: of those, one claims the port. Undefined where nothing can be
 * claimed, and so nothing is to be shared.
 */
async function claimPort(
  protocol: Protocol,
  port: number,
): Promise<(() => Promise<void>) | undefined> {
  try {
    return await claimAddress(`127.${protocol === "tcp" ? 66 : 67}.${port >> 8}.${port & 255}`);
  } catch (error) {
    if (/EADDRNOTAVAIL/.test(messageOf(error))) return undefined;
    throw error;
  }
}
