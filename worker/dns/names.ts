/**
 * Names for the containers of this node: a responder on each project's network, for as long as the
 * network is there.
 *
 * 1. A network's responder listens before the first container is made in it.
 * 2. Where none can listen, the containers go without: the engine then knows the names of the project's
 *    containers on this node, as it does for Compose.
 * 3. The networks are looked at again and again: one that the engine made anew, or could not be listened
 *    on before, is served; what nobody uses is removed.
 *
 * @module
 */
import type { Endpoint, ServiceEndpoints } from "../../kv/schema/endpoint.ts";
import type { Clock } from "../../kv/schema/time.ts";
import type { Log } from "../log.ts";
import type { ProjectNetwork, ProjectNetworks } from "../runtime.ts";
import { createAnswerer } from "./answerer.ts";
import type { Addresses } from "./answers.ts";
import type { Forwarder } from "./forward.ts";
import { reachableFromContainers } from "./resolv.ts";
import { listenForQueries, type Responder } from "./responder.ts";
import type { Virtual } from "./virtual.ts";
import type { Zone } from "./zone.ts";

export interface NamesDeps {
  networks: ProjectNetworks;
  nodeId: string;
  zone: () => Zone;
  virtual: Pick<Virtual, "of">;
  forwarder: Forwarder;
  /** The machine's resolvers. */
  servers: () => Promise<readonly string[]>;
  random: () => number;
  clock: Clock;
  log: Log;
  listen?: typeof listenForQueries;
}

export interface Names {
  /**
   * Begins to answer in the network. The name servers for its containers; undefined when none can be
   * had here.
   */
  serve(network: ProjectNetwork): Promise<string[] | undefined>;
  /** Looks after all networks until the signal aborts; then closes everything, and removes what is unused. */
  run(signal: AbortSignal): Promise<void>;
}

const LOOK_EVERY_MS = 20_000;
const ENGINE_MS = 10_000;
const LEAVE_MS = 3_000;
/** Addresses of containers may be so old. */
const LOCAL_MS = 500;

interface Served {
  network: ProjectNetwork;
  responder: Responder;
}

export function createNames(deps: NamesDeps): Names {
  const { networks, clock, log, listen = listenForQueries } = deps;
  const served = new Map<string, Served>();
  const starting = new Map<string, Promise<boolean>>();
  const silent = new Set<string>();
  let closed = false;

  async function start(network: ProjectNetwork): Promise<boolean> {
    const { project, gateway } = network;
    const before = served.get(project);
    if (before?.network.gateway === gateway) return true;
    served.delete(project);
    await before?.responder.close();
    const { zone, forwarder, random } = deps;
    const addresses = addressesIn(deps, project);
    const answer = createAnswerer({ project, zone, addresses, forwarder, random });
    const listening = await listen({ address: gateway, answer, log });
    if (!listening.ok) {
      if (!silent.has(project)) {
        log("warn", "no names for a project's containers here but those of their neighbours", {
          ...{ project, reason: listening.message },
        });
      }
      silent.add(project);
      return false;
    }
    silent.delete(project);
    if (closed) await listening.responder.close();
    else served.set(project, { network, responder: listening.responder });
    return true;
  }

  /** One start of a project's responder at a time. */
  function started(network: ProjectNetwork): Promise<boolean> {
    const { project } = network;
    const already = starting.get(project);
    if (already) return already;
    const mine = start(network).finally(() => starting.delete(project));
    starting.set(project, mine);
    return mine;
  }

  async function look(signal: AbortSignal): Promise<void> {
    const within = AbortSignal.any([signal, AbortSignal.timeout(ENGINE_MS)]);
    const pruned = await networks.prune(within);
    for (const project of pruned.ok ? pruned.value : []) {
      const gone = served.get(project);
      served.delete(project);
      await gone?.responder.close();
    }
    const listed = await networks.list(within);
    for (const network of listed.ok ? listed.value : []) await started(network); // invariant 3
  }

  return {
    async serve(network) {
      if (!await started(network)) return undefined; // invariant 2
      // Should the agent not run, the engine goes on to the others: for what is not ours.
      return [network.gateway, ...reachableFromContainers(await deps.servers())];
    },
    async run(signal) {
      try {
        while (!signal.aborted) {
          await look(signal);
          await clock.sleep(LOOK_EVERY_MS, signal);
        }
      } finally {
        closed = true;
        await Promise.all(starting.values());
        await Promise.all(Array.from(served.values(), ({ responder }) => responder.close()));
        served.clear();
        await networks.prune(AbortSignal.timeout(LEAVE_MS), { graceMs: 0 });
      }
    },
  };
}

/**
 * A service has an address of its own. Without ports, or where the machine has none to give, it is
 * where its containers on this machine are; and so are single tasks, which saves them the balancer.
 */
function addressesIn(
  { networks, nodeId, virtual, clock }: NamesDeps,
  project: string,
): Addresses {
  let local: { atMs: number; found: Promise<ReadonlyMap<string, string>> } | undefined;
  function neighbours(): Promise<ReadonlyMap<string, string>> {
    if (!local || clock.monoMs() - local.atMs > LOCAL_MS) {
      const found = networks.addresses(project, AbortSignal.timeout(ENGINE_MS))
        .then((answer) => answer.ok ? answer.value : new Map<string, string>());
      local = { atMs: clock.monoMs(), found };
    }
    return local.found;
  }
  async function neighbour(service: ServiceEndpoints, task: Endpoint) {
    if (service.project !== project || task.nodeId !== nodeId) return undefined;
    return (await neighbours()).get(task.taskId);
  }
  return {
    async ofService(service) {
      const address = await virtual.of(service);
      if (address !== undefined) return [address];
      const ready = service.endpoints.filter(({ state }) => state === "ready");
      const found = await Promise.all(ready.map((task) => neighbour(service, task)));
      return found.filter((one) => one !== undefined);
    },
    ofTask: async (service, task) =>
      await neighbour(service, task) ?? await virtual.of(service, task.taskId),
  };
}
