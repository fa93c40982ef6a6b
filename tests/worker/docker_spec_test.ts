import { assertEquals } from "@std/assert";
import { Assignment } from "../../kv/schema/agent.ts";
import type { Inspection, ListItem } from "../../worker/docker/client.ts";
import { createOptions } from "../../worker/docker/spec.ts";
import { fingerprint, refreshed, statusFromInspect } from "../../worker/docker/status.ts";
import { demux, jsonLines } from "../../worker/docker/streams.ts";
import { idOf } from "../support/ids.ts";

const TASK = idOf(1);

function assignment(template: Partial<Assignment["template"]>): Assignment {
  return Assignment.parse({
    taskId: TASK,
    serviceId: idOf(2),
    service: "web",
    project: "shop",
    slot: 3,
    revision: 4,
    desired: "run",
    template: { image: "nginx:1.27", ...template },
  });
}

Deno.test("a bare template gives the image's own command, no limits and no restart", () => {
  assertEquals(createOptions(assignment({}), { nodeId: "node-1" }), {
    name: `berth-web-3-${TASK}`,
    Image: "nginx:1.27",
    Labels: {
      "berth.node": "node-1",
      "berth.task": TASK,
      "berth.service": "web",
      "berth.project": "shop",
      "berth.slot": "3",
      "berth.revision": "4",
    },
    Env: [],
    StopTimeout: 10,
    Tty: false,
    ExposedPorts: {},
    HostConfig: { RestartPolicy: { Name: "no" }, PortBindings: {}, Init: false },
  });
});

Deno.test("every field of a template reaches the engine, and labels cannot pose as Berth's", () => {
  const options = createOptions(
    assignment({
      entrypoint: ["/entry"],
      command: [],
      env: { A: "1", B: "x=y" },
      labels: { tier: "front", "berth.node": "another" },
      workingDir: "/srv",
      user: "1000",
      tty: true,
      init: true,
      ports: [
        { target: 80, published: 8080, protocol: "tcp", mode: "host" },
        { target: 80, published: 8081, protocol: "tcp", mode: "host", hostIp: "127.0.0.1" },
        { target: 53, protocol: "udp", mode: "ingress" },
        { target: 53, published: 5353, protocol: "udp", mode: "ingress" },
      ],
      limit: { cpus: 0.25, memoryMiB: 64 },
      stopGraceMs: 1500,
      stopSignal: "SIGINT",
    }),
    { nodeId: "node-1", bindAddress: "10.0.0.1" },
  );
  assertEquals(options.Entrypoint, ["/entry"]);
  assertEquals(options.Cmd, []);
  assertEquals(options.Env, ["A=1", "B=x=y"]);
  assertEquals([options.Labels?.tier, options.Labels?.["berth.node"]], ["front", "node-1"]);
  assertEquals([options.WorkingDir, options.User, options.Tty], ["/srv", "1000", true]);
  assertEquals([options.StopSignal, options.StopTimeout], ["SIGINT", 2]);
  assertEquals(Object.keys(options.ExposedPorts ?? {}), ["80/tcp", "53/udp"]);
  assertEquals(options.HostConfig, {
    RestartPolicy: { Name: "no" },
    PortBindings: {
      "80/tcp": [{ HostPort: "8080" }, { HostPort: "8081", HostIp: "127.0.0.1" }],
      "53/udp": [{ HostPort: "", HostIp: "10.0.0.1" }],
    },
    Init: true,
    NanoCpus: 250_000_000,
    Memory: 67_108_864,
  });
});

function inspection(state: Record<string, unknown>, ports: unknown = {}): Inspection {
  return {
    Id: "c1",
    Config: { Labels: { "berth.task": TASK } },
    State: {
      ExitCode: 0,
      OOMKilled: false,
      Error: "",
      StartedAt: "0001-01-01T00:00:00Z",
      FinishedAt: "0001-01-01T00:00:00Z",
      ...state,
    },
    NetworkSettings: { Ports: ports },
  } as unknown as Inspection;
}

Deno.test("a running container tells its ports once, its health, and not its previous end", () => {
  const status = statusFromInspect(
    inspection({
      Status: "running",
      StartedAt: "2026-01-02T03:04:05.123456789Z",
      FinishedAt: "2026-01-01T00:00:00Z",
      Health: { Status: "starting" },
    }, {
      // An engine under load may choose another number for IPv6.
      "80/tcp": [{ HostIp: "0.0.0.0", HostPort: "8080" }, { HostIp: "::", HostPort: "8081" }],
      "81/tcp": null,
    }),
  );
  assertEquals(status, {
    id: "c1",
    taskId: TASK,
    state: "running",
    exitCode: 0,
    oomKilled: false,
    error: "",
    health: "starting",
    startedAt: "2026-01-02T03:04:05.123456789Z",
    ports: [{ target: 80, published: 8080, protocol: "tcp", hostIp: "0.0.0.0" }],
  });
});

