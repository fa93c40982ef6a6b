import { assertEquals } from "@std/assert";
import { initCluster } from "../../kv/cluster.ts";
import { createElector } from "../../kv/leader.ts";
import { createService, putService } from "../../kv/services.ts";
import { key } from "../../kv/keys.ts";
import { steerRollout } from "../../kv/rollouts.ts";
import { systemClock } from "../../kv/schema/time.ts";
import { applyBatch } from "../../scheduler/apply.ts";
import { applyToService } from "../../scheduler/apply_services.ts";
import { loadWorld, refreshService } from "../../scheduler/load.ts";
import { countingIds } from "../support/ids.ts";
import { withKv } from "../support/kv.ts";
import { specOf } from "../support/seed.ts";

Deno.test("what the leader remembers of a rollout is there for the next one, and goes with the service", () =>
  withKv(async (kv) => {
    const deps = { kv, clock: systemClock, newId: countingIds(1) };
    await initCluster(kv, { newId: deps.newId, wallMs: 0 });
    const created = await createService(deps, specOf());
    if (!created.ok) throw new Error("not created");
    const { id } = created.value.value;
    const ref = { ref: "web", project: "default" };
    await putService(deps, ref, specOf({ template: { image: "two" } }));
    const elector = createElector({
      ...deps,
      replicaId: deps.newId(),
      exclusive: true,
      ttlMs: 1000,
      nodeTtlMs: () => 6000,
    });
    const campaign = await elector.campaign();
    if (!campaign.leads) throw new Error("does not lead");
    const { lease } = campaign;
    const world = await loadWorld(kv, 0, () => {});
    const row = {
      revision: 2,
      state: "rolling-back" as const,
      stable: 1,
      back: true,
      promoted: false,
      why: "it broke",
    };
    const actions = [{
      kind: "rollout" as const,
      serviceId: id,
      row,
      event: "rollout.rolling-back" as const,
    }];
    const options = { lease, seq: 1 };
    await applyBatch(deps, world, { actions, consumed: [], events: [] }, options);
    assertEquals(world.services.get(id)?.goal, 1);

    const next = await loadWorld(kv, 5, () => {});
    const record = next.services.get(id);
    const { at: _, ...stored } = record?.rollout ?? { at: "" };
    assertEquals([stored, record?.goal, record?.rolloutSinceMs], [row, 1, 5]);

    assertEquals((await steerRollout(deps, ref, { action: "pause" })).ok, true);
    const restarts = ["01jd6z0c9m8k4v2q7x5w3t1r0b"];
    await kv.atomic().set(key.taskRestarts(id), { tasks: restarts }).commit();
    await refreshService(kv, next, id);
    assertEquals(next.services.get(id)?.restarts, restarts);
    assertEquals((await loadWorld(kv, 6, () => {})).services.get(id)?.restarts, restarts);
    assertEquals(next.services.get(id)?.request?.want, "pause");

    await applyToService(deps, next, { kind: "remove", serviceId: id }, { lease, seq: 2 });
    for (
      const gone of [
        key.taskRestarts(id),
        key.rollout(id),
        key.rolloutRequest(id),
        key.revision(id, 2),
      ]
    ) {
      assertEquals((await kv.get(gone)).versionstamp, null);
    }
  }));
