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
import { createDeadlines } from "../balancer/deadlines.ts";
import { createPool, type Pool } from "../balancer/pool.ts";
import { createBuffers } from "../balancer/splice.ts";
import type { Table } from "../balancer/table.ts";
import { listenTcp, type Proxy, type ProxyDeps } from "../balancer/tcp_proxy.ts";
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

const SWEEP_MS = 1_000;

export function createFronts(
  { nodeId, clock, log }: { nodeId: string; clock: Clock; log: Log },
): Fronts {
  const ticker = { nowMs: clock.monoMs() };
  const deadlines = createDeadlines(clock);
  const proxyDeps: ProxyDeps = { buffers: createBuffers(), ticker, clock, deadlines, log };
  const open = new Set<OpenFront>();
  /** No longer listening, with connections that live on. */
  const leaving = new Set<Proxy>();
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
          ? listenTcp(place, route, proxyDeps)
          : await listenUdp(place, route, proxyDeps);
        const one = { front, pool, proxy };
        open.add(one);
        follow(one); // The table may have changed meanwhile.
        return {
          ok: true,
          close() {
            open.delete(one);
            proxy.close();
            if (proxy.connections > 0) leaving.add(proxy);
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
    async run(signal) {
      const all = () => [...Array.from(open, ({ proxy }) => proxy), ...leaving];
      while (!signal.aborted) {
        ticker.nowMs = clock.monoMs();
        for (const proxy of all()) proxy.sweep(ticker.nowMs);
        for (const proxy of leaving) if (proxy.connections === 0) leaving.delete(proxy);
        await clock.sleep(SWEEP_MS, signal);
      }
      for (const proxy of all()) proxy.cut();
      deadlines.close();
    },
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
