/**
 * Contract: containers come, run, end and go.
 *
 * @module
 */
import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { containerName, type EngineEvent } from "../../worker/runtime.ts";
import { eventually } from "../support/eventually.ts";
import { Bench, type Case, failure, newId, ok, soon, trapping } from "./runtime_bench.ts";

export const lifecycle: Record<string, Case> = {
  "info tells the machine's name and capacity": async ({ runtime }) => {
    const info = ok(await runtime.info(soon()));
    assert(info.capacity.cpus > 0 && info.capacity.memoryMiB > 0);
    assertNotEquals(info.hostname, "");
    assertNotEquals(info.engine, "");
  },

  "creating twice makes one container, named after its task": async (bench) => {
    const assignment = bench.assignment();
    ok(await bench.runtime.create(assignment, soon()));
    ok(await bench.runtime.create(assignment, soon()));
    const names = await bench.harness.containers();
    assertEquals(names.filter((name) => name.endsWith(assignment.taskId)), [
      containerName(assignment),
    ]);
    assertEquals((await bench.status(assignment.taskId)).state, "created");
  },

  "a create whose answer was lost is adopted, by another runtime too": async (bench) => {
    const assignment = bench.assignment();
    const gone = new AbortController();
    const lost = bench.runtime.create(assignment, gone.signal);
    gone.abort();
    failure(await lost, "unavailable");
    const next = bench.harness.runtime(bench.nodeId);
    await eventually(async () => (await next.create(assignment, soon())).ok);
    ok(await next.start(assignment.taskId, soon()));
    assertEquals(ok(await next.list(soon())).map((status) => status.taskId), [assignment.taskId]);
  },

  "starting twice is one run": async (bench) => {
    const { taskId } = await bench.started();
    const first = await bench.status(taskId);
    ok(await bench.runtime.start(taskId, soon()));
    const second = await bench.status(taskId);
    assertEquals(first.state, "running");
    assert(first.startedAt);
    assertEquals(second, first);
  },

  "an exit code is seen by inspect and list": async (bench) => {
    const { taskId } = await bench.started({ command: ["sh", "-c", "exit 3"] });
    const status = await bench.exited(taskId);
    assertEquals(status.exitCode, 3);
    assert(status.startedAt && status.finishedAt);
    // Their order is not asserted: an engine may stamp the start of an instant exit after its end.
    assertEquals(ok(await bench.runtime.list(soon())), [status]);
  },

  "list follows a container through its states": async (bench) => {
    const assignment = bench.assignment({ command: trapping(4) });
    const { taskId } = assignment;
    const listed = async () => ok(await bench.runtime.list(soon()))[0];
    ok(await bench.runtime.create(assignment, soon()));
    assertEquals((await listed())?.state, "created");
    ok(await bench.runtime.start(taskId, soon()));
    await bench.said(taskId, "ready");
    assertEquals(await listed(), await bench.status(taskId));
    assertEquals((await listed())?.state, "running");
    ok(await bench.runtime.stop(taskId, { signal: soon(), graceMs: 5000 }));
    assertEquals((await listed())?.exitCode, 4);
    ok(await bench.runtime.remove(taskId, soon()));
    assertEquals(await listed(), undefined);
  },

  "starting an exited container is a new run": async (bench) => {
    const { taskId } = await bench.started({ command: ["sh", "-c", "exit 3"] });
    const first = await bench.exited(taskId);
    ok(await bench.runtime.start(taskId, soon()));
    const second = await bench.exited(taskId);
    assertNotEquals(second.startedAt, first.startedAt);
    assertEquals(second.id, first.id);
    assertEquals(ok(await bench.runtime.list(soon())), [second]);
  },

  "stop sends the stop signal and waits for the container's own end": async (bench) => {
    const { taskId } = await bench.started({
      command: trapping(7, "USR1"),
      stopSignal: "SIGUSR1",
      init: false,
    });
    await bench.said(taskId, "ready");
    ok(
      await bench.runtime.stop(taskId, {
        signal: soon(),
        graceMs: 10_000,
        stopSignal: "SIGUSR1",
      }),
    );
    const status = await bench.status(taskId);
    assertEquals([status.state, status.exitCode], ["exited", 7]);
    ok(await bench.runtime.stop(taskId, { signal: soon(), graceMs: 1000 }));
  },

  "stop kills what outlives its grace": async (bench) => {
    const { taskId } = await bench.started({
      command: ["sh", "-c", "trap '' TERM; echo ready; while true; do sleep 0.05; done"],
      init: false,
    });
    await bench.said(taskId, "ready");
    const begun = performance.now();
    ok(await bench.runtime.stop(taskId, { signal: soon(), graceMs: 1000 }));
    assert(performance.now() - begun >= 900, "killed before the grace was over");
    assertEquals((await bench.status(taskId)).exitCode, 137);
  },

  "removing kills a running container, twice is well, gone is gone": async (bench) => {
    const { taskId } = await bench.started();
    ok(await bench.runtime.remove(taskId, soon()));
    ok(await bench.runtime.remove(taskId, soon()));
    assertEquals(ok(await bench.runtime.inspect(taskId, soon())), undefined);
    assertEquals(ok(await bench.runtime.list(soon())), []);
    ok(await bench.runtime.stop(taskId, { signal: soon(), graceMs: 1000 }));
    failure(await bench.runtime.start(taskId, soon()), "refused");
  },

  "a container removed by somebody else is seen to be gone": async (bench) => {
    const { taskId } = await bench.started();
    assertEquals(ok(await bench.runtime.list(soon())).length, 1);
    await bench.harness.removeBehindBack(taskId);
    assertEquals(ok(await bench.runtime.list(soon())), []);
    assertEquals(ok(await bench.runtime.inspect(taskId, soon())), undefined);
    ok(await bench.runtime.remove(taskId, soon()));
  },

  "nodes on one engine do not see one another's containers": async (bench) => {
    const { taskId } = await bench.started();
    const other = new Bench(bench.harness);
    const theirs = await other.started();
    assertEquals(ok(await other.runtime.list(soon())).map((s) => s.taskId), [theirs.taskId]);
    assertEquals(ok(await other.runtime.inspect(taskId, soon())), undefined);
    ok(await other.runtime.stop(taskId, { signal: soon(), graceMs: 0 }));
    ok(await other.runtime.remove(taskId, soon()));
    assertEquals((await bench.status(taskId)).state, "running");
  },

  "a container whose name belongs to another node is not adopted": async (bench) => {
    const assignment = await bench.started();
    const other = bench.harness.runtime(newId());
    failure(await other.create(assignment, soon()), "refused");
  },

  "events tell of start, exit and removal": async (bench) => {
    const until = new AbortController();
    const seen: EngineEvent[] = [];
    const reading = (async () => {
      for await (const event of bench.runtime.events(until.signal)) seen.push(event);
    })();
    const has = (taskId: string, type: EngineEvent["type"]) =>
      seen.some((event) => event.taskId === taskId && event.type === type);
    // Events may be lost before the stream is open, so the story is told until it is heard.
    await eventually(async () => {
      const { taskId } = await bench.started({ command: ["sh", "-c", "exit 0"] });
      await bench.exited(taskId);
      ok(await bench.runtime.remove(taskId, soon()));
      return await eventually(
        () => has(taskId, "start") && has(taskId, "exit") && has(taskId, "removed"),
        { timeoutMs: 1000 },
      ).catch(() => false);
    });
    until.abort();
    await reading;
  },
};
