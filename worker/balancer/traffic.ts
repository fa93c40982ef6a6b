/**
 * A node's traffic: the feed of endpoints and the balancer that follows it, for one life of the agent.
 *
 * @module
 */
import type { Client } from "../../api/client.ts";
import type { UnboundPort } from "../../kv/schema/node.ts";
import type { Clock } from "../../kv/schema/time.ts";
import type { Log } from "../log.ts";
import { createBalancer } from "./balancer.ts";
import { createTableStore, followEndpoints } from "./feed.ts";
import type { Table } from "./table.ts";

export interface TrafficDeps {
  client: Pick<Client, "pollEndpoints">;
  nodeId: string;
  clock: Clock;
  /** Uniform in [0, 1). */
  random: () => number;
  log: Log;
  /** Where the known endpoints are kept. */
  stateDir: string;
  /** Called with the ports that cannot be bound, whenever that changes. */
  onProblems(ports: UnboundPort[]): void;
  /** Called with each new table. */
  onTable?: (table: Table) => void;
}

/** Balances until the signal aborts. */
export async function runTraffic(deps: TrafficDeps, signal: AbortSignal): Promise<void> {
  const { nodeId, clock, log, onProblems, onTable = () => {} } = deps;
  const balancer = createBalancer({ nodeId, clock, log, onProblems });
  const store = createTableStore(deps.stateDir);
  const update = (table: Table) => {
    balancer.update(table);
    onTable(table);
  };
  await Promise.all([
    followEndpoints({ ...deps, store }, update, signal),
    balancer.run(signal),
  ]);
}
