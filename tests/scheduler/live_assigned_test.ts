import { assert, assertEquals } from "@std/assert";
import { makeAssignments, readAssignments } from "../../kv/assignments.ts";
import { initCluster } from "../../kv/cluster.ts";
import { createImmutable } from "../../kv/immutable.ts";
import { key } from "../../kv/keys.ts";
import { type LogEntry, logHead, readLog } from "../../kv/log.ts";
import { report } from "../../kv/reports.ts";
import { TaskState } from "../../kv/schema/task_state.ts";
import { createService, deleteService, putService } from "../../kv/services.ts";
import type { Kv } from "../../kv/store.ts";
import { assignedTo } from "../../scheduler/live_assigned.ts";
import { loadWorld } from "../../scheduler/load.ts";
import { createTicker } from "../../scheduler/tick.ts";
import type { World } from "../../scheduler/world.ts";
import { countingIds, idOf } from "../support/ids.ts";
import { withKv } from "../support/kv.ts";
import { seedNode, seedObserved, seedService, seedTask, seen, specOf } from "../support/seed.ts";

const READY = { state: "ready" as const, since: "2030-01-01T00:00:00.000Z", why: "test" };
const NODES = [idOf(1), idOf(2)];

/** For each node: what the leader knows makes the same list as the rows; answers how long they are. */
async function assertSame(kv: Kv, world: World | undefined): Promise<number> {
  let length = 0;
  for (const nodeId of NODES) {
    const deps = { kv, immutable: createImmutable(kv) };
    const known = world && assignedTo(world, nodeId);
    assert(known);
    const read = await readAssignments(deps, nodeId);
    assertEquals(await makeAssignments(deps, known), read);
    length += read.length;
  }
  return length;
}

Deno.test("assignments made of what the leader knows are those made of the rows", () =>
  withKv(async (kv) => {
    await initCluster(kv, { newId: countingIds(), wallMs: 0 });
    for (const [i, id] of NODES.entries()) await seedNode(kv, id, `n${i}`, READY);
    const specs = [
      specOf({ name: "a", singleton: "strict", disconnect: { stopAfterMs: 5000 } }),
      specOf({ name: "b", template: { image: "x", ports: [{ target: 80 }] } }),
    ];
    let id = 1000;
    for (const [s, spec] of specs.entries()) {
      const serviceId = await seedService(kv, idOf(500 + s), spec);
      for (const [i, state] of TaskState.options.entries()) {
        const task = await seedTask(kv, {
          ...{ id: idOf(id++), serviceId, slot: i + 1 },
          ...(state === "pending" ? {} : { nodeId: idOf(i % 2 + 1) }),
          ...(i % 4 === 3 ? { desired: "stop" as const } : {}),
          ...(state === "lost" ? { ended: state } : {}),
        });
        // As the leader does with what it gives up.
        if (state === "lost") {
          await kv.atomic().delete(key.assign(idOf(i % 2 + 1), task.id)).commit();
        }
        if (state === "pending" || state === "assigned" || state === "lost") continue;
        await seedObserved(kv, seen(task.id, { state }));
      }
    }
    const world = await loadWorld(kv, 0, () => {});
    assertEquals(await assertSame(kv, world), 2 * (TaskState.options.length - 2));
    assertEquals(assignedTo(world, idOf(9)), undefined);
  }));

Deno.test("after each tick the leader knows what the rows say, and has handed on each record", () =>
  withKv(async (kv) => {
    const newId = countingIds(1000);
    const time = { ms: 0 };
    const clock = {
      wallMs: () => 1_900_000_000_000 + time.ms,
      monoMs: () => time.ms,
      sleep: () => Promise.resolve(),
    };
    await initCluster(kv, { newId, wallMs: clock.wallMs() });
    for (const [i, id] of NODES.entries()) await seedNode(kv, id, `n${i}`, READY);
    const offered: LogEntry[] = [];
    const ticker = createTicker({
      ...{ kv, clock, newId, replicaId: newId(), exclusive: true, log: () => {} },
      ...{ nodeTtlMs: 86_400_000, leaderTtlMs: 5000, historyLimit: 1, logLimit: 100 },
      onLogged: (entry) => void offered.push(entry),
    });
    assertEquals(ticker.assigned(), undefined);
    const settled = async () => {
      await ticker.tick();
      assertEquals(ticker.assigned()?.seq, await logHead(kv));
      assertEquals(offered, await readLog(kv, { afterSeq: 0, limit: 500 }));
      time.ms += 60_000;
      return await assertSame(kv, ticker.world());
    };
    const specWith = (replicas: number) => specOf({ mode: { type: "replicated", replicas } });
    const deps = { kv, clock, newId };
    const created = await createService(deps, specWith(300));
    assert(created.ok);
    assertEquals(await settled(), 300);
    for (const state of ["running", "failed"] as const) {
      for (const nodeId of NODES) {
        const tasks = [...ticker.world()?.nodes.get(nodeId)?.holding ?? []].slice(0, 20);
        await report(deps, nodeId, { tasks: tasks.map((id) => seen(id, { state })) });
      }
      assert(await settled() >= 300);
      assert(await settled() >= 300);
    }
    const ref = { project: "default", ref: "web" };
    assert((await putService(deps, ref, specWith(10))).ok);
    assert(await settled() >= 300);
    assert((await deleteService(deps, ref)).ok);
    assert(await settled() > 0);
  }));

Deno.test("a leader that cannot read all that tasks hang on has no list of any node, and deletes nothing of them", () =>
  withKv(async (kv) => {
    const newId = countingIds(1000);
    const time = { ms: 0 };
    const clock = { wallMs: () => 0, monoMs: () => time.ms, sleep: () => Promise.resolve() };
    await initCluster(kv, { newId, wallMs: 0 });
    const node = idOf(1);
    await seedNode(kv, node, "n1", READY);
    const serviceId = await seedService(kv, idOf(500), specOf({ name: "web" }));
    const task = await seedTask(kv, { id: idOf(600), serviceId, nodeId: node, slot: 1 });
    await seedObserved(kv, seen(task.id, { state: "running" }));
    for (const row of [key.service(serviceId), key.task(task.id), key.observed(task.id)]) {
      const { value } = await kv.get(row);
      await kv.atomic().set(row, { damaged: true }).commit();
      const errors: string[] = [];
      const ticker = createTicker({
        ...{ kv, clock, newId, replicaId: newId(), exclusive: true },
        ...{ nodeTtlMs: 86_400_000, leaderTtlMs: 5000, historyLimit: 1, logLimit: 100 },
        log: (level, message) => level === "error" && errors.push(message),
      });
      await ticker.tick();
      assert(ticker.lease());
      assertEquals([ticker.assigned(), errors[0]], [undefined, "row left out"]);
      time.ms += 2 * 3600_000;
      await ticker.tick();
      await kv.atomic().set(row, value).commit();
      assert((await kv.get(key.observed(task.id))).value, row.join("/"));
    }
  }));
