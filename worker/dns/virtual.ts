/**
 * Addresses of this machine that stand for a service, or for one task, to the containers on it. Behind
 * each is the balancer. An address is given out, and its ports opened, when somebody first asks for the
 * name: a node listens for no more than its containers use.
 *
 * 1. An address is told only once its ports are open.
 * 2. A name keeps its address while the service lives, also across restarts of the agent: clients may
 *    remember it for as long as they like.
 * 3. One address stands for one thing. Other agents of the machine have addresses of the same network;
 *    who claims it first has it.
 *
 * @module
 */
import { z } from "zod";
import { Id } from "../../kv/schema/common.ts";
import type { ServiceEndpoints } from "../../kv/schema/endpoint.ts";
import type { Protocol } from "../../kv/schema/port.ts";
import type { Clock } from "../../kv/schema/time.ts";
import type { Log } from "../log.ts";
import type { Outcome } from "../runtime.ts";
import { type Pool, virtualAddresses } from "./pool.ts";
import type { Zone } from "./zone.ts";

/** What is listened on: a port of an address, for all tasks of the service or one. */
export interface Front {
  address: string;
  port: { target: number; protocol: Protocol };
  serviceId: string;
  taskId?: string;
}

/** `elsewhere`: the address is none of this machine's. */
export type Opened =
  | { ok: true; close: () => Promise<void> }
  | { ok: false; why: "taken" | "elsewhere" | "failed"; message: string };

export const SavedAddresses = z.array(z.object({
  serviceId: Id,
  taskId: Id.optional(),
  address: z.ipv4(),
}));
export type SavedAddresses = z.infer<typeof SavedAddresses>;

export interface VirtualDeps {
  pool: Pool;
  nodeId: string;
  /** Keeps other agents of this machine from using the address. */
  claim(address: string): Promise<Opened>;
  open(front: Front): Promise<Opened>;
  /** Makes the pool's addresses this machine's. */
  route(): Promise<Outcome>;
  clock: Clock;
  log: Log;
  /** What an earlier life gave out. */
  saved: SavedAddresses;
  save(addresses: SavedAddresses): void;
}

export interface Virtual {
  /** The address; undefined when there can be none. */
  of(service: ServiceEndpoints, taskId?: string): Promise<string | undefined>;
  /** Goes along with the whole of what there is: opens new ports, forgets what is gone. */
  follow(zone: Zone): Promise<void>;
  close(): Promise<void>;
}

interface Entry {
  serviceId: string;
  taskId?: string;
  address: string;
  release: () => Promise<void>;
  /** By port, like `tcp/8080`. */
  open: Map<string, () => Promise<void>>;
}

const MAX_TRIES = 16;
const MAX_ENTRIES = 10_000;
/** How long a machine that cannot have such addresses is left alone. */
const ROUTE_AGAIN_MS = 60_000;

