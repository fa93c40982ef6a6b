import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import type { Lease } from "../../../kv/leader.ts";
import { key } from "../../../kv/keys.ts";
import { systemClock } from "../../../kv/schema/time.ts";
import { applyBatch } from "../../../scheduler/apply.ts";
import { applyToService, isServiceAction } from "../../../scheduler/apply_services.ts";
import { fork } from "../../../scheduler/forecast/fork.ts";
import { applyActions } from "../../../scheduler/forecast/reduce.ts";
import type { World } from "../../../scheduler/world.ts";
import { withKv } from "../../support/kv.ts";
import { aWorld } from "../../support/random_world.ts";
import { counter, planAll, world } from "../../support/world.ts";

/** Everything in a world but the times of day, which only the leader has. */
function inspect(made: World): string {
  return Deno.inspect(made, { depth: 12, iterableLimit: 1e6, sorted: true })
    .replaceAll(/"\d{4}-\d\d-\d\dT[0-9:.]+Z"/g, "TIME");
}

Deno.test("applying actions to a world does what the leader's commits do to theirs", () =>
  withKv(async (kv) => {
    const nowMs = 7000;
    const clock = { ...systemClock, monoMs: () => nowMs };
    const lease: Lease = { epoch: 1, guard: { key: key.epoch(), versionstamp: null } };
    let batches = 0;
    await fc.assert(
      fc.asyncProperty(aWorld, async (input) => {
        const leaders = world(input);
        const forked = fork(leaders);
        const { actions } = planAll(leaders, { nowMs, nodeTtlMs: 60_000 });
        const deps = { kv, clock, newId: counter() };
        const batch = {
          actions: actions.flatMap((action) => isServiceAction(action) ? [] : [action]),
          consumed: [],
          events: [],
        };
        assert((await applyBatch(deps, leaders, batch, { lease, seq: ++batches })).ok);
        for (const action of actions.filter(isServiceAction)) {
          const service = leaders.services.get(action.serviceId)?.service;
          if (service) await kv.atomic().set(key.service(service.id), service).commit();
          await applyToService(deps, leaders, action, { lease, seq: ++batches });
        }
        applyActions(forked, actions, counter(), nowMs);
        assertEquals(inspect(forked), inspect(leaders));
      }),
      { numRuns: 60 },
    );
  }));
