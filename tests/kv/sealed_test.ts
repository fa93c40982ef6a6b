import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { key, prefix } from "../../kv/keys.ts";
import { rekey } from "../../kv/rekey.ts";
import { Sealed } from "../../kv/schema/sealed.ts";
import { createSealed, removeSealed } from "../../kv/sealed.ts";
import { getSealed, listSealed, openSealed } from "../../kv/sealed_reads.ts";
import { createService, deleteService, putService } from "../../kv/services.ts";
import { getRow, type Kv } from "../../kv/store.ts";
import { readTaskValues } from "../../kv/task_values.ts";
import { createVault, KEY_BYTES } from "../../kv/vault.ts";
import { idOf } from "../support/ids.ts";
import { bound, dump, withKv } from "../support/kv.ts";
import { assertOk, assertRefused } from "../support/outcome.ts";
import { create, dataOf, depsOf, PROJECT, rotate, using, valueOf, WEB } from "../support/sealed.ts";
import { seedTask, specOf } from "../support/seed.ts";

Deno.test("a value of any size up to the limit comes back as it was", () =>
  withKv(async (kv) => {
    const deps = depsOf(kv);
    for (const size of [0, 1, 59_999, 60_000, 60_001, 500 * 1024]) {
      const { id } = await create(deps, `s${size}`, "x".repeat(size));
      assertEquals((await valueOf(deps, id, 1)).length, size);
    }
    const request = {
      name: "big",
      project: PROJECT,
      labels: {},
      data: dataOf("x".repeat(512_001)),
    };
    const refusal = assertRefused(await createSealed(deps, "secret", request));
    assertEquals(refusal.errors?.[0]?.field, "data");
  }));

Deno.test("a stored value put under another name, version or part does not open", () =>
  withKv(async (kv) => {
    const deps = depsOf(kv);
    const a = await create(deps, "a", "x".repeat(60_001));
    const b = await create(deps, "b", "y".repeat(60_001));
    const move = async (from: Deno.KvKey, to: Deno.KvKey) => {
      await kv.atomic().set(to, (await kv.get(from)).value).commit();
      const row = (await getRow(kv, key.sealed("secret", a.id), Sealed))?.row;
      assert(row);
      assertRefused(await openSealed(deps, row, 1));
    };
    await move(key.sealedValue("secret", b.id, 1, 0), key.sealedValue("secret", a.id, 1, 0));
    await move(key.sealedValue("secret", a.id, 1, 1), key.sealedValue("secret", a.id, 1, 0));
  }));

Deno.test("a reference to what is missing is refused with its field, and nothing is stored", () =>
  withKv(async (kv) => {
    const deps = depsOf(kv);
    await create(deps, "there", "x");
    const before = await dump(kv);
    const spec = specOf({
      template: {
        image: "nginx:1.27",
        secrets: [{ source: "there" }, { source: "absent" }],
        configs: [{ source: "there" }],
      },
    });
    const refusal = assertRefused(await createService(deps, spec));
    assertEquals(refusal.errors?.map(({ field }) => field), [
      "template.secrets.1.source",
      "template.configs.0.source",
    ]);
    assertStringIncludes(refusal.detail, "there is no secret absent in project default");
    assertEquals(await dump(kv), before);
  }));

Deno.test("what a service or a task that has not ended refers to is not removed", () =>
  withKv(async (kv) => {
    const deps = depsOf(kv);
    const { id } = await create(deps, "pw", "one");
    const web = assertOk(await createService(deps, using("pw"))).value;
    const ref = { kind: "secret" as const, ref: "pw", project: PROJECT };
    const remove = () => removeSealed(deps, ref);
    assertStringIncludes(assertRefused(await remove()).detail, "in use by service web");
    await seedTask(kv, { id: idOf(500), serviceId: web.id, nodeId: idOf(501) });
    assertOk(await putService(deps, WEB, specOf()));
    assertEquals(assertRefused(await remove()).kind, "busy");
    await kv.atomic().delete(key.taskOf(web.id, idOf(500))).commit();
    assertOk(await remove());
    const left = [...(await dump(kv)).keys()].filter((k) => k.includes(id));
    assertEquals(left, []);
    assertEquals(assertRefused(await getSealed(kv, ref)).kind, "not-found");
  }));

