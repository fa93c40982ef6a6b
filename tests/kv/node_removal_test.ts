import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { readAssignments } from "../../kv/assignments.ts";
import { createImmutable } from "../../kv/immutable.ts";
import { key } from "../../kv/keys.ts";
import { removeNode } from "../../kv/node_removal.ts";
import { dropRestart, readNodeSettings, requestRestart } from "../../kv/node_settings.ts";
import { getNode } from "../../kv/node_reads.ts";
import { putNodeSpec } from "../../kv/nodes.ts";
import { NodeSpec } from "../../kv/schema/node.ts";
import { readQueue } from "../../kv/queue.ts";
import { report } from "../../kv/reports.ts";
import { systemClock } from "../../kv/schema/time.ts";
import type { Kv } from "../../kv/store.ts";
import { createTokenReader } from "../../kv/tokens.ts";
import { countingIds, idOf } from "../support/ids.ts";
import { bound, dump, withKv } from "../support/kv.ts";
import { assertOk, assertRefused } from "../support/outcome.ts";
import { seedNode, seedObserved, seedService, seedTask, seen, specOf } from "../support/seed.ts";

const NODE = idOf(1);

Deno.test("a node goes with its name and its credential, and the leader is woken", () =>
  withKv(async (kv) => {
    const credential = await seedNode(kv, NODE, "n1");
    assertOk(await removeNode({ kv, newId: countingIds() }, "n1", { force: false }));
    assertEquals(
      assertRefused(await getNode({ kv, immutable: createImmutable(kv) }, "n1")).kind,
      "not-found",
    );
    assertEquals(await createTokenReader({ kv, clock: systemClock }).find(credential), undefined);
    for (const row of [key.nodeName("n1"), key.nodeSpec(NODE), key.nodeToken(NODE)]) {
      assertEquals((await kv.get(row)).value, null);
    }
    assertEquals((await readQueue(kv, 10)).map((m) => m.message), [{ kind: "node", id: NODE }]);
    assertEquals(
      assertRefused(await removeNode({ kv, newId: countingIds() }, "n1", { force: true })).kind,
      "not-found",
    );
  }));

Deno.test("a node with tasks is removed by force only; ended ones do not count", () =>
  withKv(async (kv) => {
    await seedNode(kv, NODE, "n1");
    const serviceId = await seedService(kv, idOf(2), specOf());
    await seedTask(kv, { id: idOf(11), serviceId, nodeId: NODE });
    const deps = { kv, newId: countingIds() };
    const refusal = assertRefused(await removeNode(deps, "n1", { force: false }));
    assertEquals(refusal.kind, "busy");
    assertStringIncludes(refusal.detail, "1 task");
    await seedObserved(kv, seen(idOf(11), { state: "failed" }));
    assertOk(await removeNode(deps, "n1", { force: false }));
    await seedNode(kv, NODE, "n1");
    await seedTask(kv, { id: idOf(12), serviceId, nodeId: NODE });
    assertOk(await removeNode(deps, "n1", { force: true }));
  }));

Deno.test("a restart is asked for once, and done with when the agent names it", () =>
  withKv(async (kv) => {
    await seedNode(kv, NODE, "n1");
    const deps = { kv, newId: countingIds() };
    assertOk(await requestRestart(deps, "n1"));
    const { restart } = await readNodeSettings(kv, NODE);
    assertOk(await requestRestart(deps, "n1"));
    assertEquals((await readNodeSettings(kv, NODE)).restart, restart);
    await dropRestart(kv, NODE, idOf(99));
    assertEquals((await readNodeSettings(kv, NODE)).restart, restart);
    await dropRestart(kv, NODE, restart ?? "");
    assertEquals(await readNodeSettings(kv, NODE), {});
    assertEquals(assertRefused(await requestRestart(deps, "n2")).kind, "not-found");
  }));

Deno.test("assignments say what holds when the node is cut off, as the service has it now", () =>
  withKv(async (kv) => {
    const serviceId = await seedService(
      kv,
      idOf(2),
      specOf({ singleton: "strict", disconnect: { stopAfterMs: 5000 } }),
    );
    await seedTask(kv, { id: idOf(11), serviceId, nodeId: NODE });
    const [assignment] = await readAssignments({ kv, immutable: createImmutable(kv) }, NODE);
    assertEquals([assignment?.strict, assignment?.stopAfterMs], [true, 5000]);
  }));

Deno.test("of a node that was removed nothing is written any more, though its credential is good for a moment", () =>
  withKv(async (kv) => {
    await seedNode(kv, NODE, "n1");
    const serviceId = await seedService(kv, idOf(2), specOf());
    await seedTask(kv, { id: idOf(11), serviceId, nodeId: NODE });
    const deps = { kv, newId: countingIds() };
    assertOk(await removeNode(deps, "n1", { force: true }));
    const before = await dump(kv);
    const { unknown } = assertOk(await report(deps, NODE, { tasks: [seen(idOf(11))] }));
    assertEquals(unknown, [idOf(11)]);
    assertEquals(await dump(kv), before);
  }));

Deno.test("a restart that is asked for while the node is removed leaves nothing behind", () =>
  withKv(async (kv) => {
    await seedNode(kv, NODE, "n1");
    const deps = { kv, newId: countingIds() };
    const remove = async () => assertOk(await removeNode(deps, "n1", { force: true }));
    assertOk(await requestRestart({ ...deps, kv: afterReading(kv, remove) }, "n1"));
    assertEquals((await kv.get(key.nodeRestart(NODE))).value, null);
  }));

Deno.test("a restart that is asked for while the node's spec changes is not lost", () =>
  withKv(async (kv) => {
    await seedNode(kv, NODE, "n1");
    const deps = { kv, newId: countingIds() };
    const drain = async () => {
      assertOk(
        await putNodeSpec(
          { ...deps, clock: systemClock, immutable: createImmutable(kv) },
          "n1",
          NodeSpec.parse({ availability: "drain" }),
          {},
        ),
      );
    };
    assertOk(await requestRestart({ ...deps, kv: afterReading(kv, drain) }, "n1"));
    assert((await readNodeSettings(kv, NODE)).restart !== undefined);
  }));

/** The database, in which something happens, once, after several rows were read. */
function afterReading(kv: Kv, act: () => Promise<void>): Kv {
  let acted = false;
  const meanwhile = async <T>(read: Promise<T>): Promise<T> => {
    const rows = await read;
    if (!acted) {
      acted = true;
      await act();
    }
    return rows;
  };
  return { ...bound(kv), getMany: ((keys) => meanwhile(kv.getMany(keys))) as Kv["getMany"] };
}
