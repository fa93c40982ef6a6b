import { assert, assertEquals } from "@std/assert";
import { Assignment } from "../../kv/schema/agent.ts";
import { ContainerOptions } from "../../kv/schema/container.ts";
import { connectEngine } from "../../worker/docker/client.ts";
import { containerOptions, hostOptions } from "../../worker/docker/container_options.ts";
import { createDockerRuntime } from "../../worker/docker/docker.ts";
import { createOptions } from "../../worker/docker/spec.ts";
import { engineTest, ensureTestImage, TEST_IMAGE } from "../support/engine.ts";
import { idOf } from "../support/ids.ts";

const TASK = idOf(77_001);
const NODE = "container-options-test";

/** Every option that goes to the engine, each with a value of its own. */
const EVERY = ContainerOptions.parse({
  hostname: "box",
  domainname: "example.test",
  extraHosts: ["db:10.0.0.7", "six:::1"],
  dns: ["9.9.9.9"],
  dnsSearch: ["example.test"],
  dnsOptions: ["ndots:2"],
  networkMode: "bridge",
  ipc: "private",
  pid: "host",
  uts: "host",
  userns: "host",
  cgroup: "host",
  cgroupParent: "/berth-test",
  capAdd: ["NET_ADMIN"],
  capDrop: ["MKNOD"],
  privileged: false,
  securityOpt: ["no-new-privileges"],
  readOnly: true,
  groupAdd: ["1234"],
  devices: [{ source: "/dev/null", target: "/dev/nothing", permissions: "r" }],
  deviceCgroupRules: ["c 1:3 r"],
  deviceRequests: [{ capabilities: ["gpu"], count: 2, driver: "x" }],
  runtime: "runc",
  platform: "linux/amd64",
  annotations: { a: "b" },
  stdinOpen: true,
  stdinOnce: true,
  tmpfs: { "/run": "size=1m" },
  shmBytes: 8 * 1024 * 1024,
  storageOpt: { size: "1g" },
  sysctls: { "net.core.somaxconn": "512" },
  ulimits: [{ name: "nofile", soft: 100, hard: 200 }],
  logging: { driver: "json-file", options: { "max-size": "1m" } },
  pidsLimit: 50,
  memorySwapBytes: 64 * 1024 * 1024,
  memorySwappiness: 10,
  oomKillDisable: false,
  oomScoreAdj: 100,
  cpuShares: 512,
  cpuQuotaUs: 50_000,
  cpuPeriodUs: 100_000,
  cpuRealtimeRuntimeUs: 1000,
  cpuRealtimePeriodUs: 2000,
  cpuset: "0",
  blkio: {
    weight: 300,
    weightDevice: [{ path: "/dev/sda", weight: 200 }],
    readBps: [{ path: "/dev/sda", rate: 1 }],
    readIops: [{ path: "/dev/sda", rate: 2 }],
    writeBps: [{ path: "/dev/sda", rate: 3 }],
    writeIops: [{ path: "/dev/sda", rate: 4 }],
  },
});

Deno.test("every option reaches the engine but the hooks, which are the agent's", () => {
  const schema = Object.keys(ContainerOptions.shape);
  assertEquals(schema.filter((name) => !Object.hasOwn(EVERY, name)), ["postStart", "preStop"]);
  const sent = { ...containerOptions(EVERY), ...hostOptions(EVERY) };
  // Each option taken away takes something away that is sent.
  for (const name of Object.keys(EVERY)) {
    const { [name as "dns"]: _, ...without } = EVERY;
    const less = { ...containerOptions(without), ...hostOptions(without) };
    assert(Object.keys(less).length < Object.keys(sent).length, `${name} is not sent`);
  }
  const { weight: _, ...blkio } = EVERY.blkio ?? {};
  assertEquals(
    Object.keys(hostOptions(EVERY)).length,
    Object.keys(hostOptions({ ...EVERY, blkio })).length + 1,
  );
});

Deno.test("options that are absent are left to the engine", () => {
  assertEquals([containerOptions({}), hostOptions({})], [{}, {}]);
});

