import { assertEquals } from "@std/assert";
import { RollbackConfig, UpdateConfig } from "../../kv/schema/update.ts";

/** Of `docker service create --help`, 28.2. */
const SWARM = {
  ...{ parallelism: 1, delayMs: 0, order: "stop-first", monitorMs: 5_000 },
  ...{ maxFailureRatio: 0, failureAction: "pause" },
};

Deno.test("an update for which nobody says how is Swarm's", () => {
  const { strategy, progressDeadlineMs: _p, drainMs: _d, canary: _c, promote: _m, ...update } =
    UpdateConfig.parse({});
  assertEquals([strategy, update], ["rolling", SWARM]);
  assertEquals<unknown>(RollbackConfig.parse({}), SWARM);
});
