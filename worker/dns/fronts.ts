/**
 * The balancer behind the addresses that stand for services: what connects to one of their ports is
 * passed on to a ready task, wherever in the cluster that is.
 *
 * 1. A port of such an address is shared with the port of the same number on all addresses, which may be
 *    published for another service: the more exact one gets the connection.
 * 2. An address is claimed by a socket of its own that is shared with nobody.
 *
 * @module
 */
import type { ServiceEndpoints } from "../../kv/schema/endpoint.ts";
import { portName } from "../../kv/schema/port.ts";
import type { Clock } from "../../kv/schema/time.ts";
import { createPool, type Pool } from "../balancer/pool.ts";
import { createProxies } from "../balancer/proxies.ts";
import type { Table } from "../balancer/table.ts";
import { listenTcp, type Proxy } from "../balancer/tcp_proxy.ts";
import { listenUdp } from "../balancer/udp_proxy.ts";
import { claimAddress } from "../datagram.ts";
import type { Log } from "../log.ts";
import { messageOf } from "../state_file.ts";
import type { Front, Opened } from "./virtual.ts";

export interface Fronts {
  claim(address: string): Promise<Opened>;
  open(front: Front): Promise<Opened>;
  /** Makes this the table in effect. */
  update(table: Pick<Table, "services">): void;
  /** Closes idle connections until the signal aborts, then ends all. */
  run(signal: AbortSignal): Promise<void>;
}

interface OpenFront {
  front: Front;
  pool: Pool;
  proxy: Proxy;
}

export function createFronts(
  { nodeId, clock, log }: { nodeId: string; clock: Clock; log: Log },
): Fronts {
  const open = new Set<OpenFront>();
  const listening = () => Array.from(open, ({ proxy }) => proxy);
  const proxies = createProxies({ clock, log, listening });
  let services: Table["services"] = new Map();

  function follow({ front: { serviceId, taskId, port }, pool, proxy }: OpenFront): void {
    const service = services.get(serviceId);
    pool.update(service && only(service, taskId));
    const balancing = balancingOf(service, port);
    if (balancing) proxy.route = { pool, balancing };
  }

  return {
    async claim(address) {
      try {
        return { ok: true, close: await claimAddress(address) }; // invariant 2
      } catch (error) {
        return notOpened(error);
      }
    },
    async open(front) {
      const { address, port, serviceId, taskId } = front;
      const service = services.get(serviceId);
      const balancing = balancingOf(service, port);
      if (!service || !balancing) {
        return { ok: false, why: "failed", message: `no such port: ${portName(published(port))}` };
      }
      const pool = createPool(port, { nodeId });
      pool.update(only(service, taskId));
      const place = { hostname: address, port: port.target, shared: true }; // invariant 1
      const route = { pool, balancing };
      try {
        const proxy = port.protocol === "tcp"
          ? listenTcp(place, route, proxies.deps)
          : await listenUdp(place, route, proxies.deps);
        const one = { front, pool, proxy };
        open.add(one);
        follow(one); // The table may have changed meanwhile.
        return {
          ok: true,
          close() {
            open.delete(one);
            proxies.leave(proxy);
            return Promise.resolve();
          },
        };
      } catch (error) {
        return notOpened(error);
      }
    },
    update(table) {
      services = table.services;
      for (const one of open) follow(one);
    },
    run: proxies.run,
  };
}

function only(service: ServiceEndpoints, taskId: string | undefined): ServiceEndpoints {
  if (taskId === undefined) return service;
  return { ...service, endpoints: service.endpoints.filter((task) => task.taskId === taskId) };
}

function balancingOf(service: ServiceEndpoints | undefined, port: Front["port"]) {
  return service?.ports.find(({ target, protocol }) =>
    target === port.target && protocol === port.protocol
  )?.balancing;
}

const published = ({ target, protocol }: Front["port"]) => ({ protocol, published: target });

function notOpened(error: unknown): Opened {
  const message = messageOf(error);
  if (/EADDRINUSE|in use/i.test(message)) {
    return { ok: false, why: "taken", message: "another program of this machine has the port" };
  }
  const elsewhere = /EADDRNOTAVAIL|not available|cannot assign/i.test(message);
  return { ok: false, why: elsewhere ? "elsewhere" : "failed", message };
}
