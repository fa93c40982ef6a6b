import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Assignment } from "../../kv/schema/agent.ts";
import { connectEngine, type Engine } from "../../worker/docker/client.ts";
import { HELPER_LABEL } from "../../worker/docker/helper.ts";
import { LABEL } from "../../worker/runtime.ts";
import type { ContainerFile } from "../../worker/task_files.ts";
import { type Bench, ok, soon, text } from "../contract/runtime_bench.ts";
import { benchTest } from "../support/docker_harness.ts";
import { eventually } from "../support/eventually.ts";

const CANARY = "canary-5b1f0c";

function file(more: Partial<ContainerFile> & Pick<ContainerFile, "path">): ContainerFile {
  const data = new TextEncoder().encode(CANARY);
  return { kind: "secret", data, uid: 0, gid: 0, mode: 0o444, ...more };
}

/** Says what it finds at its start, and runs on. */
function reader(bench: Bench, command: string, secrets = 1): Assignment {
  return bench.assignment({
    command: ["sh", "-c", `${command}; echo done; exec sleep 1000`],
    secrets: Array.from({ length: secrets }, (_, i) => ({
      ...{ source: `s${i}`, uid: 0, gid: 0, mode: 0o444 },
    })),
  });
}

async function said(bench: Bench, taskId: string): Promise<string> {
  await bench.said(taskId, "done");
  return (await text(await bench.logs(taskId))).stdout;
}

/** The engine itself, for looking behind the runtime's back. */
async function withEngine<T>(
  connection: Parameters<typeof connectEngine>[0],
  run: (docker: Engine) => Promise<T>,
): Promise<T> {
  const client = connectEngine(connection);
  try {
    return await run(client.docker);
  } finally {
    client.close();
  }
}

async function idOf(docker: Engine, taskId: string): Promise<string> {
  const label = [`${LABEL.task}=${taskId}`];
  const [found] = await docker.listContainers({ all: true, filters: { label } });
  return found?.Id ?? "";
}

benchTest(
  "docker: a secret is there from the first instruction on, with owner and mode, in memory only",
  async (bench, connection) => {
    const assignment = reader(
      bench,
      "cat /run/secrets/pw; ls -ln /run/secrets/pw; grep ' /run/secrets ' /proc/mounts",
    );
    const { taskId } = assignment;
    ok(await bench.runtime.create(assignment, soon()));
    const secret = file({ path: "/run/secrets/pw", uid: 1000, gid: 3_000_000_000, mode: 0o440 });
    ok(await bench.runtime.start(taskId, soon(), [secret]));
    const output = await said(bench, taskId);
    assert(output.startsWith(CANARY), output);
    assertMatch(output, /-r--r-----\s+1 1000\s+3000000000/);
    assertMatch(output, /^tmpfs \/run\/secrets tmpfs/m);
    await withEngine(connection, async (docker) => {
      const id = await idOf(docker, taskId);
      const changed: { Path: string }[] = await docker.getContainer(id).changes();
      const ours = changed.map(({ Path }) => Path).filter((path) => !path.startsWith("/sbin"));
      assertEquals(ours.sort(), ["/run", "/run/secrets"]);
      const info = JSON.stringify(await docker.getContainer(id).inspect());
      assert(!info.includes(CANARY) && !info.includes(btoa(CANARY)));
    });
  },
);

benchTest(
  "docker: each start fills the secrets anew, with what they are then",
  async (bench) => {
    const assignment = reader(bench, "cat /run/secrets/pw");
    const { taskId } = assignment;
    ok(await bench.runtime.create(assignment, soon()));
    ok(await bench.runtime.start(taskId, soon(), [file({ path: "/run/secrets/pw" })]));
    await said(bench, taskId);
    ok(await bench.runtime.stop(taskId, { signal: soon(), graceMs: 0 }));
    const data = new TextEncoder().encode("another");
    ok(await bench.runtime.start(taskId, soon(), [file({ path: "/run/secrets/pw", data })]));
    await eventually(async () => (await said(bench, taskId)).split("done").length === 3);
    assertEquals((await said(bench, taskId)).replaceAll("\n", ""), `${CANARY}doneanotherdone`);
  },
);

benchTest(
  "docker: a secret asked for elsewhere is a link into memory; a config is a file of the container",
  async (bench, connection) => {
    const long = `/opt/${"deep/".repeat(30)}app.conf`;
    const assignment = reader(
      bench,
      `cat /etc/tls/key.pem ${long}; readlink /etc/tls/key.pem; ls -ln ${long}`,
    );
    const { taskId } = assignment;
    ok(await bench.runtime.create(assignment, soon()));
    const config = file({ kind: "config", path: long, mode: 0o400, uid: 33, gid: 34 });
    const data = new TextEncoder().encode("the config\n");
    const files = [file({ path: "/etc/tls/key.pem" }), { ...config, data }];
    ok(await bench.runtime.start(taskId, soon(), files));
    const lines = (await said(bench, taskId)).split("\n");
    assertEquals(lines.slice(0, 2), [
      `${CANARY}the config`,
      "/run/secrets/etc/tls/key.pem",
    ]);
    assertMatch(lines[2] ?? "", /^-r--------\s+1 33\s+34/);
    await withEngine(connection, async (docker) => {
      const archive = await docker.getContainer(await idOf(docker, taskId)).export();
      let layer = "";
      const decoder = new TextDecoder();
      for await (const chunk of archive) layer += decoder.decode(chunk as Uint8Array);
      assert(layer.includes("the config") && !layer.includes(CANARY));
    });
  },
);

benchTest(
  "docker: a container goes with its secrets' volume, and no helper is left",
  async (bench, connection) => {
    const assignment = reader(bench, "true");
    const { taskId } = assignment;
    ok(await bench.runtime.create(assignment, soon()));
    await withEngine(connection, async (docker) => {
      const info = await docker.getContainer(await idOf(docker, taskId)).inspect();
      const volume = info.Mounts[0]?.Name ?? "";
      // One that an agent left behind when it died.
      const leftover = await docker.createContainer({
        name: `berth-helper-${info.Id.slice(0, 12)}`,
        Image: bench.harness.image,
        Labels: { [HELPER_LABEL]: bench.nodeId },
      });
      ok(await bench.runtime.start(taskId, soon(), [file({ path: "/run/secrets/pw" })]));
      const label = [`${HELPER_LABEL}=${bench.nodeId}`];
      assertEquals(await docker.listContainers({ all: true, filters: { label } }), []);
      await leftover.inspect().then(() => assert(false, "it is there"), () => {});
      ok(await bench.runtime.remove(taskId, soon()));
      const { Volumes } = await docker.listVolumes();
      assert(!Volumes.some(({ Name }) => Name === volume), volume);
    });
  },
);

benchTest(
  "docker: 500 KiB are a secret like any other, and a start that is repeated is a success",
  async (bench) => {
    const assignment = reader(bench, "wc -c < /run/secrets/big", 1);
    const { taskId } = assignment;
    ok(await bench.runtime.create(assignment, soon()));
    const data = new Uint8Array(500 * 1024).fill(65);
    const files = [file({ path: "/run/secrets/big", data })];
    ok(await bench.runtime.start(taskId, soon(), files));
    ok(await bench.runtime.start(taskId, soon(), files));
    await bench.said(taskId, "done");
  },
);
