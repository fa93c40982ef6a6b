import { assertEquals } from "@std/assert";
import { key } from "../../kv/keys.ts";
import { TaskRestarts } from "../../kv/schema/rollout.ts";
import { getRow, type Kv } from "../../kv/store.ts";
import { requestTaskRestart } from "../../kv/task_restarts.ts";
import { countingIds, idOf } from "../support/ids.ts";
import { bound, withKv } from "../support/kv.ts";
import { assertOk, assertRefused } from "../support/outcome.ts";
import { seedTasksOn } from "../support/seed.ts";

const SERVICE = idOf(2);
const WEB_1 = { ref: "web.1", project: "default" };

Deno.test("a restart of a task is asked for once; those asked for before stay", () =>
  withKv(async (kv) => {
    const ids = await seedTasksOn(kv, { nodeId: idOf(1), serviceId: SERVICE, tasks: 2 });
    const deps = { kv, newId: countingIds(500) };
    for (const slot of [1, 2, 1]) {
      assertOk(await requestTaskRestart(deps, { ...WEB_1, ref: `web.${slot}` }));
    }
    assertEquals((await getRow(kv, key.taskRestarts(SERVICE), TaskRestarts))?.row.tasks, ids);
  }));

Deno.test("a restart that is asked for while the service goes leaves nothing behind", () =>
  withKv(async (kv) => {
    const [id = ""] = await seedTasksOn(kv, { nodeId: idOf(1), serviceId: SERVICE, tasks: 1 });
    let gone = false;
    const getMany = async (keys: Deno.KvKey[]) => {
      if (!gone && keys[0]?.[0] === "task_restarts") {
        gone = true;
        await kv.atomic().delete(key.task(id)).delete(key.taskOf(SERVICE, id))
          .delete(key.service(SERVICE)).delete(key.serviceName("default", "web")).commit();
      }
      return await kv.getMany(keys);
    };
    const late = { ...bound(kv), getMany: getMany as Kv["getMany"] };
    const refused = await requestTaskRestart({ kv: late, newId: countingIds(500) }, WEB_1);
    assertEquals(assertRefused(refused).kind, "not-found");
    assertEquals((await kv.get(key.taskRestarts(SERVICE))).value, null);
  }));
