/**
 * A balancer on loopback, for one test.
 *
 * @module
 */
import type { UnboundPort } from "../../kv/schema/node.ts";
import { type Clock, systemClock } from "../../kv/schema/time.ts";
import { type Balancer, createBalancer } from "../../worker/balancer/balancer.ts";
import { eventually } from "./eventually.ts";
import { idOf } from "./ids.ts";
import { freePort, type TableInput, tableOf } from "./traffic.ts";

export interface TestBalancer {
  balancer: Balancer;
  /** The port that tables publish, unless they say otherwise. */
  port: number;
  log: { level: string; message: string; fields: Record<string, unknown> }[];
  problems: UnboundPort[][];
  /** Puts a table into effect and waits until its ports are bound. */
  use(...inputs: TableInput[]): Promise<void>;
}

/** The balancer's node is `idOf(9)`, and so is that of places that name none. */
export async function withBalancer(
  run: (t: TestBalancer) => Promise<void>,
  { clock = systemClock }: { clock?: Clock } = {},
): Promise<void> {
  const log: TestBalancer["log"] = [];
  const problems: UnboundPort[][] = [];
  const balancer = createBalancer({
    nodeId: idOf(9),
    clock,
    log: (level, message, fields = {}) => void log.push({ level, message, fields }),
    hostnames: ["127.0.0.1"],
    onProblems: (ports) => void problems.push(ports),
  });
  const stop = new AbortController();
  const running = balancer.run(stop.signal);
  const port = freePort();
  try {
    await run({
      ...{ balancer, port, log, problems },
      async use(...inputs) {
        const published = inputs.map((input) => ({ published: port, ...input }));
        balancer.update(tableOf(...published));
        const names = published.map((one) => `${one.protocol ?? "tcp"}/${one.published}`).sort();
        await eventually(() => balancer.bound().sort().join() === names.join());
      },
    });
  } finally {
    stop.abort();
    await running;
  }
}
