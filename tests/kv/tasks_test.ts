import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { readAssignments } from "../../kv/assignments.ts";
import { createImmutable } from "../../kv/immutable.ts";
import { key } from "../../kv/keys.ts";
import { getTask, listTasks } from "../../kv/tasks.ts";
import type { Kv } from "../../kv/store.ts";
import { countingIds, idOf } from "../support/ids.ts";
import { withKv } from "../support/kv.ts";
import { assertOk, assertRefused } from "../support/outcome.ts";
import { seedNode, seedService, seedTask, seedTasksOn, specOf } from "../support/seed.ts";

const depsOf = (kv: Kv) => ({ kv, immutable: createImmutable(kv), newId: countingIds(500_000) });
const NODE = idOf(1);
const SERVICE = idOf(2);

const seedWorld = (kv: Kv, tasks: number) =>
  seedTasksOn(kv, { nodeId: NODE, serviceId: SERVICE, tasks });

Deno.test("a task is found by its id, by the end of its id, and by service.slot", () =>
  withKv(async (kv) => {
    const deps = depsOf(kv);
    const [id = ""] = await seedWorld(kv, 2);
    for (const ref of [id, id.slice(-6), id.slice(-20), "web.1", `${SERVICE}.1`]) {
      assertEquals(assertOk(await getTask(deps, { ref, project: "default" })).id, id);
    }
    for (const ref of ["web.3", "nope.1", "zzzzzz", id.slice(-5), idOf(99)]) {
      assertEquals(
        assertRefused(await getTask(deps, { ref, project: "default" })).kind,
        "not-found",
      );
    }
  }));

Deno.test("an end that fits several ids is refused with the candidates", () =>
  withKv(async (kv) => {
    await seedWorld(kv, 0);
    const ids = ["0000000000000000000a123456", "0000000000000000000b123456"];
    for (const id of ids) await seedTask(kv, { id, serviceId: SERVICE });
    const refusal = assertRefused(
      await getTask(depsOf(kv), { ref: "123456", project: "default" }),
    );
    assertEquals(refusal.kind, "ambiguous");
    for (const id of ids) assertStringIncludes(refusal.detail, id);
  }));

Deno.test("service.slot is the newest live task of the slot, or else the newest", () =>
  withKv(async (kv) => {
    const deps = depsOf(kv);
    await seedWorld(kv, 0);
    const of = (n: number) => ({ id: idOf(n), serviceId: SERVICE, slot: 1, nodeId: NODE });
    const find = async () => assertOk(await getTask(deps, { ref: "web.1", project: "default" })).id;
    await seedTask(kv, { ...of(21), ended: "lost" });
    assertEquals(await find(), idOf(21));
    await seedTask(kv, of(22));
    await seedTask(kv, { ...of(23), ended: "lost" });
    assertEquals(await find(), idOf(22));
    await seedTask(kv, of(24));
    assertEquals(await find(), idOf(24));
  }));

Deno.test("lists filter by service, node and project, and page without gaps", () =>
  withKv(async (kv) => {
    const deps = depsOf(kv);
    const ids = await seedWorld(kv, 7);
    await seedNode(kv, idOf(3), "n2");
    await seedService(kv, idOf(4), specOf({ name: "api", project: "shop" }));
    await seedTask(kv, { id: idOf(41), serviceId: idOf(4), nodeId: idOf(3) });
    const all: string[] = [];
    let cursor: string | undefined;
    do {
      const page = assertOk(
        await listTasks(deps, { limit: 2, ...(cursor === undefined ? {} : { cursor }) }),
      );
      assert(page.items.length <= 2);
      all.push(...page.items.map((task) => task.id));
      cursor = page.next;
    } while (cursor !== undefined);
    assertEquals(all, [...ids, idOf(41)]);
    const listed = async (filter: Record<string, string>) =>
      assertOk(await listTasks(deps, { limit: 100, ...filter })).items.length;
    assertEquals(await listed({ service: "web" }), 7);
    assertEquals(await listed({ service: "api", project: "shop" }), 1);
    assertEquals(await listed({ node: "n2" }), 1);
    assertEquals(await listed({ node: "n2", service: "web" }), 0);
    assertEquals(await listed({ project: "shop" }), 1);
    assertEquals(
      assertRefused(await listTasks(deps, { limit: 1, service: "api" })).kind,
      "not-found",
    );
  }));

Deno.test("assignments are complete, with the template of each task's own revision", () =>
  withKv(async (kv) => {
    const ids = await seedWorld(kv, 25);
    const template = specOf({ template: { image: "nginx:2" } }).template;
    await kv.atomic().set(key.revision(SERVICE, 2), {
      serviceId: SERVICE,
      revision: 2,
      createdAt: "2030-01-01T00:00:00.000Z",
      template,
    }).commit();
    await seedTask(kv, { id: idOf(90), serviceId: SERVICE, slot: 26, revision: 2, nodeId: NODE });
    await seedTask(kv, { id: idOf(91), serviceId: SERVICE, slot: 27, nodeId: idOf(9) });
    const assigned = await readAssignments(depsOf(kv), NODE);
    assertEquals(assigned.map((a) => a.taskId), [...ids, idOf(90)]);
    assertEquals(assigned.at(0)?.template.image, "nginx:1.27");
    assertEquals(assigned.at(-1)?.template.image, "nginx:2");
    assertEquals(assigned.at(0)?.service, "web");
  }));

Deno.test("a list that would lack a live task is an error, not a shorter list", () =>
  withKv(async (kv) => {
    await seedWorld(kv, 1);
    await kv.atomic().delete(key.revision(SERVICE, 1)).commit();
    const failed = await readAssignments(depsOf(kv), NODE).then(() => "", (error) => String(error));
    assertStringIncludes(failed, "missing");
  }));
