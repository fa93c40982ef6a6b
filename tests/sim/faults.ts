/**
 * What goes wrong: each fault is one entry of a table. A fault that lasts ends by a timer, and all are
 * undone by {@link heal}.
 *
 * @module
 */
import { type KvFaults, NO_KV_FAULTS } from "./kv_faults.ts";
import { ENGINE_FAULTS, healEngines } from "./engine_faults.ts";
import { type NetworkFaults, NO_NETWORK_FAULTS } from "./network.ts";
import { PROCESS_FAULTS } from "./process_faults.ts";
import type { Random } from "./random.ts";
import type { Sim } from "./sim.ts";

export const FAULT_KINDS = [
  ...["process", "network", "database", "disk", "clock", "engine", "container", "loss"] as const,
  "poison" as const,
];
export type FaultKind = typeof FAULT_KINDS[number];

export interface Fault {
  name: string;
  kind: FaultKind;
  weight: number;
  /** Does it, and says to what. `undefined`: there is nothing to do it to. */
  run(sim: Sim, random: Random): string | undefined;
}

/** What is always a little wrong. */
const BASE_NETWORK: NetworkFaults = {
  lostRequest: 0.02,
  lostAnswer: 0.02,
  doubled: 0.03,
  late: 0.04,
  slowAnswer: 0.02,
};
const BASE_KV: KvFaults = { fail: 0.001, unknown: 0.004, conflict: 0.02, slow: 0.03 };

/** A cut is as long as a node may be silent, and longer. */
const CUT_MS = { min: 500, max: 18_000 } as const;

const WORLD_FAULTS: readonly Fault[] = [
  {
    name: "node is cut off",
    kind: "network",
    weight: 3,
    run: (sim, random) => cutNode(sim, random, { to: true, from: true }),
  },
  {
    name: "node hears nothing",
    kind: "network",
    weight: 1,
    run: (sim, random) => cutNode(sim, random, { from: true }),
  },
  {
    name: "node is not heard",
    kind: "network",
    weight: 1,
    run: (sim, random) => cutNode(sim, random, { to: true }),
  },
  {
    name: "nobody reaches a replica",
    kind: "network",
    weight: 1,
    run(sim, random) {
      const replica = random.pick(sim.replicas);
      replica.hiddenUntilMs = sim.timeline.nowMs + random.between(500, 12_000);
      return replica.name;
    },
  },
  {
    name: "network is bad",
    kind: "network",
    weight: 2,
    run(sim, random) {
      const p = random.between(0.1, 0.4);
      const bad = { lostRequest: p, lostAnswer: p, doubled: p, late: p, slowAnswer: p };
      sim.network.faults = bad;
      sim.timeline.after(random.between(1_000, 6_000), () => {
        if (sim.network.faults === bad) sim.network.faults = sim.base.network;
      });
      return "";
    },
  },
  {
    name: "database is bad",
    kind: "database",
    weight: 2,
    run(sim, random) {
      const p = random.between(0.02, 0.15);
      return spoil(sim, random, { fail: p, unknown: p, conflict: p, slow: 0.3 });
    },
  },
  {
    name: "a replica loses the database",
    kind: "database",
    weight: 2,
    run(sim, random) {
      const { process } = random.pick(sim.replicas);
      if (!process?.alive) return undefined;
      process.severedUntilMs = sim.timeline.nowMs + random.between(500, 14_000);
      return process.name;
    },
  },
  {
    name: "a node and a replica are cut off together",
    kind: "database",
    weight: 2,
    run(sim, random) {
      const { cut, name } = random.pick(sim.nodes);
      const replica = random.pick(sim.replicas);
      if (!replica.process?.alive) return undefined;
      cut.only = replica.name;
      cut.onlyMs = sim.timeline.nowMs + random.between(500, 14_000);
      replica.process.severedUntilMs = cut.onlyMs;
      return `${name} and ${replica.process.name}`;
    },
  },
  {
    name: "watches lag",
    kind: "database",
    weight: 1,
    run(sim, random) {
      sim.database.watchLagMs = random.pick([20, 500, 5_000]);
      return `${sim.database.watchLagMs} ms`;
    },
  },
  {
    name: "disk is full",
    kind: "disk",
    weight: 1,
    run: (sim, random) => spoil(sim, random, { ...BASE_KV, full: true }),
  },
  {
    name: "many nodes are lost",
    kind: "loss",
    weight: 1,
    run(sim, random) {
      const all = random.chance(0.5);
      const untilMs = sim.timeline.nowMs + random.between(4_000, 16_000);
      const cut = sim.nodes.filter(() => all || random.chance(0.7));
      for (const node of cut) node.cut.toMs = node.cut.fromMs = untilMs;
      return cut.length === 0 ? undefined : cut.map(({ name }) => name).join(", ");
    },
  },
  {
    name: "wall clock jumps",
    kind: "clock",
    weight: 2,
    run(sim, random) {
      const { machine } = random.pick([...sim.nodes, ...sim.replicas]);
      machine.wallErrorMs = random.between(-3_600_000, 3_600_000);
      return `${machine.name} to ${Math.round(machine.wallErrorMs)} ms`;
    },
  },
  {
    name: "a row is damaged",
    kind: "poison",
    weight: 1,
    run: (sim, random) => sim.poison.damage(random),
  },
];

export const FAULTS: readonly Fault[] = [...PROCESS_FAULTS, ...ENGINE_FAULTS, ...WORLD_FAULTS];

function cutNode(sim: Sim, random: Random, ways: { to?: true; from?: true }): string {
  const node = random.pick(sim.nodes);
  const untilMs = sim.timeline.nowMs + random.between(CUT_MS.min, CUT_MS.max);
  if (ways.to) node.cut.toMs = untilMs;
  if (ways.from) node.cut.fromMs = untilMs;
  return node.name;
}

function spoil(sim: Sim, random: Random, faults: KvFaults): string {
  sim.database.faults = faults;
  sim.timeline.after(random.between(500, 5_000), () => {
    if (sim.database.faults === faults) sim.database.faults = sim.base.database;
  });
  return "";
}

/** Begins the bad time: with faults of these kinds. */
export function trouble(sim: Sim, kinds: ReadonlySet<FaultKind>): void {
  if (kinds.has("network")) sim.base.network = BASE_NETWORK;
  if (kinds.has("database")) sim.base.database = BASE_KV;
  sim.network.faults = sim.base.network;
  sim.database.faults = sim.base.database;
}

/** Undoes every fault. Wall clocks of nodes stay wrong: nothing may depend on them. */
export async function heal(sim: Sim): Promise<void> {
  sim.base = { network: NO_NETWORK_FAULTS, database: NO_KV_FAULTS };
  sim.network.faults = NO_NETWORK_FAULTS;
  sim.database.faults = NO_KV_FAULTS;
  sim.database.watchLagMs = 20;
  sim.patient = false;
  for (const { process, cut } of sim.nodes) {
    cut.toMs = cut.fromMs = cut.onlyMs = 0;
    if (process) process.fuse = undefined;
  }
  const aheadMs = Math.max(...sim.replicas.map(({ machine }) => machine.wallErrorMs));
  for (const replica of sim.replicas) {
    replica.hiddenUntilMs = 0;
    // Schedules are wall time: they go on with the clock that is ahead.
    replica.machine.wallErrorMs = aheadMs;
    if (!replica.process) continue;
    replica.process.fuse = undefined;
    replica.process.severedUntilMs = 0;
  }
  healEngines(sim);
  await sim.poison.cure();
}
