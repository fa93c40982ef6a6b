import { assertEquals } from "@std/assert";
import { runtimeContract } from "../contract/runtime_contract.ts";
import { benchTest, dockerHarness } from "../support/docker_harness.ts";
import { engineTest } from "../support/engine.ts";
import { eventually } from "../support/eventually.ts";

runtimeContract("docker", dockerHarness, engineTest);

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
