/**
 * Everything about names, for one life of the agent: put together from its parts.
 *
 * @module
 */
import type { Clock } from "../../kv/schema/time.ts";
import type { Table } from "../balancer/table.ts";
import type { Log } from "../log.ts";
import type { ProjectNetworks } from "../runtime.ts";
import { createSaver, messageOf, writeFileAtomically } from "../state_file.ts";
import { createForwarder } from "./forward.ts";
import { createFronts } from "./fronts.ts";
import { createNames } from "./names.ts";
import { type Pool, virtualNetwork } from "./pool.ts";
import { nameServers } from "./resolv.ts";
import { createVirtual, SavedAddresses } from "./virtual.ts";
import { createZone } from "./zone.ts";

export interface NameServiceDeps {
  networks: ProjectNetworks;
  pool: Pool;
  nodeId: string;
  clock: Clock;
  /** Uniform in [0, 1), and not to be guessed. */
  random: () => number;
  log: Log;
  stateDir: string;
  resolvConf?: string;
}

export interface NameService {
  /** Makes this the table in effect. */
  update(table: Table): void;
  /** Answers until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
}

const ROUTE_MS = 20_000;

/** `run` must be called before containers are made. */
export async function createNameService(deps: NameServiceDeps): Promise<NameService> {
  const { networks, pool, nodeId, clock, random, log, stateDir } = deps;
  const ended = new AbortController();
  const fronts = createFronts({ nodeId, clock, log });
  const store = createAddressStore(stateDir, log);
  const virtual = createVirtual({
    ...{ pool, nodeId, clock, log },
    claim: fronts.claim,
    open: fronts.open,
    route: () => networks.takeAddresses(virtualNetwork(pool), AbortSignal.timeout(ROUTE_MS)),
    saved: await store.load(),
    save: store.save,
  });
  const servers = () => readServers(deps.resolvConf ?? "/etc/resolv.conf");
  let zone = createZone([]);
  const names = createNames({
    ...{ networks, nodeId, virtual, servers, random, clock, log },
    zone: () => zone,
    forwarder: createForwarder({ servers, random, signal: ended.signal }),
  });
  networks.onUse(names.serve);
  let following = Promise.resolve();

  return {
    update({ services }) {
      zone = createZone(services.values());
      fronts.update({ services });
      // One after the other; each looks at what is newest then.
      following = following.then(() => virtual.follow(zone));
    },
    async run(signal) {
      await Promise.all([names.run(signal), fronts.run(signal)]);
      ended.abort();
      await following;
      await virtual.close();
      await store.settled();
    },
  };
}

async function readServers(path: string): Promise<string[]> {
  try {
    return nameServers(await Deno.readTextFile(path));
  } catch {
    return []; // A machine without resolvers has none to ask.
  }
}

/** Which address stands for what, kept in `dir`. Losing it costs clients that remember an address. */
function createAddressStore(dir: string, log: Log) {
  const path = `${dir}/addresses.json`;
  let latest: SavedAddresses = [];
  let writing: Promise<unknown> = Promise.resolve();
  const saver = createSaver(
    () => writeFileAtomically(path, JSON.stringify(latest)),
    (reason) => log("error", "cannot save the services' addresses", { reason }),
  );
  return {
    async load(): Promise<SavedAddresses> {
      try {
        return SavedAddresses.parse(JSON.parse(await Deno.readTextFile(path)));
      } catch (error) {
        if (error instanceof Deno.errors.NotFound) return [];
        log("warn", "the services' addresses are lost", { reason: messageOf(error).slice(0, 200) });
        return [];
      }
    },
    save(addresses: SavedAddresses) {
      latest = addresses;
      writing = saver.save();
    },
    settled: () => writing,
  };
}
