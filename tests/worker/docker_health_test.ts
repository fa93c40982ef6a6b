import { assertEquals } from "@std/assert";
import type { HealthCheck } from "../../kv/schema/health.ts";
import type { Inspection } from "../../worker/docker/client.ts";
import { createOptions } from "../../worker/docker/spec.ts";
import { statusFromInspect } from "../../worker/docker/status.ts";
import { assignmentOf } from "../support/fake_server.ts";

type HealthInput = Pick<HealthCheck, "probe"> & Partial<HealthCheck>;

Deno.test("the engine is told of its own probe, of no other, and of none when there is nothing to say", () => {
  const command = ["check", "--fast"];
  const table: [string, HealthInput | undefined, unknown][] = [
    ["the image's", undefined, undefined],
    ["the image's, asked for", { probe: { type: "engine" } }, {}],
    ["disabled", { probe: { type: "none" } }, { Test: ["NONE"] }],
    ["the agent's", { probe: { type: "tcp", port: 80 } }, { Test: ["NONE"] }],
    ["a command", { probe: { type: "engine", command } }, { Test: ["CMD", ...command] }],
    [
      "the image's at another pace",
      {
        probe: { type: "engine" },
        intervalMs: 1_000,
        timeoutMs: 500,
        retries: 5,
        startPeriodMs: 10_000,
        startIntervalMs: 200,
      },
      {
        Interval: 1_000_000_000,
        Timeout: 500_000_000,
        Retries: 5,
        StartPeriod: 10_000_000_000,
        StartInterval: 200_000_000,
      },
    ],
  ];
  const found = table.map(([what, health]) => {
    const assignment = assignmentOf(1, health ? { health } : {});
    return [what, createOptions(assignment, { nodeId: "node-1" }).Healthcheck];
  });
  assertEquals(found, table.map(([what, , expected]) => [what, expected]));
});

function inspection(status: string, over: Record<string, unknown> = {}): Inspection {
  return {
    Id: "c1",
    Config: { Labels: {} },
    State: {
      Status: status,
      ...{ ExitCode: 0, OOMKilled: false, Error: "" },
      ...{ StartedAt: "2026-01-02T03:04:05Z", FinishedAt: "0001-01-01T00:00:00Z" },
      Health: {
        Status: "unhealthy",
        Log: [{ Output: "first" }, { Output: "no\ndisk " }],
      },
    },
    HostConfig: { NetworkMode: "default" },
    NetworkSettings: { Ports: {}, Networks: { bridge: { IPAddress: "172.17.0.2" } } },
    ...over,
  } as unknown as Inspection;
}

Deno.test("an unhealthy container tells what its probe said last, on one line", () => {
  const { health, healthOutput } = statusFromInspect(inspection("running"));
  assertEquals([health, healthOutput], ["unhealthy", "no disk"]);
});

Deno.test("a running container has the address of its first network that gives one", () => {
  const address = (status: string, over?: Record<string, unknown>) =>
    statusFromInspect(inspection(status, over)).address;
  const networks = (...addresses: string[]) => ({
    NetworkSettings: {
      Ports: {},
      Networks: Object.fromEntries(addresses.map((IPAddress, i) => [`n${i}`, { IPAddress }])),
    },
  });
  assertEquals(address("running"), "172.17.0.2");
  assertEquals(address("running", networks("", "10.1.0.2", "10.2.0.2")), "10.1.0.2");
  assertEquals(address("running", { HostConfig: { NetworkMode: "host" } }), "127.0.0.1");
  assertEquals([address("running", networks()), address("exited")], [undefined, undefined]);
});
