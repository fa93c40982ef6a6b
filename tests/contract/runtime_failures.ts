/**
 * Contract: what cannot be done is told as a value of the right kind.
 *
 * @module
 */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { ExecOptions, LogsOptions } from "../../kv/schema/agent.ts";
import { Bench, type Case, failure, newId, ok, soon } from "./runtime_bench.ts";

export const failures: Record<string, Case> = {
  "an absent image with policy never is refused by name": async ({ runtime }) => {
    const image = `berth-test/absent-${newId()}:1`;
    const { message } = failure(await runtime.pull(image, "never", { signal: soon() }), "refused");
    assertStringIncludes(message, image);
  },

  "a present image needs no pull": async ({ runtime, harness }) => {
    ok(await runtime.pull(harness.image, "missing", { signal: soon() }));
    ok(await runtime.pull(harness.image, "never", { signal: soon() }));
  },

  "creating from an absent image is refused by name": async (bench) => {
    const image = `berth-test/absent-${newId()}:1`;
    const made = await bench.runtime.create(bench.assignment({ image }), soon());
    assertStringIncludes(failure(made, "refused").message, image);
  },

  "a port that is taken on the engine is refused, and free again after the stop": async (bench) => {
    const free = await bench.started({ ports: [{ target: 80, protocol: "tcp", mode: "ingress" }] });
    const [port] = (await bench.status(free.taskId)).ports;
    assert(port && port.published > 0, "the engine chose no port");
    assertEquals(port.target, 80);
    const taken = bench.assignment({ ports: [{ ...port, target: 81, mode: "host" }] });
    ok(await bench.runtime.create(taken, soon()));
    const { message } = failure(await bench.runtime.start(taken.taskId, soon()), "refused");
    assertStringIncludes(message, String(port.published));
    assert((await bench.status(taken.taskId)).error !== "");
    ok(await bench.runtime.remove(free.taskId, soon()));
    ok(await bench.runtime.start(taken.taskId, soon()));
    const status = await bench.status(taken.taskId);
    assertEquals([status.ports[0]?.target, status.ports[0]?.published], [81, port.published]);
    assertEquals(status.error, "");
    assertEquals(ok(await bench.runtime.list(soon())), [status]);
  },

  "ports of containers that do not run are not told": async (bench) => {
    const assignment = bench.assignment({
      ports: [{ target: 80, protocol: "tcp", mode: "ingress" }],
    });
    ok(await bench.runtime.create(assignment, soon()));
    assertEquals((await bench.status(assignment.taskId)).ports, []);
  },

  "starting, exec and logs of an unknown task are refused": async ({ runtime }) => {
    const taskId = newId();
    failure(await runtime.start(taskId, soon()), "refused");
    failure(await runtime.logs(taskId, LogsOptions.parse({}), soon()), "refused");
    const options = ExecOptions.parse({ command: ["true"] });
    failure(await runtime.exec(taskId, options, soon()), "refused");
    ok(await runtime.stop(taskId, { signal: soon(), graceMs: 0 }));
    ok(await runtime.remove(taskId, soon()));
  },

  "exec in a container that does not run is refused": async (bench) => {
    const assignment = bench.assignment();
    ok(await bench.runtime.create(assignment, soon()));
    const options = ExecOptions.parse({ command: ["true"] });
    failure(await bench.runtime.exec(assignment.taskId, options, soon()), "refused");
  },

  "an aborted call is unavailable within a second": async (bench) => {
    const assignment = await bench.started();
    const { taskId } = assignment;
    const signal = AbortSignal.abort();
    const { runtime } = bench;
    const begun = performance.now();
    const outcomes = await Promise.all([
      runtime.info(signal),
      runtime.list(signal),
      runtime.inspect(taskId, signal),
      runtime.pull(bench.harness.image, "always", { signal }),
      runtime.create(bench.assignment(), signal),
      runtime.start(taskId, signal),
      runtime.stop(taskId, { signal, graceMs: 1000 }),
      runtime.remove(taskId, signal),
      runtime.logs(taskId, LogsOptions.parse({}), signal),
      runtime.exec(taskId, ExecOptions.parse({ command: ["true"] }), signal),
    ]);
    for (const outcome of outcomes) failure(outcome, "unavailable");
    for await (const _ of runtime.events(signal)) throw new Error("an event after the abort");
    assert(performance.now() - begun < 1000);
    assertEquals((await bench.status(taskId)).state, "running");
  },

  "a stop that is cut short is unavailable at once": async (bench) => {
    const { taskId } = await bench.started({
      command: ["sh", "-c", "trap '' TERM; while true; do sleep 0.05; done"],
      init: false,
    });
    const begun = performance.now();
    const signal = AbortSignal.timeout(200);
    failure(await bench.runtime.stop(taskId, { signal, graceMs: 8000 }), "unavailable");
    assert(performance.now() - begun < 1200);
  },

  "two runtimes of one node share its containers": async (bench) => {
    const { taskId } = await bench.started();
    const twin = bench.harness.runtime(bench.nodeId);
    assertEquals(ok(await twin.list(soon())).map((status) => status.taskId), [taskId]);
    ok(await twin.remove(taskId, soon()));
    assertEquals(ok(await bench.runtime.inspect(taskId, soon())), undefined);
    ok(await bench.runtime.remove(taskId, soon()));
    assertEquals(ok(await new Bench(bench.harness).runtime.list(soon())), []);
  },
};
