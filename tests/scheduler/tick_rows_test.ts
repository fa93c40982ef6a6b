import { assert, assertEquals, assertExists, assertStringIncludes } from "@std/assert";
import { key, prefix } from "../../kv/keys.ts";
import { lastLog } from "../../kv/log.ts";
import { countQueue, enqueue, listParked, retryParked } from "../../kv/queue.ts";
import { deleteService, putService } from "../../kv/services.ts";
import { steerRollout } from "../../kv/rollouts.ts";
import { idOf } from "../support/ids.ts";
import { seedObserved, seen, specOf } from "../support/seed.ts";
import { withBench } from "./support.ts";

Deno.test("a message that cannot be handled is parked and holds up nothing else", () =>
  withBench(async ({ kv, newId, ticker, create, tasks, pass }) => {
    const leader = ticker();
    await leader.tick();
    // A row that no version of the program wrote.
    await enqueue(
      kv.atomic().set(key.service(idOf(50)), { nonsense: true }),
      { kind: "service", id: idOf(50) },
      newId,
    ).commit();
    await create("web", 1);
    await leader.tick();
    assertEquals((await tasks()).length, 1);
    for (let round = 0; round < 8; round++) {
      pass(60_000);
      await leader.tick();
    }
    assertEquals(await countQueue(kv), 0);
    const [parked] = await listParked(kv);
    assertExists(parked);
    assertEquals(parked.id, idOf(50));
    assertStringIncludes(parked.error, "unexpected row");
    const events = (await lastLog(kv, 50)).flatMap(({ record }) => record.events);
    assert(events.some((event) => event.type === "message.parked"));
  }));

Deno.test("a message that this version cannot read is parked as it is, and holds up nothing else", () =>
  withBench(async ({ kv, newId, ticker, create, tasks }) => {
    const leader = ticker();
    await leader.tick();
    const newer = { kind: "ring", id: idOf(50) };
    await kv.atomic().set(key.queue(newId()), newer).commit();
    await create("web", 1);
    await leader.tick();
    assertEquals((await tasks()).length, 1);
    assertEquals(await countQueue(kv), 0);
    const [parked] = await listParked(kv);
    assertEquals(parked?.kind, "unreadable");
    const events = (await lastLog(kv, 50)).flatMap(({ record }) => record.events);
    assert(events.some((event) => event.type === "message.parked"));
    assert(await retryParked(kv, parked?.messageId ?? "", newId));
    const queued = await Array.fromAsync(kv.list({ prefix: prefix.queue() }));
    assertEquals(queued.map(({ value }) => value), [newer]);
  }));

Deno.test("a row that does not parse keeps no leader from starting", () =>
  withBench(async ({ kv, ticker, create, tasks }) => {
    await kv.atomic().set(key.task(idOf(60)), { nonsense: true }).commit();
    await create("web", 1);
    const leader = ticker();
    await leader.tick();
    assert(leader.logged.includes("row left out"));
    assertExists(leader.world());
    assert((await kv.get(key.task(idOf(60)))).versionstamp !== null);
    assertEquals(leader.world()?.tasks.size, 1);
    await kv.atomic().delete(key.task(idOf(60))).commit();
    assertEquals((await tasks()).length, 1);
  }));

Deno.test("a removed service leaves no row behind once its containers are gone", () =>
  withBench(async ({ kv, newId, ticker, create, tasks }) => {
    const leader = ticker();
    const id = await create("web", 2);
    await leader.tick();
    const clock = {
      wallMs: () => 1_900_000_000_001,
      monoMs: () => 0,
      sleep: () => Promise.resolve(),
    };
    const deps = { kv, clock, newId };
    const ref = { ref: "web", project: "default" };
    // The leader sees only what is wanted in the end.
    const changed = specOf({ name: "web", mode: { type: "replicated", replicas: 2 } });
    changed.template.env = { CHANGED: "yes" };
    assert((await putService(deps, ref, changed)).ok);
    assert((await steerRollout(deps, ref, { action: "undo" })).ok);
    await leader.tick();
    assert((await deleteService(deps, ref)).ok);
    await leader.tick();
    for (const task of await tasks()) {
      assertEquals(task.desired, "stop");
      const observed = { taskId: task.id, attempt: 1, state: "stopped", health: "none", ports: [] };
      const op = kv.atomic().set(key.observed(task.id), observed);
      await enqueue(op, { kind: "task", id: task.id }, newId).commit();
    }
    await leader.tick();
    const left: string[] = [];
    for await (const entry of kv.list({ prefix: [] })) left.push(entry.key.join("/"));
    assertEquals(
      left.filter((row) => row.includes(id) || /^(task|assign|observed)\//.test(row)),
      [],
    );
  }));

Deno.test("a node's status that was written while the node was removed goes with it", () =>
  withBench(async ({ kv, newId, ticker }) => {
    const leader = ticker();
    await leader.tick();
    const id = idOf(2);
    const removal = kv.atomic().delete(key.node(id)).delete(key.nodeSpec(id));
    await enqueue(removal, { kind: "node", id }, newId).commit();
    assert((await kv.get(key.nodeStatus(id))).versionstamp !== null);
    await leader.tick();
    assertEquals((await kv.get(key.nodeStatus(id))).versionstamp, null);
    assert((await kv.get(key.nodeStatus(idOf(1)))).versionstamp !== null);
  }));

Deno.test("a new leader deletes the observed rows of no task with its first tick", () =>
  withBench(async ({ kv, create, tasks, ticker }) => {
    await create("web", 1);
    const leader = ticker();
    await leader.tick();
    const [task] = await tasks();
    assertExists(task);
    await seedObserved(kv, seen(task.id));
    await seedObserved(kv, seen(idOf(7)));
    await ticker().tick();
    assertEquals((await kv.get(key.observed(idOf(7)))).versionstamp, null);
    assertExists((await kv.get(key.observed(task.id))).versionstamp);
  }));
