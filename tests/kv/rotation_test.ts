import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { key } from "../../kv/keys.ts";
import { finishRotations } from "../../kv/rotation.ts";
import { steerRollout } from "../../kv/rollouts.ts";
import { listRevisions } from "../../kv/revisions.ts";
import { rotateSealed } from "../../kv/sealed.ts";
import { oldValues } from "../../kv/sealed_sweep.ts";
import { createService, putService } from "../../kv/services.ts";
import { getService } from "../../kv/service_reads.ts";
import type { Kv } from "../../kv/store.ts";
import { before, bound, dump, withKv } from "../support/kv.ts";
import { assertOk, assertRefused } from "../support/outcome.ts";
import { create, dataOf, depsOf, PROJECT, rotate, using, valueOf, WEB } from "../support/sealed.ts";
import { specOf } from "../support/seed.ts";

Deno.test("a new value is a new revision of the services that refer to it; the same value is nothing", () =>
  withKv(async (kv) => {
    const deps = depsOf(kv);
    const { id } = await create(deps, "pw", "one");
    assertOk(await createService(deps, using("pw")));
    assertOk(await createService(deps, specOf({ name: "other" })));
    assertEquals((await rotate(deps, "pw", "one")).version, 1);
    assertEquals(assertOk(await getService(kv, WEB)).revision, 1);
    const rotated = await rotate(deps, "pw", "two");
    assertEquals([rotated.version, rotated.usedBy], [2, ["web"]]);
    const web = assertOk(await getService(kv, WEB));
    assertEquals([web.revision, web.resolved?.secrets], [2, { pw: { id, version: 2 } }]);
    const other = assertOk(await getService(kv, { ref: "other", project: PROJECT }));
    assertEquals([other.revision, other.resolved], [1, undefined]);
    assertEquals([...(await dump(kv)).keys()].filter((k) => k.startsWith("rotation")), []);
    const history = assertOk(await listRevisions(kv, WEB, { limit: 10 }));
    assertEquals(history.items[0]?.changes, ["secret pw version 1 → 2"]);
  }));

Deno.test("going back to a revision brings its values back, as long as they are there", () =>
  withKv(async (kv) => {
    const deps = depsOf(kv);
    const { id } = await create(deps, "pw", "one");
    assertOk(await createService(deps, using("pw")));
    await rotate(deps, "pw", "two");
    const undone = assertOk(await steerRollout(deps, WEB, { action: "undo", to: 1 })).value;
    assertEquals(undone.resolved?.secrets, { pw: { id, version: 1 } });
    assertEquals(await valueOf(deps, id, 1), "one");
    await rotate(deps, "pw", "three");
    const renewed = assertOk(await getService(kv, WEB));
    assertEquals([renewed.revision, renewed.resolved?.secrets], [3, { pw: { id, version: 3 } }]);
    await kv.atomic().delete(key.sealedValue("secret", id, 1, 0)).commit();
    const refusal = assertRefused(await steerRollout(deps, WEB, { action: "undo", to: 1 }));
    assertStringIncludes(refusal.detail, "secret pw");
  }));

Deno.test("a new value reaches a service also while another thing that it refers to is marked for removal", () =>
  withKv(async (kv) => {
    const deps = depsOf(kv);
    const { id } = await create(deps, "pw", "one");
    const other = await create(deps, "cert", "one");
    const { template } = using("pw");
    const secrets = [{ source: "pw" }, { source: "cert" }];
    assertOk(await createService(deps, using("pw", { template: { ...template, secrets } })));
    const at = key.sealed("secret", other.id);
    const { value } = await kv.get<object>(at);
    await kv.atomic().set(at, { ...value, removing: true }).commit();
    await rotate(deps, "pw", "two");
    const web = assertOk(await getService(kv, WEB));
    const pins = { pw: { id, version: 2 }, cert: { id: other.id, version: 1 } };
    assertEquals([web.revision, web.resolved?.secrets], [2, pins]);
  }));

