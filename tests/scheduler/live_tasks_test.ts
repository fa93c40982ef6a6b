import { assertEquals } from "@std/assert";
import { createImmutable } from "../../kv/immutable.ts";
import { getNode } from "../../kv/node_reads.ts";
import { listServices } from "../../kv/service_reads.ts";
import { liveTasks } from "../../scheduler/live_tasks.ts";
import { loadWorld } from "../../scheduler/load.ts";
import { emptyWorld } from "../../scheduler/world.ts";
import { initCluster } from "../../kv/cluster.ts";
import { TaskState } from "../../kv/schema/task_state.ts";
import { countingIds, idOf } from "../support/ids.ts";
import { withKv } from "../support/kv.ts";
import { seedNode, seedObserved, seedService, seedTask, seen, specOf } from "../support/seed.ts";

const READY = { state: "ready" as const, since: "2030-01-01T00:00:00.000Z", why: "test" };

Deno.test("views made of what the leader knows are those made of the rows", () =>
  withKv(async (kv) => {
    await initCluster(kv, { newId: countingIds(), wallMs: 0 });
    await seedNode(kv, idOf(1), "n1", READY);
    const reserve = { cpus: 0.3, memoryMiB: 70 };
    const modes = [
      { type: "replicated" as const, replicas: 4 },
      { type: "job" as const, completions: 2, retries: 1 },
    ];
    const states = TaskState.exclude(["pending", "assigned", "lost"]).options;
    let id = 1000;
    for (const [s, mode] of modes.entries()) {
      const template = { image: "x", reserve };
      const serviceId = await seedService(
        kv,
        idOf(500 + s),
        specOf({ name: `s${s}`, mode, template }),
      );
      for (const [i, state] of states.entries()) {
        // Slots have a history: ended and live ones in turn.
        const task = await seedTask(kv, {
          ...{ id: idOf(id++), serviceId, slot: i % 3 + 1, failures: i % 2 },
          ...(i % 5 === 4 ? {} : { nodeId: idOf(1) }),
          ...(i % 4 === 3 ? { desired: "stop" as const } : {}),
        });
        if (task.nodeId !== undefined) await seedObserved(kv, seen(task.id, { state }));
      }
    }
    const live = liveTasks(await loadWorld(kv, 0, () => {}));
    const page = { limit: 10 };
    assertEquals(await listServices(kv, page, live), await listServices(kv, page));
    const reads = { kv, immutable: createImmutable(kv) };
    assertEquals(await getNode({ ...reads, live }, "n1"), await getNode(reads, "n1"));
    const unknown = await getNode({ ...reads, live: liveTasks(emptyWorld()) }, "n1");
    assertEquals(unknown, await getNode(reads, "n1"));
  }));
