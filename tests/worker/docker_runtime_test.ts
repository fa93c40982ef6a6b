import { assertEquals } from "@std/assert";
import { LABEL, type Runtime } from "../../worker/runtime.ts";
import { connectEngine } from "../../worker/docker/client.ts";
import type { EngineConnection } from "../../worker/docker/connect.ts";
import { createDockerRuntime } from "../../worker/docker/docker.ts";
import { Bench } from "../contract/runtime_bench.ts";
import { runtimeContract, type RuntimeHarness } from "../contract/runtime_contract.ts";
import { eventually } from "../support/eventually.ts";
import { engineTest, ensureTestImage, TEST_IMAGE } from "../support/engine.ts";

/** The real engine. Containers of the nodes asked for are removed at the end, and only those. */
async function harness(connection: EngineConnection): Promise<RuntimeHarness> {
  await ensureTestImage(connection);
  const client = connectEngine(connection);
  const { docker } = client;
  const runtimes: Runtime[] = [];
  const nodeIds = new Set<string>();
  const containersWith = (label: string) =>
    docker.listContainers({ all: true, filters: { label: [label] } });
  const containerOf = async (taskId: string) => {
    const [found] = await containersWith(`${LABEL.task}=${taskId}`);
    if (!found) throw new Error(`the engine has no container of task ${taskId}`);
    return docker.getContainer(found.Id);
  };
  return {
    runtime(nodeId) {
      const runtime = createDockerRuntime({ connection, nodeId });
      runtimes.push(runtime);
      nodeIds.add(nodeId);
      return runtime;
    },
    image: TEST_IMAGE,
    async containers() {
      const all = await docker.listContainers({ all: true });
      return all.map((item) => item.Names[0]?.slice(1) ?? "");
    },
    async processes(taskId) {
      const container = await containerOf(taskId);
      const { State: { Pid } } = await container.inspect();
      const { Titles, Processes } = await container.top({ ps_args: "-eo pid,ppid,stat,args" });
      const [pid, ppid, stat, args] = ["PID", "PPID", "STAT", "COMMAND"].map((title) =>
        Titles.indexOf(title)
      );
      // The container's own processes are its first one and the children of that.
      return (Processes as string[][])
        .filter((row) => row[pid ?? 0] !== String(Pid) && row[ppid ?? 1] !== String(Pid))
        .filter((row) => !row[stat ?? 2]?.startsWith("Z"))
        .map((row) => row[args ?? 3] ?? "");
    },
    async removeBehindBack(taskId) {
      await (await containerOf(taskId)).remove({ force: true, v: true });
    },
    async close() {
      for (const nodeId of nodeIds) {
        for (const item of await containersWith(`${LABEL.node}=${nodeId}`)) {
          await docker.getContainer(item.Id).remove({ force: true, v: true });
        }
      }
      for (const runtime of runtimes) await runtime.close();
      client.close();
    },
  };
}

runtimeContract("docker", harness, engineTest);

/** A started container and its bench on the real engine. */
function benchTest(name: string, run: (bench: Bench) => Promise<void>): void {
  engineTest(name, async (connection) => {
    const made = await harness(connection);
    try {
      await run(new Bench(made));
    } finally {
      await made.close();
    }
  });
}

benchTest("docker: closing a session ends the command's children, too", async (bench) => {
  const { taskId } = await bench.started();
  const session = await bench.exec(taskId, {
    command: ["sh", "-c", "sleep 998 & sh -c 'sleep 999; true' & wait"],
  });
  await eventually(async () => (await bench.harness.processes(taskId)).length === 4);
  await session.close();
  assertEquals(await bench.harness.processes(taskId), []);
  assertEquals((await bench.status(taskId)).state, "running");
});

benchTest(
  "docker: in an image without a shell a closed terminal ends the command",
  async (bench) => {
    const { taskId } = await bench.started({
      command: ["sh", "-c", "rm /bin/sh; echo gone; exec sleep 1000"],
    });
    await bench.said(taskId, "gone");
    const session = await bench.exec(taskId, {
      command: ["sleep", "1000"],
      tty: true,
      stdin: true,
    });
    await eventually(async () => (await bench.harness.processes(taskId)).length === 1);
    await session.close();
    await eventually(async () => (await bench.harness.processes(taskId)).length === 0);
  },
);
