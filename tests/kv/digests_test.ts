import { assertEquals, assertStringIncludes } from "@std/assert";
import { readAssignments } from "../../kv/assignments.ts";
import { imagePin, settleDigest } from "../../kv/digests.ts";
import { createImmutable } from "../../kv/immutable.ts";
import { key } from "../../kv/keys.ts";
import { listRevisions } from "../../kv/revisions.ts";
import { systemClock } from "../../kv/schema/time.ts";
import { getService } from "../../kv/service_reads.ts";
import { putService } from "../../kv/services.ts";
import type { Kv } from "../../kv/store.ts";
import { countingIds, idOf } from "../support/ids.ts";
import { withKv } from "../support/kv.ts";
import { assertOk, assertRefused } from "../support/outcome.ts";
import { seedService, seedTask, specOf } from "../support/seed.ts";

const digest = (n: number) => `sha256:${String(n).repeat(64)}`;
const [node, other, task, service] = [idOf(1), idOf(2), idOf(3), idOf(4)];
const deps = (kv: Kv) => ({ kv, clock: systemClock, newId: countingIds(1000) });

async function seed(kv: Kv, image: string): Promise<void> {
  await seedService(kv, service, specOf({ template: { image } }));
  await seedTask(kv, { id: task, serviceId: service, nodeId: node });
}

Deno.test("of many nodes that say what a tag stands for the first is right, for all of them", () =>
  withKv(async (kv) => {
    await seed(kv, "app:1");
    const tasks = [task, idOf(11), idOf(12), idOf(13)];
    for (const id of tasks) await seedTask(kv, { id, serviceId: service, nodeId: node });
    const answers = await Promise.all(
      tasks.map((taskId, i) => settleDigest(kv, { nodeId: node, taskId, digest: digest(i) })),
    );
    const settled = new Set(answers.map((answer) => assertOk(answer).digest));
    assertEquals(settled.size, 1);
    const foreign = await settleDigest(kv, { nodeId: other, taskId: task, digest: digest(9) });
    assertEquals(assertRefused(foreign).kind, "not-found");
    for (const id of tasks) await kv.atomic().set(key.assign(node, id), 1).commit();
    const assignments = await readAssignments({ kv, immutable: createImmutable(kv) }, node);
    assertEquals(assignments.map((one) => one.digest), Array(4).fill([...settled][0]));
  }));

/** The digests of the service's revisions, the newest first, and what each changed. */
async function history(kv: Kv, id: string) {
  const page = assertOk(await listRevisions(kv, { ref: id, project: "default" }, { limit: 10 }));
  return page.items.map(({ revision, digest, changes }) => ({ revision, digest, changes }));
}

Deno.test("a new revision keeps the digest of its image, until the tag is to be pulled anew", () =>
  withKv(async (kv) => {
    const image = "ghcr.io/shop/app:1";
    const spec = (env: Record<string, string> = {}) => specOf({ template: { image, env } });
    await seedService(kv, service, spec());
    const put = (next: ReturnType<typeof spec>, pull = false) =>
      putService(deps(kv), { ref: service, project: "default" }, next, { pull });
    const settle = async (revision: number, n: number) => {
      const id = idOf(20 + revision);
      await seedTask(kv, { id, serviceId: service, nodeId: node, revision });
      assertOk(await settleDigest(kv, { nodeId: node, taskId: id, digest: digest(n) }));
    };
    await settle(1, 1);
    const changed = assertOk(await put(spec({ LEVEL: "debug" })));
    assertEquals(changed.value.imagePin, { digest: digest(1) });
    const same = assertOk(await put(spec({ LEVEL: "debug" })));
    assertEquals(same.value.revision, 2, "an unchanged spec changes nothing");
    const pulled = assertOk(await put(spec({ LEVEL: "debug" }), true));
    assertEquals([pulled.value.revision, pulled.value.imagePin?.digest], [3, undefined]);
    await settle(3, 2);
    assertEquals(await history(kv, service), [
      {
        ...{ revision: 3, digest: digest(2) },
        changes: ["digest sha256:111111111111 → sha256:222222222222"],
      },
      { revision: 2, digest: digest(1), changes: ["env +LEVEL"] },
      { revision: 1, digest: digest(1), changes: [] },
    ]);
    const other = specOf({ template: { image: "ghcr.io/shop/app:2" } });
    const moved = assertOk(await put(other));
    assertEquals(moved.value.imagePin?.digest, undefined, "another image is another digest");
  }));

Deno.test("with the pull policy always each revision looks its tag up anew", () =>
  withKv(async (kv) => {
    const spec = (env: Record<string, string>) =>
      specOf({ template: { image: "app:1", pullPolicy: "always", env } });
    await seedService(kv, service, spec({}));
    await seedTask(kv, { id: task, serviceId: service, nodeId: node });
    assertOk(await settleDigest(kv, { nodeId: node, taskId: task, digest: digest(1) }));
    const ref = { ref: service, project: "default" };
    const changed = assertOk(await putService(deps(kv), ref, spec({ A: "1" })));
    assertEquals(changed.value.imagePin?.digest, undefined);
  }));

Deno.test("what has no tag to look up is refused to be pulled anew, with the field named", () =>
  withKv(async (kv) => {
    for (
      const [template, field] of [
        [{ image: `app@${digest(1)}` }, "template.image"],
        [{ image: "app:1", pullPolicy: "never" }, "template.pullPolicy"],
      ] as const
    ) {
      const id = field === "template.image" ? idOf(31) : idOf(32);
      const spec = specOf({ name: field === "template.image" ? "a" : "b", template });
      await seedService(kv, id, spec);
      const ref = { ref: id, project: "default" };
      const refused = assertRefused(await putService(deps(kv), ref, spec, { pull: true }));
      assertEquals(refused.errors?.map((error) => error.field), [field]);
    }
  }));

Deno.test("a service says what it runs when its image has no digest", () =>
  withKv(async (kv) => {
    const template = { ...specOf({}).template, image: "app:1" };
    const note = (more: Partial<typeof template>, hasRun: boolean) =>
      imagePin({ ...template, ...more }, { settled: undefined, hasRun }).note?.split(":")[0];
    assertEquals(note({}, false), "not settled");
    assertEquals(note({}, true), "run by its tag");
    assertEquals(note({ pullPolicy: "never" }, false), "run by its tag");
    assertEquals(
      imagePin({ ...template, image: `app:1@${digest(1)}` }, {
        ...{ settled: undefined, hasRun: true },
      }),
      { digest: digest(1) },
    );
    await seedService(kv, service, specOf({ template: { image: "app:1" } }));
    const view = assertOk(await getService(kv, { ref: service, project: "default" }));
    assertStringIncludes(view.imagePin?.note ?? "", "not settled");
  }));

Deno.test("what a node says of a revision that was removed meanwhile leaves no row", () =>
  withKv(async (kv) => {
    await seed(kv, "app:1");
    const racing: Kv = {
      get: async <T>(...args: Parameters<Kv["get"]>) => {
        const entry = await kv.get<T>(...args);
        if (args[0][0] === "digest") await kv.atomic().delete(key.revision(service, 1)).commit();
        return entry;
      },
      getMany: (...args) => kv.getMany(...args),
      list: (...args) => kv.list(...args),
      atomic: () => kv.atomic(),
      watch: (...args) => kv.watch(...args),
      close: () => kv.close(),
    };
    const late = await settleDigest(racing, { nodeId: node, taskId: task, digest: digest(1) });
    assertEquals(assertRefused(late).kind, "not-found");
    assertEquals((await kv.get(key.digest(service, 1))).value, null);
  }));
