/**
 * Random planner worlds for property tests: small, crowded, and with everything that can be odd in them.
 *
 * @module
 */
import fc from "fast-check";
import type { z } from "zod";
import type { Mode } from "../../kv/schema/service.ts";
import type { Placement } from "../../kv/schema/placement.ts";
import type { World } from "../../scheduler/world.ts";
import {
  type NodeInput,
  type ServiceInput,
  type TaskInput,
  type VolumeInput,
  world,
  type WorldInput,
} from "./world.ts";

const SERVICES = ["web", "db", "calc"];

const aNode: fc.Arbitrary<Omit<NodeInput, "name">> = fc.record({
  cpus: fc.constantFrom(0, 1, 4),
  memoryMiB: fc.constantFrom(0, 512, 4096),
  labels: fc.constantFrom<Record<string, string>>({}, { zone: "a" }, { zone: "b" }),
  taints: fc.constantFrom<NonNullable<NodeInput["taints"]>[]>(
    [],
    [],
    [{ key: "gpu", effect: "no-schedule" }],
    [{ key: "old", effect: "prefer-no-schedule" }],
    [{ key: "gone", effect: "no-execute" }],
  ),
  availability: fc.constantFrom<("active" | "cordon" | "drain")[]>(
    "active",
    "active",
    "cordon",
    "drain",
  ),
  state: fc.constantFrom<("ready" | "down" | "joining")[]>("ready", "ready", "down", "joining"),
  usedPorts: fc.constantFrom<number[][]>([], [], [8080]),
  seenMs: fc.constantFrom(0, 5000),
});

const aMode: fc.Arbitrary<Mode> = fc.oneof(
  fc.record({ type: fc.constant("replicated" as const), replicas: fc.nat(6) }),
  fc.record({
    type: fc.constant("job" as const),
    completions: fc.integer({ min: 1, max: 6 }),
    parallelism: fc.integer({ min: 1, max: 3 }),
    retries: fc.nat(3),
  }),
  fc.constant({ type: "global" as const }),
  fc.record({
    type: fc.constant("cron" as const),
    schedule: fc.constant("* * * * * *"),
    timeZone: fc.constant("UTC"),
    concurrency: fc.constantFrom("allow" as const, "forbid" as const, "replace" as const),
    catchUpMs: fc.constant(0),
    retries: fc.nat(2),
    history: fc.record({ succeeded: fc.nat(2), failed: fc.nat(2) }),
  }),
);

const PLACEMENTS: z.input<typeof Placement>[] = [
  {},
  {},
  {},
  { labels: { zone: "a" } },
  { strategy: "random" },
  { constraints: ["node.labels.zone!=b"], tolerations: [{ operator: "exists" }] },
  { affinity: [{ to: { service: "web" }, anti: true, required: true }] },
  { affinity: [{ to: { service: "db" }, required: true, topology: "zone" }] },
  { spread: [{ label: "zone", required: true }], maxPerNode: 2 },
  { spread: [{ label: "zone" }], affinity: [{ to: { service: "calc" } }] },
];

const aService: fc.Arbitrary<Omit<ServiceInput, "name">> = fc.record({
  mode: aMode,
  revision: fc.integer({ min: 1, max: 2 }),
  stopped: fc.constantFrom(false, false, false, true),
  deleting: fc.constantFrom(false, false, false, true),
  priority: fc.constantFrom(0, 0, 10, -10),
  maxUnavailable: fc.constantFrom(0, 1, 1, 3),
  template: fc.record({
    reserve: fc.record({
      cpus: fc.constantFrom(0, 0.25, 1),
      memoryMiB: fc.constantFrom(0, 100, 512),
    }),
    ports: fc.constantFrom([], [], [{ target: 80, published: 8080, mode: "host" }]),
    mounts: fc.constantFrom(
      [],
      [],
      [],
      [{ type: "volume" as const, source: "data", target: "/data" }],
    ),
    restart: fc.record({ condition: fc.constantFrom("any", "on-failure", "none") }),
    placement: fc.constantFrom<z.input<typeof Placement>>(...PLACEMENTS),
  }),
});

const LIVE = ["pending", "assigned", "starting", "running"] as const;
const ENDED = ["succeeded", "failed", "stopped", "rejected", "lost"] as const;

const aTask: fc.Arbitrary<Omit<TaskInput, "id">> = fc.record({
  service: fc.constantFrom(...SERVICES),
  slot: fc.integer({ min: 1, max: 7 }),
  at: fc.nat(5),
  state: fc.oneof(fc.constantFrom(...LIVE), fc.constantFrom(...LIVE), fc.constantFrom(...ENDED)),
  desired: fc.constantFrom<("run" | "stop")[]>("run", "run", "run", "stop"),
  revision: fc.integer({ min: 1, max: 2 }),
  failures: fc.nat(2),
  endedAtMs: fc.constantFrom(0, 0, -5000),
}).map(({ at, state, desired, revision, ...task }) => ({
  ...task,
  state,
  revision,
  // A pending task has no node and shall run; a stopped one was stopped.
  desired: state === "pending" ? "run" as const : state === "lost" ? "stop" as const : desired,
  ...(state === "pending" ? {} : { node: `n${at + 1}` }),
}));

/** Up to six nodes, three services, twenty tasks; tasks may name nodes that are not there. */
export const aWorld: fc.Arbitrary<WorldInput> = fc.record({
  strategy: fc.constantFrom("spread", "binpack", "epvm", "random"),
  nodes: fc.array(aNode, { maxLength: 6 })
    .map((list) => list.map((node, i) => ({ ...node, name: `n${i + 1}` }))),
  volumes: fc.constantFrom<VolumeInput[]>(
    [{ name: "data" }],
    [{ name: "data", nodes: ["n1"] }],
    [{ name: "data", driver: "shared", nodes: ["n1"] }],
  ),
  services: fc.tuple(aService, aService, aService)
    .map((list) => list.map((service, i) => ({ ...service, name: SERVICES[i] ?? "" }))),
  tasks: fc.array(aTask, { maxLength: 20 })
    .map((list) => list.map((task, i) => ({ ...task, id: `t${String(i).padStart(2, "0")}` }))),
});

/** The same world, with its rows read in another order. */
export function rebuilt(input: WorldInput, random: () => number): World {
  const shuffle = <T>(list: readonly T[]): T[] =>
    list.map((item) => ({ item, key: random() })).sort((a, b) => a.key - b.key)
      .map(({ item }) => item);
  return world({
    ...input,
    nodes: shuffle(input.nodes ?? []),
    services: shuffle(input.services ?? []),
    tasks: shuffle(input.tasks ?? []),
  });
}
