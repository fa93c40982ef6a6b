import { assertEquals, assertStringIncludes } from "@std/assert";
import { key } from "../../kv/keys.ts";
import { okValue, problemOf, withApi } from "../support/api.ts";
import { AT, seedNode, seedTask, specOf } from "../support/seed.ts";

const NODE = "01jd6z0c9m8k4v2q7x5w3t1r0d";
const TASK = "01jd6z0c9m8k4v2q7x5w3t1r0b";
const OTHER = "01jd6z0c9m8k4v2q7x5w3t1r0c";

Deno.test("restarting a service makes a revision that differs in nothing", () =>
  withApi(async (t) => {
    const client = t.client();
    okValue(await client.createService(specOf()));
    const asked = okValue(await client.steerRollout("web", { action: "restart" }));
    assertEquals([asked.revision, asked.template.image], [2, "nginx:1.27"]);
    const { items } = okValue(await client.listRevisions("web"));
    assertEquals(items.map(({ revision, changes }) => [revision, changes]), [
      [2, ["restart"]],
      [1, []],
    ]);
    okValue(await client.steerRollout("web", { action: "undo", to: 1 }));
    assertEquals(okValue(await client.steerRollout("web", { action: "restart" })).revision, 3);
  }));

Deno.test("restarting after a rollout was taken back does not bring the bad revision again", () =>
  withApi(async (t) => {
    const client = t.client();
    const { id } = okValue(await client.createService(specOf()));
    okValue(await client.putService("web", specOf({ template: { image: "bad" } })));
    const row = { revision: 2, state: "rolled-back", stable: 1, back: true, promoted: false };
    await t.kv.atomic().set(key.rollout(id), { ...row, at: AT }).commit();
    const asked = okValue(await client.steerRollout("web", { action: "restart" }));
    assertEquals([asked.revision, asked.template.image], [3, "nginx:1.27"]);
  }));

Deno.test("what has nothing to restart is refused with what to do instead", () =>
  withApi(async (t) => {
    const client = t.client();
    const modes = {
      once: specOf({ name: "once", mode: { type: "job" } }),
      daily: specOf({ name: "daily", mode: { type: "cron", schedule: "@daily" } }),
      off: specOf({ name: "off", stopped: true }),
    };
    for (const [name, spec] of Object.entries(modes)) {
      okValue(await client.createService(spec));
      const refused = problemOf(await client.steerRollout(name, { action: "restart" }));
      assertEquals(refused.status, 409, name);
      assertEquals(refused.hint === undefined, false, name);
      assertEquals(okValue(await client.getService(name)).revision, 1);
    }
  }));

Deno.test("restarts of tasks are remembered once each, and those that are over are forgotten", () =>
  withApi(async (t) => {
    const client = t.client();
    const { id } = okValue(await client.createService(specOf()));
    await seedNode(t.kv, NODE, "n1");
    const base = { serviceId: id, revision: 1, nodeId: NODE, failures: 0, createdAt: AT };
    await seedTask(t.kv, { ...base, id: TASK, slot: 1, desired: "run" });
    await seedTask(t.kv, { ...base, id: OTHER, slot: 2, desired: "run" });
    okValue(await client.restartTask("web.1"));
    okValue(await client.restartTask(TASK));
    const asked = async () => (await t.kv.get<{ tasks: string[] }>(key.taskRestarts(id))).value;
    assertEquals(await asked(), { tasks: [TASK] });
    await seedTask(t.kv, { ...base, id: TASK, slot: 1, desired: "stop" });
    okValue(await client.restartTask("web.2"));
    assertEquals(await asked(), { tasks: [OTHER] });
    const refused = problemOf(await client.restartTask(TASK));
    assertEquals(refused.status, 409);
    assertStringIncludes(refused.detail ?? "", "stopping");
    assertEquals(problemOf(await client.restartTask("nope.1")).status, 404);
  }));
