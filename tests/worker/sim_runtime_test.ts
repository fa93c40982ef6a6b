import { assertEquals, assertStringIncludes } from "@std/assert";
import { ulid } from "ulid";
import { Assignment, LogsOptions } from "../../kv/schema/agent.ts";
import { systemClock } from "../../kv/schema/time.ts";
import { createSimEngine, createSimRuntime, type SimRuntime } from "../../worker/sim.ts";
import { runtimeContract, type RuntimeHarness } from "../contract/runtime_contract.ts";

const IMAGE = "sim/shell:1";
const FAST = { callMs: 0, pullMs: 5, createMs: 5, startMs: 2 };

function newEngine() {
  return createSimEngine({
    clock: systemClock,
    random: () => 0.5,
    hostname: "sim-1",
    capacity: { cpus: 4, memoryMiB: 8192 },
    timings: FAST,
    images: [IMAGE],
  });
}

function harness(): RuntimeHarness {
  const engine = newEngine();
  const runtimes: SimRuntime[] = [];
  const { control } = createSimRuntime({ engine });
  return {
    runtime(nodeId) {
      const runtime = createSimRuntime({ engine, nodeId });
      runtimes.push(runtime);
      return runtime;
    },
    image: IMAGE,
    containers: () => Promise.resolve(control.containers().map((container) => container.name)),
    processes: (taskId) => Promise.resolve(control.processes(taskId)),
    removeBehindBack: (taskId) => Promise.resolve(control.removeBehindBack(taskId)),
    async close() {
      for (const { taskId } of control.containers()) control.removeBehindBack(taskId);
      for (const runtime of runtimes) await runtime.close();
    },
  };
}

runtimeContract("sim", harness, (name, fn) => Deno.test(name, () => fn(undefined)));

const soon = () => AbortSignal.timeout(5000);

function assignment(template: Partial<Assignment["template"]> = {}): Assignment {
  return Assignment.parse({
    taskId: ulid().toLowerCase(),
    serviceId: ulid().toLowerCase(),
    service: "web",
    project: "default",
    slot: 2,
    revision: 1,
    desired: "run",
    template: { image: IMAGE, ...template },
  });
}

Deno.test("sim: an engine that is down answers nothing and keeps its containers", async () => {
  const runtime = createSimRuntime({ engine: newEngine() });
  const made = assignment();
  await runtime.create(made, soon());
  await runtime.start(made.taskId, soon());
  const events = runtime.events(soon())[Symbol.asyncIterator]();
  const next = events.next();
  runtime.control.setAvailable(false);
  assertEquals((await next).done, true);
  const down = await runtime.list(soon());
  assertEquals(down.ok || down.kind, "unavailable");
  runtime.control.setAvailable(true);
  const up = await runtime.list(soon());
  assertEquals(up.ok && up.value.map((status) => status.state), ["running"]);
});

Deno.test("sim: a lost answer had its effect, a hung call has none", async () => {
  const runtime = createSimRuntime({ engine: newEngine() });
  const [lost, hung] = [assignment(), assignment()];
  runtime.control.loseAnswer("create");
  const first = await runtime.create(lost, soon());
  assertEquals(first.ok || first.kind, "unavailable");
  runtime.control.hang("create");
  const second = await runtime.create(hung, AbortSignal.timeout(20));
  assertEquals(second.ok || second.kind, "unavailable");
  runtime.control.unhang("create");
  assertEquals(runtime.control.containers().map((c) => c.taskId), [lost.taskId]);
  assertEquals((await runtime.create(lost, soon())).ok, true);
  assertEquals(runtime.control.calls("create"), 3);
});

Deno.test("sim: an image that cannot be pulled is refused by name", async () => {
  const runtime = createSimRuntime({ engine: newEngine() });
  runtime.control.failPull("sim/bad:1");
  const lines: string[] = [];
  const pulled = await runtime.pull("sim/bad:1", "missing", {
    signal: soon(),
    onProgress: (line) => lines.push(line),
  });
  assertEquals(pulled.ok || pulled.kind, "refused");
  assertStringIncludes(pulled.ok ? "" : pulled.message, "sim/bad:1");
  assertEquals(lines, ["pulling sim/bad:1"]);
  assertEquals((await runtime.pull("sim/good:1", "missing", { signal: soon() })).ok, true);
});

Deno.test("sim: the variables decide what a container does", async () => {
  const runtime = createSimRuntime({ engine: newEngine() });
  const end = async (env: Record<string, string>) => {
    const made = assignment({ env });
    await runtime.create(made, soon());
    const started = await runtime.start(made.taskId, soon());
    if (!started.ok) return started.message;
    const logs = await runtime.logs(made.taskId, LogsOptions.parse({ follow: true }), soon());
    if (logs.ok) { for await (const _ of logs.value); }
    const status = await runtime.inspect(made.taskId, soon());
    return status.ok && status.value?.exitCode;
  };
  assertEquals(await end({ SIM_EXIT: "6" }), 6);
  assertEquals(await end({ SIM_RUN_MS: "20" }), 0);
  assertEquals(await end({ SIM_RUN_MS: "20", SIM_EXIT: "2" }), 2);
  assertEquals(await end({ SIM_START_ERROR: "no such device" }), "no such device");
});

Deno.test("sim: a kill by the machine's memory is told as such", async () => {
  const runtime = createSimRuntime({ engine: newEngine() });
  const made = assignment();
  await runtime.create(made, soon());
  await runtime.start(made.taskId, soon());
  runtime.control.kill(made.taskId, { oom: true });
  const status = await runtime.inspect(made.taskId, soon());
  const seen = status.ok && status.value && [status.value.exitCode, status.value.oomKilled];
  assertEquals(seen, [137, true]);
});

Deno.test("sim: thousands of running containers hold no timer", async () => {
  let sleeping = 0;
  const clock = {
    ...systemClock,
    async sleep(ms: number, signal?: AbortSignal) {
      sleeping++;
      await systemClock.sleep(ms, signal);
      sleeping--;
    },
  };
  const engine = createSimEngine({
    clock,
    random: () => 0.5,
    hostname: "sim-1",
    capacity: { cpus: 4, memoryMiB: 8192 },
    timings: { callMs: 0, createMs: 0, startMs: 0 },
    images: [IMAGE],
  });
  const runtime = createSimRuntime({ engine });
  const all = Array.from({ length: 3000 }, () => assignment());
  const signal = soon();
  await Promise.all(all.map(async (made) => {
    await runtime.create(made, signal);
    await runtime.start(made.taskId, signal);
  }));
  const listed = await runtime.list(signal);
  assertEquals(listed.ok && listed.value.filter((s) => s.state === "running").length, 3000);
  assertEquals(sleeping, 0);
});