Deno.test("a rotation that was cut off is finished by the next one to look, each service once", () =>
  withKv(async (kv) => {
    const deps = depsOf(kv);
    const { id } = await create(deps, "pw", "one");
    for (const name of ["a", "b", "c"]) assertOk(await createService(deps, using("pw", { name })));
    let services = 0;
    const dying: Kv = {
      ...bound(kv),
      atomic() {
        const op = kv.atomic();
        const set = op.set.bind(op);
        op.set = (at, value) => {
          if (at[0] === "service" && ++services > 1) throw new Error("killed");
          return set(at, value);
        };
        return op;
      },
    };
    const ref = { kind: "secret" as const, ref: "pw", project: PROJECT };
    await rotateSealed({ ...deps, kv: dying }, ref, { data: dataOf("two") }).then(
      () => assert(false, "it lived"),
      (error) => assertEquals(String(error), "Error: killed"),
    );
    const revisions = async () =>
      await Promise.all(["a", "b", "c"].map(async (name) => {
        const { revision, resolved } = assertOk(
          await getService(kv, { ref: name, project: PROJECT }),
        );
        return `${revision}:${resolved?.secrets.pw?.version}`;
      }));
    assertEquals(await revisions(), ["2:2", "1:1", "1:1"]);
    await finishRotations(deps);
    await finishRotations(deps);
    assertEquals(await revisions(), ["2:2", "2:2", "2:2"]);
    assertEquals(await valueOf(deps, id, 2), "two");
  }));

Deno.test("a job keeps what it began with; a cron service gets the new value", () =>
  withKv(async (kv) => {
    const deps = depsOf(kv);
    await create(deps, "pw", "one");
    assertOk(await createService(deps, using("pw", { name: "job", mode: { type: "job" } })));
    const cron = { type: "cron", schedule: "@daily" } as const;
    assertOk(await createService(deps, using("pw", { name: "cron", mode: cron })));
    await rotate(deps, "pw", "two");
    const version = async (ref: string) =>
      assertOk(await getService(kv, { ref, project: PROJECT })).resolved?.secrets.pw?.version;
    assertEquals([await version("job"), await version("cron")], [1, 2]);
  }));

Deno.test("old values go once no revision refers to them, the newest stays", () =>
  withKv(async (kv) => {
    const deps = depsOf(kv);
    await create(deps, "pw", "1");
    await create(deps, "alone", "1");
    await rotate(deps, "alone", "2");
    assertOk(await createService(deps, using("pw")));
    for (const text of ["2", "3", "4"]) await rotate(deps, "pw", text);
    const { id } = assertOk(await getService(kv, WEB));
    await kv.atomic().delete(key.revision(id, 2)).delete(key.revision(id, 3)).commit();
    const old = (await oldValues(kv)).map((at) => at.slice(3).join("."));
    assertEquals(old.sort(), ["1.0", "2.0", "3.0"], "of alone the first, of pw two and three");
  }));

Deno.test("a rotation that others finished, or went beyond, changes nothing any more", () =>
  withKv(async (kv) => {
    const deps = depsOf(kv);
    const { id } = await create(deps, "pw", "one");
    assertOk(await createService(deps, using("pw")));
    assertOk(await putService(deps, WEB, specOf()));
    const ref = { kind: "secret" as const, ref: "pw", project: PROJECT };
    const pins = async () => {
      const { revision, resolved } = assertOk(await getService(kv, WEB));
      return [revision, resolved?.secrets.pw?.version];
    };
    await rotateSealed({ ...deps, kv: before(kv, "service", goBack) }, ref, {
      data: dataOf("two"),
    });
    assertEquals(await pins(), [1, 1], "its user went back to the first value");
    async function goBack() {
      await finishRotations(deps);
      assertOk(await steerRollout(deps, WEB, { action: "undo", to: 1 }));
    }
    await rotateSealed({ ...deps, kv: before(kv, "service", goOn) }, ref, {
      data: dataOf("three"),
    });
    assertEquals(await pins(), [1, 1], "the newest one has not begun");
    async function goOn() {
      await kv.atomic().set(key.rotation("secret", id), 4).commit();
    }
    await finishRotations(deps);
    assertEquals(await pins(), [3, 3]);
  }));