export function createVirtual(deps: VirtualDeps): Virtual {
  const { pool, nodeId, clock, log } = deps;
  const entries = new Map<string, Entry>();
  const remembered = new Map(deps.saved.map((one) => [one.taskId ?? one.serviceId, one]));
  const underWay = new Map<string, Promise<string | undefined>>();
  let routing: Promise<boolean> | undefined;
  let routeFailedMs: number | undefined;
  let closed = false;

  function route(): Promise<boolean> {
    if (routeFailedMs !== undefined && clock.monoMs() - routeFailedMs < ROUTE_AGAIN_MS) {
      return Promise.resolve(false);
    }
    return routing ??= deps.route().then((outcome) => {
      routing = undefined;
      routeFailedMs = outcome.ok ? undefined : clock.monoMs();
      if (!outcome.ok) {
        log("warn", "this machine has no addresses for services; names reach its own tasks only", {
          reason: outcome.message,
        });
      }
      return outcome.ok;
    });
  }

  /** Opens what is not open yet and closes what is no longer the service's; the first failure. */
  async function open(entry: Entry, service: ServiceEndpoints) {
    const wanted = new Map(service.ports.map((port) => [`${port.protocol}/${port.target}`, port]));
    for (const [name, close] of entry.open) {
      if (wanted.has(name)) continue;
      entry.open.delete(name);
      await close();
    }
    const { address, serviceId, taskId } = entry;
    for (const [name, { target, protocol }] of wanted) {
      if (entry.open.has(name)) continue;
      const front = { address, port: { target, protocol }, serviceId };
      const opened = await deps.open(taskId === undefined ? front : { ...front, taskId });
      if (!opened.ok) return opened;
      entry.open.set(name, opened.close);
    }
    return undefined;
  }

  async function shut(entry: Entry): Promise<void> {
    const all = [...entry.open.values()];
    entry.open.clear();
    await Promise.all([...all, entry.release].map((close) => close()));
  }

  async function claim(address: string): Promise<Opened> {
    const claimed = await deps.claim(address);
    const elsewhere = !claimed.ok && claimed.why === "elsewhere";
    return elsewhere && await route() ? await deps.claim(address) : claimed;
  }

  async function settle(
    key: string,
    service: ServiceEndpoints,
    taskId: string | undefined,
  ): Promise<string | undefined> {
    let tries = 0;
    for (const address of candidates(key)) {
      if (++tries > MAX_TRIES || closed) break;
      const claimed = await claim(address); // invariant 3
      if (!claimed.ok && claimed.why === "taken") continue;
      if (!claimed.ok) break;
      const entry: Entry = {
        ...{ serviceId: service.id, address, open: new Map(), release: claimed.close },
        ...(taskId === undefined ? {} : { taskId }),
      };
      const failed = await open(entry, service);
      if (failed || closed) {
        if (failed) tell(service, failed.message);
        await shut(entry);
        break;
      }
      entries.set(key, entry); // invariant 1
      remember();
      return address;
    }
    return undefined;
  }

  function tell({ project, name }: ServiceEndpoints, reason: string): void {
    log("warn", "cannot listen for a service", { service: `${project}/${name}`, reason });
  }

  function* candidates(key: string): Generator<string> {
    const mine = new Set(Array.from(entries.values(), ({ address }) => address));
    const before = remembered.get(key); // invariant 2
    if (before && !mine.has(before.address)) yield before.address;
    for (const address of virtualAddresses(pool, `${nodeId} ${key}`)) {
      if (!mine.has(address)) yield address;
    }
  }

  function remember(): void {
    deps.save(Array.from(entries.values(), ({ serviceId, taskId, address }) => ({
      ...{ serviceId, address },
      ...(taskId === undefined ? {} : { taskId }),
    })));
  }

  async function of(service: ServiceEndpoints, taskId?: string): Promise<string | undefined> {
    if (closed || service.ports.length === 0) return undefined;
    const key = taskId ?? service.id;
    const entry = entries.get(key);
    if (entry) return entry.address;
    const already = underWay.get(key);
    if (already) return await already;
    if (entries.size >= MAX_ENTRIES) return undefined;
    const settling = settle(key, service, taskId).finally(() => underWay.delete(key));
    underWay.set(key, settling);
    return await settling;
  }

  return {
    of,
    async follow(zone) {
      for (const [key, { serviceId, taskId }] of remembered) {
        const service = zone.byId(serviceId);
        const lives = service?.endpoints.some((task) => task.taskId === taskId);
        if (service && (taskId === undefined || lives)) await of(service, taskId);
        remembered.delete(key);
      }
      let gone = false;
      for (const [key, entry] of entries) {
        const service = zone.byId(entry.serviceId);
        const { taskId } = entry;
        if (service && (!taskId || service.endpoints.some((task) => task.taskId === taskId))) {
          const failed = await open(entry, service);
          if (failed) tell(service, failed.message);
          continue;
        }
        entries.delete(key);
        gone = true;
        await shut(entry);
      }
      if (gone) remember();
    },
    async close() {
      closed = true;
      await Promise.all(underWay.values());
      await Promise.all(Array.from(entries.values(), shut));
      entries.clear();
    },
  };
}
