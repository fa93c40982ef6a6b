import { assert, assertEquals, assertNotEquals, assertStringIncludes } from "@std/assert";
import { createImmutable } from "../../kv/immutable.ts";
import { key } from "../../kv/keys.ts";
import { getNode, listNodes } from "../../kv/node_reads.ts";
import { removeNode } from "../../kv/node_removal.ts";
import { joinNode, type NodeDeps, putFacts, putNodeSpec } from "../../kv/nodes.ts";
import { readQueue } from "../../kv/queue.ts";
import { timestamp } from "../../kv/schema/common.ts";
import { NodeSpec, type NodeSpecInput } from "../../kv/schema/node.ts";
import { systemClock } from "../../kv/schema/time.ts";
import type { Kv } from "../../kv/store.ts";
import { createTokenReader } from "../../kv/tokens.ts";
import { createFakeClock } from "../support/fake_clock.ts";
import { countingIds, idOf } from "../support/ids.ts";
import { dump, withKv } from "../support/kv.ts";
import { assertOk, assertRefused } from "../support/outcome.ts";
import {
  AT,
  factsOf,
  seedNode,
  seedObserved,
  seedService,
  seedTask,
  seen,
  specOf,
} from "../support/seed.ts";

function depsOf(kv: Kv): NodeDeps {
  let count = 0;
  return {
    kv,
    clock: systemClock,
    newId: countingIds(),
    randomToken: () => `random-${++count}`,
  };
}

const readsOf = (kv: Kv) => ({ kv, immutable: createImmutable(kv) });

Deno.test("a joined node has a name, a spec, a credential of its own and one wake-up", () =>
  withKv(async (kv) => {
    const deps = depsOf(kv);
    const { nodeId, credential } = assertOk(await joinNode(deps, factsOf("n1")));
    const view = assertOk(await getNode(readsOf(kv), "n1"));
    assertEquals(view.id, nodeId);
    assertEquals(view.status.state, "joining");
    assertEquals(view.spec, { labels: {}, availability: "active", pool: "default", taints: [] });
    const token = await createTokenReader(deps).find(credential);
    assertEquals([token?.kind, token?.nodeId], ["node", nodeId]);
    assertEquals((await readQueue(kv, 10)).map((m) => m.message), [{ kind: "node", id: nodeId }]);
  }));

Deno.test("of many nodes that join under one name exactly one is admitted", () =>
  withKv(async (kv) => {
    const deps = depsOf(kv);
    const all = await Promise.all(
      Array.from({ length: 8 }, () => joinNode(deps, factsOf("n1"))),
    );
    assertEquals(all.filter((outcome) => outcome.ok).length, 1);
  }));

Deno.test("the name of a node that is down stays taken, and the refusal says so", () =>
  withKv(async (kv) => {
    await seedNode(kv, idOf(1), "n1", { state: "down", since: AT, why: "silent" });
    const refusal = assertRefused(await joinNode(depsOf(kv), factsOf("n1")));
    assertEquals(refusal.kind, "name-taken");
    assertStringIncludes(refusal.detail, "down since");
    assertStringIncludes(refusal.hint ?? "", "--name");
  }));

Deno.test("a join whose answer got lost is repeated: the same node, another credential, both good", () =>
  withKv(async (kv) => {
    const deps = depsOf(kv);
    const once = { tokenId: idOf(7), key: "k", request: "r", wallMs: 0 };
    const first = assertOk(await joinNode(deps, factsOf("n1"), once));
    const second = assertOk(await joinNode(deps, factsOf("n1"), once));
    assertEquals(second.nodeId, first.nodeId);
    assertNotEquals(second.credential, first.credential);
    const reader = createTokenReader(deps);
    for (const { credential } of [first, second]) {
      assertEquals((await reader.find(credential))?.nodeId, first.nodeId);
    }
  }));

Deno.test("a join that arrives many times at once under one key makes one node", () =>
  withKv(async (kv) => {
    const deps = depsOf(kv);
    const once = { tokenId: idOf(7), key: "k", request: "r", wallMs: 0 };
    const all = await Promise.all(
      Array.from({ length: 6 }, () => joinNode(deps, factsOf("n1"), once)),
    );
    assertEquals(new Set(all.map((outcome) => assertOk(outcome).nodeId)).size, 1);
  }));

Deno.test("facts replace facts; unchanged ones write nothing, and the name stays", () =>
  withKv(async (kv) => {
    const deps = depsOf(kv);
    const { nodeId } = assertOk(await joinNode(deps, factsOf("n1")));
    const before = await dump(kv);
    assertOk(await putFacts(deps, nodeId, factsOf("n1")));
    const renamed = assertRefused(await putFacts(deps, nodeId, factsOf("n2")));
    assertEquals(renamed.errors?.[0]?.field, "name");
    assertEquals(await dump(kv), before);
    assertOk(await putFacts(deps, nodeId, { ...factsOf("n1"), address: "10.0.0.9" }));
    assertEquals(assertOk(await getNode(readsOf(kv), nodeId)).address, "10.0.0.9");
    assertEquals((await readQueue(kv, 10)).length, 2);
  }));