Deno.test("a service that is made while its secret is removed gets it, or is refused: never neither", () =>
  withKv(async (kv) => {
    const deps = depsOf(kv);
    for (let round = 0; round < 20; round++) {
      const name = `s${round}`;
      await create(deps, name, "x");
      const ref = { kind: "secret" as const, ref: name, project: PROJECT };
      const [removed, made] = await Promise.all([
        removeSealed(deps, ref),
        createService(deps, using(name, { name: `w${round}` })),
      ]);
      assert(removed.ok !== made.ok, `${round}: removed ${removed.ok}, made ${made.ok}`);
      if (!made.ok) continue;
      assertOk(await deleteService(deps, { ref: `w${round}`, project: PROJECT }));
    }
  }));

Deno.test("a node gets the values of the tasks that it is to run, and of no others", () =>
  withKv(async (kv) => {
    const deps = depsOf(kv);
    await create(deps, "pw", "hunter2");
    await create(deps, "app", "[app]", "config");
    const template = {
      image: "nginx:1.27",
      secrets: [{ source: "pw" }],
      configs: [{ source: "app" }],
    };
    const web = assertOk(await createService(deps, specOf({ template }))).value;
    const [node, other, task] = [idOf(601), idOf(602), idOf(603)];
    await seedTask(kv, { id: task, serviceId: web.id, nodeId: node });
    const { files } = assertOk(await readTaskValues(deps, node, task));
    assertEquals(files, [
      { kind: "secret", source: "pw", version: 1, data: dataOf("hunter2") },
      { kind: "config", source: "app", version: 1, data: dataOf("[app]") },
    ]);
    assertEquals(assertRefused(await readTaskValues(deps, other, task)).kind, "not-found");
    assertEquals(assertRefused(await readTaskValues(deps, node, idOf(604))).kind, "not-found");
    await seedTask(kv, { id: task, serviceId: web.id, nodeId: node, desired: "stop" });
    assertEquals(assertRefused(await readTaskValues(deps, node, task)).kind, "not-found");
  }));

Deno.test("lists are by project and name, and page without gaps", () =>
  withKv(async (kv) => {
    const deps = depsOf(kv);
    const names = ["B.conf", "a", "c_d", "z"];
    for (const name of names) await create(deps, name, "x");
    const all: string[] = [];
    let cursor: string | undefined;
    do {
      const query = { limit: 1, ...(cursor === undefined ? {} : { cursor }) };
      const page = assertOk(await listSealed(kv, "secret", query));
      all.push(...page.items.map(({ name }) => name));
      cursor = page.next;
    } while (cursor !== undefined);
    assertEquals(all, names);
    assertEquals(assertOk(await listSealed(kv, "config", { limit: 10 })).items, []);
  }));

Deno.test("a new key before the old one seals everything anew; then the old one can go", () =>
  withKv(async (kv) => {
    const oldKey = new Uint8Array(KEY_BYTES).fill(1);
    const newKey = new Uint8Array(KEY_BYTES).fill(2);
    const before = { ...depsOf(kv), vault: await createVault([oldKey]) };
    assertOkRekey(await rekey(kv, before.vault, "test"), 0);
    const { id } = await create(before, "pw", "x".repeat(60_001));
    const both = await createVault([newKey, oldKey]);
    assertOkRekey(await rekey(kv, both, "test"), 2);
    assertOkRekey(await rekey(kv, both, "test"), 0);
    const alone = { ...before, vault: await createVault([newKey]) };
    assertOkRekey(await rekey(kv, alone.vault, "test"), 0);
    assertEquals((await valueOf(alone, id, 1)).length, 60_001);
    const refused = await rekey(kv, before.vault, "the file");
    assert(!refused.ok);
    assertStringIncludes(refused.problem, "the file");
  }));

function assertOkRekey(rekeyed: Awaited<ReturnType<typeof rekey>>, resealed: number): void {
  assertEquals(rekeyed, { ok: true, resealed, unreadable: [] });
}

Deno.test("no commit about secrets has more than ten checks, however many a service refers to", () =>
  withKv(async (kv) => {
    const deps = depsOf(kv);
    const names = Array.from({ length: 30 }, (_, i) => `s${i}`);
    for (const name of names) await create(deps, name, "x");
    let most = 0;
    const counting: Kv = {
      ...bound(kv),
      atomic() {
        const op = kv.atomic();
        let checks = 0;
        const check = op.check.bind(op);
        op.check = (...all) => {
          most = Math.max(most, checks += all.length);
          return check(...all);
        };
        return op;
      },
    };
    const template = { image: "nginx:1.27", secrets: names.map((source) => ({ source })) };
    assertOk(await createService({ ...deps, kv: counting }, specOf({ template })));
    await rotate({ ...deps, kv: counting }, "s7", "y");
    assert(most <= 10, `${most} checks`);
    let values = 0;
    for await (const _ of kv.list({ prefix: prefix.sealedValues() })) values++;
    assertEquals(values, 31);
  }));
