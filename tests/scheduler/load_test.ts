import { assert, assertEquals, assertRejects } from "@std/assert";
import { initCluster } from "../../kv/cluster.ts";
import { key } from "../../kv/keys.ts";
import { loadWorld, refreshService } from "../../scheduler/load.ts";
import { countingIds, idOf } from "../support/ids.ts";
import { withKv } from "../support/kv.ts";
import { AT, seedObserved, seedService, seen, specOf } from "../support/seed.ts";

const SERVICE = idOf(900_000);
/** More than two batches of a scan. */
const TASKS = 2_500;

Deno.test("a world has each task with what was observed of it, and names the rows of no task", () =>
  withKv(async (kv) => {
    await initCluster(kv, { newId: countingIds(), wallMs: 0 });
    await seedService(kv, SERVICE, specOf({ mode: { type: "replicated", replicas: TASKS } }));
    // Runs of tasks without an observed row, and of observed rows without a task, also at both ends.
    const isTask = (n: number) => n > 50 && n <= TASKS && n % 700 > 5;
    const isSeen = (n: number) => n % 3 > 0 && n % 900 > 40;
    for (let from = 1; from <= TASKS + 100; from += 100) {
      const op = kv.atomic();
      for (let n = from; n < from + 100; n++) {
        const id = idOf(n);
        const row = { id, serviceId: SERVICE, revision: 1, slot: n, desired: "run", failures: 0 };
        if (isTask(n)) op.set(key.task(id), { ...row, createdAt: AT });
        if (isSeen(n)) op.set(key.observed(id), seen(id));
      }
      await op.commit();
    }
    const orphans: unknown[] = [];
    const world = await loadWorld(kv, 0, () => {}, (row) => orphans.push(row[1]));
    const all = Array.from({ length: TASKS + 100 }, (_, i) => i + 1);
    assertEquals([...world.tasks.keys()], all.filter(isTask).map(idOf));
    for (const n of all.filter(isTask)) {
      assertEquals(world.tasks.get(idOf(n))?.observed !== undefined, isSeen(n), `task ${n}`);
    }
    assertEquals(orphans, all.filter((n) => isSeen(n) && !isTask(n)).map(idOf));
  }));

Deno.test("a row that does not parse is left out and named, with its field", () =>
  withKv(async (kv) => {
    await initCluster(kv, { newId: countingIds(), wallMs: 0 });
    await seedService(kv, SERVICE, specOf());
    const id = idOf(1);
    await kv.atomic().set(key.task(id), { id, serviceId: SERVICE, slot: "one" }).commit();
    await seedObserved(kv, seen(id));
    const bad: string[] = [];
    const world = await loadWorld(kv, 0, (row, problem) => bad.push(`${row}: ${problem}`));
    assertEquals(world.tasks.size, 0);
    assertEquals(bad.length, 1);
    assert(bad[0]?.startsWith(`task/${id}: revision: `), bad[0]);
  }));

Deno.test("a service of which a row cannot be read is not taken over in part: its volumes come with it", () =>
  withKv(async (kv) => {
    await initCluster(kv, { newId: countingIds(), wallMs: 0 });
    const world = await loadWorld(kv, 0, () => {});
    await seedService(kv, SERVICE, specOf());
    const volume = { id: idOf(5), project: "default", name: "data", createdAt: AT };
    const revision = await kv.get<object>(key.revision(SERVICE, 1));
    const resolved = { volumes: { data: { id: volume.id } } };
    await kv.atomic().set(key.volume(volume.id), volume)
      .set(key.revision(SERVICE, 1), { ...revision.value, resolved })
      .set(key.rolloutRequest(SERVICE), { damaged: true }).commit();
    await assertRejects(() => refreshService(kv, world, SERVICE), "rollout_request");
    assertEquals([world.services.size, world.volumes.size], [0, 0]);
    await kv.atomic().delete(key.rolloutRequest(SERVICE)).commit();
    assert(await refreshService(kv, world, SERVICE));
    assertEquals([...world.volumes.keys()], ["default/data"]);
  }));
