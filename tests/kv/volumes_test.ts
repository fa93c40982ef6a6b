import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { key } from "../../kv/keys.ts";
import type { ServiceSpecInput } from "../../kv/schema/service.ts";
import { systemClock } from "../../kv/schema/time.ts";
import { isShared } from "../../kv/schema/volume.ts";
import { createService, deleteService, putService, type ServiceDeps } from "../../kv/services.ts";
import { getService } from "../../kv/service_reads.ts";
import type { Kv } from "../../kv/store.ts";
import {
  beginRemoval,
  cancelRemoval,
  finishRemoval,
  getVolume,
  listVolumes,
} from "../../kv/volumes.ts";
import { countingIds } from "../support/ids.ts";
import { dump, withKv } from "../support/kv.ts";
import { assertOk, assertRefused } from "../support/outcome.ts";
import { specOf } from "../support/seed.ts";

const PROJECT = "default";
const DATA = { ref: "data", project: PROJECT };

function depsOf(kv: Kv): ServiceDeps {
  return { kv, clock: systemClock, newId: countingIds() };
}

type MountInput = NonNullable<ServiceSpecInput["template"]["mounts"]>[number];

function mounting(mount: Partial<MountInput> = {}, name = "db") {
  const mounts = [{ type: "volume", source: "data", target: "/data", ...mount } as MountInput];
  return specOf({ name, template: { image: "postgres:17", mounts } });
}

Deno.test("the first service that names a volume makes it, others share it", () =>
  withKv(async (kv) => {
    const deps = depsOf(kv);
    const options = { type: "none", device: "/srv", o: "bind" };
    const first = assertOk(await createService(deps, mounting({ options, labels: { a: "b" } })));
    const second = assertOk(await createService(deps, mounting({}, "dump")));
    const volume = assertOk(await getVolume(kv, DATA));
    assertEquals(first.value.resolved?.volumes, {
      data: { id: volume.id, options, labels: { a: "b" } },
    });
    assertEquals(second.value.resolved?.volumes, first.value.resolved?.volumes);
    assertEquals(volume.usedBy, ["db", "dump"]);
    assertEquals(volume.engineName, `berth-default-data-${volume.id}`);
    assertEquals(assertOk(await listVolumes(kv, { limit: 10 })).items.length, 1);
  }));

Deno.test("many services that name one new volume at once make one", () =>
  withKv(async (kv) => {
    const deps = depsOf(kv);
    const specs = Array.from({ length: 6 }, (_, i) => mounting({}, `db${i}`));
    const made = await Promise.all(specs.map((spec) => createService(deps, spec)));
    const ids = made.map((one) => assertOk(one).value.resolved?.volumes.data?.id);
    assertEquals(new Set(ids).size, 1);
  }));

Deno.test("another driver or other options than the volume was made with are refused with their field", () =>
  withKv(async (kv) => {
    const deps = depsOf(kv);
    assertOk(await createService(deps, mounting({ driver: "rexray" })));
    const before = await dump(kv);
    const other = mounting({ driver: "local", options: { size: "1" } }, "other");
    const refusal = assertRefused(await createService(deps, other));
    assertEquals(refusal.errors?.map(({ field }) => field), [
      "template.mounts.0.driver",
      "template.mounts.0.options",
    ]);
    assertStringIncludes(refusal.detail, 'was made with driver "rexray"');
    assertEquals(await dump(kv), before);
  }));

Deno.test("a volume is removed once no service names it, unless that was called off; the next of its name is another one", () =>
  withKv(async (kv) => {
    const deps = depsOf(kv);
    const db = assertOk(await createService(deps, mounting())).value;
    assertStringIncludes(assertRefused(await beginRemoval(deps, DATA)).detail, "service db");
    assertOk(await putService(deps, { ref: "db", project: PROJECT }, specOf({ name: "db" })));
    const first = assertOk(await beginRemoval(deps, DATA));
    const refusal = assertRefused(await createService(deps, mounting({}, "new")));
    assertStringIncludes(refusal.detail, "volume data is being removed");
    await cancelRemoval(deps, first.id);
    assertOk(await createService(deps, mounting({}, "new")));
    assertRefused(await beginRemoval(deps, DATA));
    assertRefused(await finishRemoval(deps, first.id));
    assertEquals(assertOk(await getVolume(kv, DATA)).usedBy, ["new"]);
    assertOk(await deleteService(deps, { ref: "new", project: PROJECT }));
    const { id } = assertOk(await getService(kv, { ref: "new", project: PROJECT }));
    await kv.atomic().delete(key.service(id)).delete(key.serviceName(PROJECT, "new")).commit();
    assertOk(await finishRemoval(deps, assertOk(await beginRemoval(deps, DATA)).id));
    assertEquals(assertRefused(await getVolume(kv, DATA)).kind, "not-found");
    const again = assertOk(await createService(deps, mounting({}, "again"))).value;
    assert(again.resolved?.volumes.data?.id !== first.id);
    assert(db.resolved?.volumes.data?.id === first.id);
  }));

Deno.test("a service that is made while its volume is removed gets one that is not being removed", () =>
  withKv(async (kv) => {
    const deps = depsOf(kv);
    for (let round = 0; round < 20; round++) {
      assertOk(await createService(deps, mounting({ source: `v${round}` } as never, "first")));
      const { id } = assertOk(await getService(kv, { ref: "first", project: PROJECT }));
      await kv.atomic().delete(key.service(id)).delete(key.serviceName(PROJECT, "first")).commit();
      const ref = { ref: `v${round}`, project: PROJECT };
      const [removal, made] = await Promise.all([
        beginRemoval(deps, ref),
        createService(deps, mounting({ source: `v${round}` } as never, `w${round}`)),
      ]);
      assert(!(removal.ok && made.ok), `round ${round}: both`);
    }
  }));

for (
  const [volume, shared] of [
    [{}, false],
    [{ driver: "local" }, false],
    [{ options: { type: "none", o: "bind", device: "/srv" } }, false],
    [{ driver: "local", options: { type: "nfs", o: "addr=nas", device: ":/x" } }, true],
    [{ options: { type: "cifs" } }, true],
    [{ driver: "vieux/sshfs" }, true],
  ] as const
) {
  Deno.test(`a volume of ${JSON.stringify(volume)} is ${shared ? "" : "not "}shared`, () =>
    assertEquals(isShared(volume), shared));
}
