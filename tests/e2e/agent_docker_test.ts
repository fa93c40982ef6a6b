import { assert, assertEquals, assertNotEquals, assertStringIncludes } from "@std/assert";
import type { Assignment } from "../../kv/schema/agent.ts";
import { systemClock } from "../../kv/schema/time.ts";
import type { EngineConnection } from "../../worker/docker/connect.ts";
import { createDockerRuntime } from "../../worker/docker/docker.ts";
import type { ContainerStatus, Runtime } from "../../worker/runtime.ts";
import { clearNode, engineTest, ensureTestImage, TEST_IMAGE } from "../support/engine.ts";
import { eventually } from "../support/eventually.ts";
import { assignmentOf, createFakeServer, type FakeServer } from "../support/fake_server.ts";
import { idOf } from "../support/ids.ts";
import { type ChildProcess, spawn } from "../support/processes.ts";
import { JOIN_TOKEN, serveWire, type WireServer } from "../support/wire_server.ts";

interface Machine {
  fake: FakeServer;
  wire: WireServer;
  /** Looks at the node's containers from outside the agent. */
  runtime: Runtime;
  stateDir: string;
  /** The task's id, as this machine's n-th. */
  task(n: number): string;
  assignment(n: number, template?: Parameters<typeof assignmentOf>[1]): Assignment;
  start(args?: string[]): ChildProcess;
  containers(): Promise<ContainerStatus[]>;
  /** Waits until the server was told that the n-th task is at `position`. */
  told(n: number, position: string): Promise<void>;
}

const SLEEP = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done"];
let machines = 0;

/** A real worker process on the real engine, a stub of the API, and a clean engine afterwards. */
async function onMachine(
  connection: EngineConnection,
  body: (machine: Machine) => Promise<void>,
): Promise<void> {
  await ensureTestImage(connection);
  const stateDir = await Deno.makeTempDir();
  const fake = createFakeServer(systemClock);
  const wire = serveWire(fake);
  const first = (Deno.pid % 30_000) * 1_000 + ++machines * 100;
  wire.nodeId = idOf(1_000_000_000 + first);
  const runtime = createDockerRuntime({ connection, nodeId: wire.nodeId });
  const children: ChildProcess[] = [];
  const task = (n: number) => idOf(first + n);
  try {
    await body({
      fake,
      wire,
      runtime,
      stateDir,
      task,
      assignment: (n, template) => ({
        ...assignmentOf(n, { image: TEST_IMAGE, command: SLEEP, ...template }),
        taskId: task(n),
      }),
      start(args = ["--join", JOIN_TOKEN]) {
        const options = ["--server", wire.url, "--name", "n1", "--state-dir", stateDir];
        const child = spawn("worker", [...options, ...args]);
        children.push(child);
        return child;
      },
      async containers() {
        const listed = await runtime.list(AbortSignal.timeout(10_000));
        if (!listed.ok) throw new Error(listed.message);
        return listed.value;
      },
      async told(n, position) {
        await eventually(() => fake.stateOf(task(n)) === position, {
          timeoutMs: 30_000,
          what: `task ${n} to be ${position}; it was ${fake.stateOf(task(n))}\n${
            children.map((c) => c.log()).join("\n")
          }`,
        });
      },
    });
  } finally {
    for (const child of children) await child.stop("SIGKILL");
    await runtime.close();
    await clearNode(connection, wire.nodeId);
    await wire.close();
    await Deno.remove(stateDir, { recursive: true });
  }
}

/** Kills the container's main process, as the kernel or an operator would. */
async function killContainer(m: Machine, n: number): Promise<void> {
  const signal = AbortSignal.timeout(10_000);
  const killed = await m.runtime.stop(m.task(n), { signal, graceMs: 0, stopSignal: "SIGKILL" });
  assert(killed.ok);
}

engineTest(
  "a worker joins, keeps its credential to itself, and runs what it is given",
  async (c) => {
    await onMachine(c, async (m) => {
      m.fake.assign(m.assignment(1, { ports: [{ target: 80 }] }));
      const worker = m.start(["--join", JOIN_TOKEN, "--label", "zone=a", "--memory", "512"]);
      await m.told(1, "1 running");
      const [container] = await m.containers();
      const row = m.fake.rows.get(m.task(1));
      assertEquals(row?.containerId, container?.id);
      assertEquals(row?.ports.map((p) => p.target), [80]);
      assertEquals(m.wire.facts?.labels, { zone: "a" });
      assertEquals(m.wire.facts?.capacity.memoryMiB, 512);
      for (const file of ["identity.json", "state.json"]) {
        const { mode } = await Deno.stat(`${m.stateDir}/${file}`);
        assertEquals((mode ?? 0) & 0o777, 0o600, file);
      }
      assertEquals(await worker.stop(), 0);
      assertEquals((await m.containers()).map((s) => s.state), ["running"]);
      assert(!worker.log().includes(m.wire.credential) && !worker.log().includes(JOIN_TOKEN));
    });
  },
);

