import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { Client } from "../../api/client.ts";
import { key } from "../../kv/keys.ts";
import type { Rollout } from "../../kv/schema/rollout.ts";
import { okValue, problemOf, type TestApi, withApi } from "../support/api.ts";
import { AT, specOf } from "../support/seed.ts";

const at = (image: string, env: Record<string, string> = {}) =>
  specOf({ template: { image, env } });

/** A service with revisions 1 (one), 2 (two) and 3 (three). */
async function threeRevisions(client: Client): Promise<string> {
  const { id } = okValue(await client.createService(at("one", { A: "1", B: "1" })));
  okValue(await client.putService("web", at("two", { A: "2", C: "1" })));
  okValue(await client.putService("web", at("three", { A: "2", C: "1" })));
  return id;
}

async function remember(t: TestApi, id: string, more: Partial<Rollout>): Promise<void> {
  const row: Rollout = {
    revision: 3,
    state: "progressing",
    stable: 2,
    back: false,
    promoted: false,
    at: AT,
    ...more,
  };
  await t.kv.atomic().set(key.rollout(id), row).commit();
}

Deno.test("history lists revisions, the newest first, with what changed and no values", () =>
  withApi(async (t) => {
    const client = t.client();
    await threeRevisions(client);
    const first = okValue(await client.listRevisions("web", { limit: 2 }));
    assertEquals(first.items.map(({ revision, current }) => [revision, current]), [
      [3, true],
      [2, false],
    ]);
    assertEquals(first.items.map(({ changes }) => changes), [
      ["image two → three"],
      ["image one → two", "env ~A -B +C"],
    ]);
    const cursor = first.next ?? "";
    const rest = okValue(await client.listRevisions("web", { limit: 2, cursor }));
    assertEquals(rest.items.map(({ revision, changes }) => [revision, changes]), [[1, []]]);
    assertEquals(rest.next, undefined);
    assertEquals(problemOf(await client.listRevisions("nope")).status, 404);
  }));

Deno.test("history marks what the slots have: after a rollback the revision before", () =>
  withApi(async (t) => {
    const client = t.client();
    const id = await threeRevisions(client);
    await remember(t, id, { state: "rolled-back", back: true });
    const { items } = okValue(await client.listRevisions("web", { limit: 3 }));
    assertEquals(items.map(({ revision, current }) => [revision, current]), [
      [3, false],
      [2, true],
      [1, false],
    ]);
  }));

Deno.test("changing how to update, or the number of replicas, makes no revision", () =>
  withApi(async (t) => {
    const client = t.client();
    okValue(await client.createService(at("one")));
    const changed = okValue(
      await client.putService("web", {
        ...at("one"),
        mode: { type: "replicated", replicas: 5 },
        update: { parallelism: 3, order: "start-first" },
      }),
    );
    assertEquals([changed.revision, changed.update.parallelism], [1, 3]);
    assertEquals(changed.rollout?.state, "done");
  }));

Deno.test("undo goes to the revision before, to a given one, and never reuses a number", () =>
  withApi(async (t) => {
    const client = t.client();
    const id = await threeRevisions(client);
    const undone = okValue(await client.steerRollout("web", { action: "undo" }));
    assertEquals([undone.revision, undone.template.image], [2, "two"]);
    const first = okValue(await client.steerRollout("web", { action: "undo", to: 1 }));
    assertEquals([first.revision, first.template.image], [1, "one"]);
    assertEquals(okValue(await client.putService("web", at("four"))).revision, 4);
    await remember(t, id, { revision: 4, stable: 1 });
    assertEquals(okValue(await client.steerRollout("web", { action: "undo" })).revision, 1);
    const same = problemOf(await client.steerRollout("web", { action: "undo", to: 1 }));
    assertEquals([same.status, same.detail], [409, "service web is at revision 1 already"]);
    const none = problemOf(await client.steerRollout("web", { action: "undo", to: 9 }));
    assertEquals([none.status, none.detail], [404, "service web has no revision 9"]);
  }));

Deno.test("undo of a finished rollout goes back to what was in place before it, while that is kept", () =>
  withApi(async (t) => {
    const client = t.client();
    const id = await threeRevisions(client);
    await remember(t, id, { state: "done", stable: 3, previous: 1 });
    assertEquals(okValue(await client.steerRollout("web", { action: "undo" })).revision, 1);
    okValue(await client.steerRollout("web", { action: "undo", to: 3 }));
    await t.kv.atomic().delete(key.revision(id, 1)).commit();
    assertEquals(okValue(await client.steerRollout("web", { action: "undo" })).revision, 2);
  }));

Deno.test("pause, resume and promote are written for the leader, with its wake-up", () =>
  withApi(async (t) => {
    const client = t.client();
    const spec = { ...at("one"), update: { strategy: "canary" as const } };
    const { id } = okValue(await client.createService(spec));
    okValue(await client.putService("web", { ...at("two"), update: spec.update }));
    await remember(t, id, { revision: 2, stable: 1 });
    for (
      const [action, want] of [["pause", "pause"], ["resume", "run"], [
        "promote",
        "promote",
      ]] as const
    ) {
      const before = await t.kv.get(key.queueHead());
      okValue(await client.steerRollout("web", { action }));
      const { value } = await t.kv.get<{ want: string; revision: number }>(key.rolloutRequest(id));
      assertEquals([value?.want, value?.revision], [want, 2]);
      assert((await t.kv.get(key.queueHead())).versionstamp !== before.versionstamp);
    }
  }));

Deno.test("what cannot be steered is refused, and says why", () =>
  withApi(async (t) => {
    const client = t.client();
    const id = await threeRevisions(client);
    await remember(t, id, { state: "done", stable: 3 });
    const over = problemOf(await client.steerRollout("web", { action: "pause" }));
    assertEquals([over.status, over.detail], [409, "service web has no rollout under way: done"]);
    await remember(t, id, {});
    const plain = problemOf(await client.steerRollout("web", { action: "promote" }));
    assertStringIncludes(plain.detail ?? "", "nothing to promote");
    const to = problemOf(await client.steerRollout("web", { action: "pause", to: 2 }));
    assertEquals([to.status, to.errors?.[0]?.field], [400, "to"]);
    const stale = await client.steerRollout("web", { action: "undo" }, undefined, {
      ifMatch: "00000000000000000000",
    });
    assertEquals(problemOf(stale).status, 412);
    okValue(await client.createService({ ...at("one"), name: "job", mode: { type: "job" } }));
    const job = problemOf(await client.steerRollout("job", { action: "undo" }));
    assertEquals(job.status, 409);
    assertEquals(okValue(await client.getService("job")).rollout, undefined);
  }));

Deno.test("a repeated undo with one key is one undo", () =>
  withApi(async (t) => {
    const client = t.client();
    await threeRevisions(client);
    const undo = () =>
      client.steerRollout("web", { action: "undo" }, undefined, { idempotencyKey: "k" });
    assertEquals(okValue(await undo()).revision, 2);
    assertEquals(okValue(await undo()).revision, 2);
  }));

Deno.test("the view tells what the leader remembers, and which way it goes", () =>
  withApi(async (t) => {
    const client = t.client();
    const id = await threeRevisions(client);
    await remember(t, id, { state: "rolling-back", back: true, why: "it broke" });
    const { rollout, revision } = okValue(await client.getService("web"));
    assertEquals(revision, 3);
    assertEquals(rollout, {
      revision: 3,
      goal: 2,
      stable: 2,
      state: "rolling-back",
      updated: 0,
      total: 1,
      retiring: 0,
      since: AT,
      why: "it broke",
    });
  }));
