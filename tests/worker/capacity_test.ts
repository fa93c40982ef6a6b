import { assertEquals } from "@std/assert";
import { gpusOf } from "../../worker/docker/client.ts";
import { factsOf } from "../../worker/join.ts";
import type { EngineInfo } from "../../worker/runtime.ts";

const INFO: EngineInfo = {
  ...{ runtime: "docker", engine: "docker 28", hostname: "n1", os: "linux", arch: "x86_64" },
  capacity: { cpus: 4, memoryMiB: 8000 },
  diskMiB: 100_000,
  gpus: 2,
};
const BASE = { name: "n1", address: "10.0.0.1", labels: {} };

const CASES: [string, Parameters<typeof factsOf>[1], { cpus: number; memoryMiB: number }][] = [
  ["a twentieth of a machine's memory is kept", BASE, { cpus: 4, memoryMiB: 7600 }],
  ["nothing is kept of what was said", { ...BASE, memoryMiB: 1000 }, { cpus: 4, memoryMiB: 1000 }],
  [
    "a reserve is taken off",
    { ...BASE, cpus: 2, memoryMiB: 1000, reserve: { cpus: 0.3, memoryMiB: 100 } },
    { cpus: 1.7, memoryMiB: 900 },
  ],
  ["no reserve is no reserve", { ...BASE, reserve: { cpus: 0, memoryMiB: 0 } }, {
    cpus: 4,
    memoryMiB: 8000,
  }],
  ["a reserve above all leaves nothing", { ...BASE, reserve: { cpus: 9, memoryMiB: 9000 } }, {
    cpus: 0,
    memoryMiB: 0,
  }],
];

for (const [property, config, allocatable] of CASES) {
  Deno.test(`capacity: ${property}`, () => {
    const facts = factsOf(INFO, config);
    assertEquals(facts.allocatable, allocatable);
    assertEquals([facts.diskMiB, facts.gpus], [100_000, 2]);
  });
}

Deno.test("capacity: GPUs are counted from what the engine says", () => {
  const machine = {
    ...{ ServerVersion: "28", Name: "n1", OSType: "linux", Architecture: "x86_64" },
    ...{ NCPU: 1, MemTotal: 1 },
  };
  const listed = [
    { NamedResourceSpec: { Kind: "NVIDIA-GPU" } },
    { DiscreteResourceSpec: { Kind: "gpu", Value: 3 } },
    { DiscreteResourceSpec: { Kind: "ssd", Value: 9 } },
  ];
  assertEquals(gpusOf(machine), undefined);
  assertEquals(gpusOf({ ...machine, Runtimes: { runc: {}, nvidia: {} } }), 1);
  assertEquals(gpusOf({ ...machine, GenericResources: listed }), 4);
});