Deno.test("a node's spec is changed by its version, and facts do not change that version", () =>
  withKv(async (kv) => {
    const deps = { ...depsOf(kv), immutable: createImmutable(kv) };
    const { nodeId } = assertOk(await joinNode(deps, factsOf("n1")));
    const { version } = assertOk(await getNode(deps, nodeId));
    assertOk(await putFacts(deps, nodeId, { ...factsOf("n1"), address: "10.0.0.9" }));
    const cordon = NodeSpec.parse({ labels: { disk: "ssd" }, availability: "cordon" });
    const written = assertOk(await putNodeSpec(deps, "n1", cordon, { ifMatch: version }));
    assertEquals(written.value.spec, cordon);
    assertNotEquals(written.value.version, version);
    const before = await dump(kv);
    assertEquals(
      assertRefused(await putNodeSpec(deps, "n1", cordon, { ifMatch: version })).kind,
      "changed",
    );
    assertOk(await putNodeSpec(deps, "n1", cordon));
    assertEquals(await dump(kv), before);
  }));

Deno.test("a node that is drained says by when, from the time at which that was asked first", () =>
  withKv(async (kv) => {
    const clock = createFakeClock();
    const deps = { ...depsOf(kv), clock, immutable: createImmutable(kv) };
    assertOk(await joinNode(deps, factsOf("n1")));
    const put = async (spec: NodeSpecInput) =>
      assertOk(await putNodeSpec(deps, "n1", NodeSpec.parse(spec))).value;
    const since = timestamp(clock.wallMs());
    const asked = await put({ availability: "drain", drain: { deadlineMs: 60_000 } });
    assertEquals(
      asked.spec,
      NodeSpec.parse({ availability: "drain", drain: { deadlineMs: 60_000 } }),
    );
    const deadlineAt = (ms: number) => timestamp(Date.parse(since) + ms);
    assertEquals(asked.drain, { left: 0, since, deadlineAt: deadlineAt(60_000) });
    await clock.advance(5_000);
    assertEquals((await put({ availability: "drain" })).drain?.deadlineAt, deadlineAt(3600_000));
    assertEquals((await put({ availability: "active" })).drain, undefined);
    const again = await put({ availability: "drain" });
    assertEquals(again.drain?.since, timestamp(clock.wallMs()));
  }));

Deno.test("what a node has allocated is the sum over its tasks that have not ended", () =>
  withKv(async (kv) => {
    await seedNode(kv, idOf(1), "n1");
    const reserve = { cpus: 0.1, memoryMiB: 100 };
    const serviceId = await seedService(
      kv,
      idOf(2),
      specOf({ template: { image: "nginx", reserve } }),
    );
    for (const n of [11, 12, 13]) {
      await seedTask(kv, { id: idOf(n), serviceId, slot: n, nodeId: idOf(1) });
    }
    await seedTask(kv, { id: idOf(14), serviceId, slot: 14, nodeId: idOf(1) });
    await seedObserved(kv, seen(idOf(14), { state: "failed" }));
    const view = assertOk(await getNode(readsOf(kv), "n1"));
    assertEquals(view.allocated, { cpus: 0.3, memoryMiB: 300 });
    assertEquals(view.tasks, 3);
  }));

Deno.test("nodes are listed by name, a page at a time", () =>
  withKv(async (kv) => {
    for (const [i, name] of ["c", "a", "b"].entries()) await seedNode(kv, idOf(i + 1), name);
    const first = assertOk(await listNodes(readsOf(kv), { limit: 2 }));
    assertEquals(first.items.map((node) => node.name), ["a", "b"]);
    assert(first.next !== undefined);
    const second = assertOk(await listNodes(readsOf(kv), { limit: 2, cursor: first.next }));
    assertEquals(second.items.map((node) => node.name), ["c"]);
    assertEquals(second.next, undefined);
    const wrong = await listNodes(readsOf(kv), { limit: 2, cursor: "!" });
    assertEquals(assertRefused(wrong).errors?.[0]?.field, "query.cursor");
  }));

Deno.test("a node row without its spec row is a bug that is not papered over", () =>
  withKv(async (kv) => {
    await seedNode(kv, idOf(1), "n1");
    await kv.atomic().delete(key.nodeSpec(idOf(1))).commit();
    const failed = await getNode(readsOf(kv), "n1").then(() => "", (error) => String(error));
    assertStringIncludes(failed, "spec row is missing");
  }));

Deno.test("a join that is repeated after its node was removed makes no credential for it", () =>
  withKv(async (kv) => {
    const deps = depsOf(kv);
    const once = { tokenId: "join", key: "k1", request: "h1", wallMs: 0 };
    assertOk(await joinNode(deps, factsOf("n1"), once));
    assertOk(await removeNode(deps, "n1", { force: false }));
    const before = await dump(kv);
    const refusal = assertRefused(await joinNode(deps, factsOf("n1"), once));
    assertEquals(refusal.kind, "not-found");
    assertEquals(await dump(kv), before);
  }));