Deno.test("an ended container tells how, in UTC; one that never ran has no times", () => {
  const ended = statusFromInspect(
    inspection({
      Status: "exited",
      ExitCode: 137,
      OOMKilled: true,
      StartedAt: "2026-01-02T03:04:05+02:00",
      FinishedAt: "2026-01-02T03:04:06Z",
    }),
  );
  assertEquals([ended.state, ended.exitCode, ended.oomKilled], ["exited", 137, true]);
  assertEquals(ended.startedAt, "2026-01-02T01:04:05.000Z");
  const created = statusFromInspect(inspection({ Status: "created", Error: "no\nsuch file" }));
  assertEquals([created.state, created.error], ["created", "no such file"]);
  assertEquals("startedAt" in created || "finishedAt" in created, false);
});

Deno.test("a listed container is looked at again when its state or exit code changed", () => {
  const item = (State: string, Status: string) => ({ Id: "c1", State, Status }) as ListItem;
  const up = fingerprint(item("running", "Up 3 seconds"));
  assertEquals(fingerprint(item("running", "Up 2 hours (healthy)")), up);
  const ended = fingerprint(item("exited", "Exited (3) 1 second ago"));
  assertEquals(ended === up, false);
  assertEquals(fingerprint(item("exited", "Exited (3) 2 hours ago")), ended);
  assertEquals(fingerprint(item("exited", "Exited (0) 1 second ago")) === ended, false);
  const known = statusFromInspect(inspection({ Status: "running" }));
  const health = (status: string) => refreshed(known, item("running", status)).health;
  assertEquals(health("Up 3 seconds (health: starting)"), "starting");
  assertEquals(health("Up 3 seconds (unhealthy)"), "unhealthy");
  assertEquals(health("Up 3 seconds"), "none");
});

async function* inPieces(bytes: Uint8Array, size: number) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

function frame(stream: number, text: string): number[] {
  const data = [...new TextEncoder().encode(text)];
  return [stream, 0, 0, 0, 0, 0, data.length >> 8, data.length & 255, ...data];
}

Deno.test("framed output is split right wherever the pieces are cut", async () => {
  const long = "x".repeat(300);
  const bytes = new Uint8Array([
    ...frame(1, "out"),
    ...frame(2, "err"),
    ...frame(1, ""),
    ...frame(1, long),
  ]);
  for (const size of [1, 2, 3, 7, 8, 9, 11, 64, 1000]) {
    const said = { stdout: "", stderr: "" };
    for await (const { stream, data } of demux(inPieces(bytes, size), false)) {
      said[stream] += new TextDecoder().decode(data);
    }
    assertEquals(said, { stdout: `out${long}`, stderr: "err" }, `pieces of ${size}`);
  }
});

Deno.test("a terminal's output is not framed", async () => {
  const bytes = new Uint8Array([1, 0, 0, 0, 65]);
  const chunks = await Array.fromAsync(demux(inPieces(bytes, 2), true));
  assertEquals(chunks.flatMap(({ data }) => [...data]), [1, 0, 0, 0, 65]);
});

Deno.test("lines of JSON are read whole, and what is none is skipped", async () => {
  const bytes = new TextEncoder().encode('{"a":"ä"}\r\n\nnonsense\n{"a":2}\n{"a":');
  for (const size of [1, 4, 100]) {
    const values = await Array.fromAsync(jsonLines(inPieces(bytes, size)));
    assertEquals(values, [{ a: "ä" }, { a: 2 }]);
  }
});

Deno.test("a bind mount is told the older way where its directory is made or labelled, else the newer", () => {
  const bind = (more: object) => ({
    type: "bind" as const,
    source: "/srv/a",
    target: "/a",
    ...more,
  });
  const hostOf = (mount: object) =>
    createOptions(assignment({ mounts: [bind(mount)] as never }), { nodeId: "node-1" }).HostConfig;
  const options = { readOnly: true, createHostPath: true, selinux: "z", propagation: "rslave" };
  assertEquals(hostOf(options)?.Binds, ["/srv/a:/a:ro,rslave,z"]);
  assertEquals(
    hostOf({ readOnly: false, createHostPath: false })?.Mounts?.map(({ Type }) => Type),
    [
      "bind",
    ],
  );
});
