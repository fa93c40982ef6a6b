/**
 * A worker's balancer alone: listens on the first port that it is given and balances to the others.
 *
 * @module
 */
import { systemClock } from "../../kv/schema/time.ts";
import { createBalancer } from "../../worker/balancer/balancer.ts";
import { idOf } from "../support/ids.ts";
import { tableOf } from "../support/traffic.ts";

const [published = 0, ...backends] = Deno.args.map(Number);
const balancer = createBalancer({ nodeId: idOf(9), clock: systemClock, log: () => {} });
balancer.update(tableOf({ published, places: backends.map((port, i) => ({ task: i + 1, port })) }));
const stop = new AbortController();
Deno.addSignalListener("SIGTERM", () => stop.abort());
await balancer.run(stop.signal);
Deno.exit(0);