function assignment(container: ContainerOptions): Assignment {
  return Assignment.parse({
    ...{ taskId: TASK, serviceId: idOf(2), service: "box", project: "shop", slot: 1, revision: 1 },
    desired: "run",
    template: {
      image: TEST_IMAGE,
      command: ["sleep", "60"],
      stopGraceMs: 0,
      limit: { memoryMiB: 32 },
      container,
    },
  });
}

engineTest("the engine makes a container with the options and runs it", async (connection) => {
  await ensureTestImage(connection);
  const runtime = createDockerRuntime({ connection, nodeId: NODE });
  const client = connectEngine(connection);
  const signal = AbortSignal.timeout(30_000);
  // What this machine's kernel or engine may have no support for.
  const unusual = ["deviceRequests", "cpuRealtimeRuntimeUs", "cpuRealtimePeriodUs", "storageOpt"];
  unusual.push("pid", "blkio", "cgroupParent", "userns", "uts", "domainname");
  const usual = ContainerOptions.parse(
    Object.fromEntries(Object.entries(EVERY).filter(([name]) => !unusual.includes(name))),
  );
  const wanted = assignment(usual);
  try {
    assertEquals(await runtime.create(wanted, signal), { ok: true, value: undefined });
    assertEquals(await runtime.start(TASK, signal), { ok: true, value: undefined });
    const { name } = createOptions(wanted, { nodeId: NODE });
    const found = await client.docker.getContainer(name).inspect();
    const host = found.HostConfig as unknown as Record<string, unknown>;
    const expected = hostOptions(usual) as Record<string, unknown>;
    // Engines before 24 do not know annotations.
    delete expected.Annotations;
    for (const [key, value] of Object.entries(expected)) {
      const seen = key === "CapAdd" || key === "CapDrop"
        ? (host[key] as string[]).map((cap) => cap.replace(/^CAP_/, ""))
        : host[key];
      assertEquals(seen, value, key);
    }
    const { Hostname, OpenStdin, StdinOnce } = found.Config;
    assertEquals([Hostname, OpenStdin, StdinOnce], ["box", true, true]);
    const session = await runtime.exec(TASK, {
      command: ["sh", "-c", "hostname; cat /etc/hosts; touch /x 2>&1; touch /run/x && echo tmpfs"],
      ...{ tty: false, stdin: false, env: {} },
    }, signal);
    if (!session.ok) throw new Error(session.message);
    let said = "";
    for await (const { data } of session.value.output) said += new TextDecoder().decode(data);
    await session.value.close();
    assert(/^box$/m.test(said) && /10\.0\.0\.7\s+db/.test(said), said);
    assert(/Read-only file system/.test(said) && /^tmpfs$/m.test(said), said);
  } finally {
    await runtime.remove(TASK, AbortSignal.timeout(10_000));
    await runtime.close();
    client.close();
  }
});

engineTest(
  "an option that the engine cannot carry out is the task's own fault",
  async (connection) => {
    await ensureTestImage(connection);
    const runtime = createDockerRuntime({ connection, nodeId: NODE });
    const signal = AbortSignal.timeout(30_000);
    try {
      for (
        const options of [{ groupAdd: ["nobody-knows"] }, { devices: [{ source: "/dev/nothing" }] }]
      ) {
        const made = await runtime.create(assignment(ContainerOptions.parse(options)), signal);
        const answer = made.ok ? await runtime.start(TASK, signal) : made;
        assertEquals(answer.ok ? "ok" : answer.kind, "refused", JSON.stringify(answer));
        await runtime.remove(TASK, signal);
      }
    } finally {
      await runtime.remove(TASK, AbortSignal.timeout(10_000));
      await runtime.close();
    }
  },
);

Deno.test("the project's network gives way to a mode of the container's own, and its names come first", () => {
  const network = { network: { name: "berth-shop" }, dns: ["10.1.0.1"] } as never;
  const host = createOptions(assignment({ networkMode: "host" }), { nodeId: NODE, network });
  assertEquals([host.HostConfig?.NetworkMode, host.HostConfig?.Dns], ["host", undefined]);
  assertEquals(host.NetworkingConfig, undefined);
  const own = createOptions(assignment({ dns: ["9.9.9.9"] }), { nodeId: NODE, network });
  assertEquals(own.HostConfig?.NetworkMode, "berth-shop");
  assertEquals(own.HostConfig?.Dns, ["10.1.0.1", "9.9.9.9"]);
});
