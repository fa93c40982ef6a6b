/**
 * The machine's engine as the runtime contract wants it.
 *
 * @module
 */
import { connectEngine } from "../../worker/docker/client.ts";
import type { EngineConnection } from "../../worker/docker/connect.ts";
import { createDockerRuntime } from "../../worker/docker/docker.ts";
import { LABEL, type Runtime } from "../../worker/runtime.ts";
import { Bench } from "../contract/runtime_bench.ts";
import type { RuntimeHarness } from "../contract/runtime_contract.ts";
import { engineTest, ensureTestImage, TEST_IMAGE } from "./engine.ts";

/** The real engine. Containers of the nodes asked for are removed at the end, and only those. */
export async function dockerHarness(connection: EngineConnection): Promise<RuntimeHarness> {
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

/** A started container and its bench on the real engine. */
export function benchTest(
  name: string,
  run: (bench: Bench, connection: EngineConnection) => Promise<void>,
): void {
  engineTest(name, async (connection) => {
    const made = await dockerHarness(connection);
    try {
      await run(new Bench(made), connection);
    } finally {
      await made.close();
    }
  });
}