engineTest(
  "an agent that was killed adopts what runs: no container lost, none doubled",
  async (c) => {
    await onMachine(c, async (m) => {
      m.fake.assign(m.assignment(1), m.assignment(2));
      const first = m.start();
      await m.told(1, "1 running");
      await m.told(2, "1 running");
      const before = await m.containers();
      await first.stop("SIGKILL");
      await killContainer(m, 2);
      m.start([]);
      await m.told(2, "2 running");
      const after = await m.containers();
      assertEquals(after.map((s) => s.id).sort(), before.map((s) => s.id).sort());
      const startOf = (all: ContainerStatus[], n: number) =>
        all.find((s) => s.taskId === m.task(n))?.startedAt;
      assertEquals(startOf(after, 1), startOf(before, 1));
      assertNotEquals(startOf(after, 2), startOf(before, 2));
      assertEquals(m.fake.stateOf(m.task(1)), "1 running");
      assertEquals(m.wire.joins, 1);
    });
  },
);

engineTest(
  "killed while it starts a task, the agent still ends up with one container",
  async (c) => {
    await onMachine(c, async (m) => {
      const first = m.start();
      await eventually(() => m.fake.pollsMs.length > 1);
      m.fake.assign(m.assignment(1));
      await eventually(() => m.fake.stateOf(m.task(1)) === "1 starting");
      await first.stop("SIGKILL");
      m.start([]);
      await m.told(1, "1 running");
      assertEquals((await m.containers()).map((s) => s.state), ["running"]);
    });
  },
);

engineTest(
  "a killed and a removed container come back; a stopped one stays, then goes",
  async (c) => {
    await onMachine(c, async (m) => {
      m.fake.assign(m.assignment(1));
      m.start();
      await m.told(1, "1 running");
      await killContainer(m, 1);
      await m.told(1, "2 running");
      const [again] = await m.containers();
      await m.runtime.remove(m.task(1), AbortSignal.timeout(10_000));
      await m.told(1, "3 running");
      const [made] = await m.containers();
      assertNotEquals(made?.id, again?.id);
      m.fake.assign({ ...m.assignment(1), desired: "stop" });
      await m.told(1, "3 stopped");
      assertEquals(m.fake.rows.get(m.task(1))?.exitCode, 0);
      assertEquals((await m.containers()).map((s) => s.state), ["exited"]);
      m.fake.assign();
      await eventually(async () => (await m.containers()).length === 0);
    });
  },
);

engineTest(
  "jobs end with their exit code; what cannot start here is rejected with the reason",
  async (c) => {
    await onMachine(c, async (m) => {
      const restart = { condition: "on-failure", maxAttempts: 1 } as const;
      m.fake.assign(
        m.assignment(1, { command: ["sh", "-c", "exit 0"], restart }),
        m.assignment(2, { command: ["sh", "-c", "exit 3"], restart }),
        m.assignment(3, { image: "berth-test/absent:1", pullPolicy: "never" }),
        m.assignment(4, { command: ["/no/such/program"] }),
      );
      m.start();
      await m.told(1, "1 succeeded");
      await m.told(2, "2 failed");
      await m.told(3, "1 rejected");
      await m.told(4, "1 rejected");
      assertStringIncludes(m.fake.rows.get(m.task(2))?.message ?? "", "exited with 3");
      assertStringIncludes(m.fake.rows.get(m.task(4))?.message ?? "", "/no/such/program");
    });
  },
);

engineTest("a removed node ends with a clear message, or joins anew and clears up", async (c) => {
  await onMachine(c, async (m) => {
    m.fake.assign(m.assignment(1));
    const first = m.start();
    await m.told(1, "1 running");
    await first.stop();
    const formerId = m.wire.nodeId;
    m.wire.credential = "another";
    m.wire.nodeId = idOf(2_000_000_000 + machines);
    const without = m.start([]);
    await eventually(() => /refuses the credential/.test(without.log()), { timeoutMs: 20_000 });
    assertEquals(await without.stop(), 4);
    assertEquals((await m.containers()).length, 1);
    m.fake.assign();
    m.start();
    await eventually(() => m.wire.joins === 2, { timeoutMs: 20_000 });
    await eventually(async () => (await m.containers()).length === 0, { timeoutMs: 20_000 });
    assertNotEquals(m.wire.nodeId, formerId);
  });
});
