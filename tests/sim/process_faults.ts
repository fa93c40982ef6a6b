/**
 * Processes that die, stand still, or are started again: at any effect that they have on the world.
 *
 * @module
 */
import type { Fault } from "./faults.ts";
import type { SimNode } from "./node.ts";
import type { Process } from "./process.ts";
import type { Random } from "./random.ts";
import type { Sim } from "./sim.ts";

const kind = "process" as const;

export const PROCESS_FAULTS: readonly Fault[] = [
  {
    name: "agent dies",
    kind,
    weight: 4,
    run: (sim, random) =>
      onProcess(agents(sim), random, (process) => {
        if (random.chance(0.3)) return process.die("kill -9");
        light(process, random, 8);
      }),
  },
  {
    name: "agent is restarted",
    kind,
    weight: 1,
    run: (sim, random) => onProcess(agents(sim), random, (process) => process.stop.abort()),
  },
  {
    name: "agent dies and loses its state",
    kind,
    weight: 1,
    run: (sim, random) =>
      onNode(sim, random, (node) => {
        node.process?.die("kill -9");
        node.forget();
      }),
  },
  {
    name: "agent stands still",
    kind,
    weight: 2,
    run: (sim, random) =>
      onProcess(agents(sim), random, (process) => process.stall(random.between(500, 12_000))),
  },
  {
    name: "agent stands still at an effect",
    kind,
    weight: 1,
    run: (sim, random) =>
      onProcess(agents(sim), random, (process) => {
        const stallMs = random.between(500, 12_000);
        process.fuse = { left: 1 + random.int(8), then: { stallMs } };
      }),
  },
  {
    name: "replica dies at a commit",
    kind,
    weight: 3,
    run: (sim, random) =>
      onProcess(planes(sim), random, (process) => light(process, random, 6, "kv commit")),
  },
  {
    name: "replica dies at any effect",
    kind,
    weight: 2,
    run: (sim, random) => onProcess(planes(sim), random, (process) => light(process, random, 40)),
  },
  {
    name: "leader dies",
    kind,
    weight: 1,
    run: (sim, random) => onProcess(leaders(sim), random, (process) => process.die("kill -9")),
  },
  {
    name: "replica is restarted",
    kind,
    weight: 1,
    run: (sim, random) => onProcess(planes(sim), random, (process) => process.stop.abort()),
  },
  {
    name: "replica stands still at a commit",
    kind,
    weight: 4,
    run: (sim, random) =>
      onProcess(planes(sim), random, (process) => {
        process.fuse = {
          left: 1 + random.int(4),
          only: (what) => what === "kv commit",
          then: { stallMs: random.between(500, 15_000) },
        };
      }),
  },
  {
    name: "leader stands still",
    kind,
    weight: 1,
    run: (sim, random) =>
      onProcess(leaders(sim), random, (process) => process.stall(random.between(3_000, 15_000))),
  },
];

/** Before or after one of its next effects it dies. */
function light(process: Process, random: Random, within: number, only?: string): void {
  const then = random.pick(["die-before", "die-after"] as const);
  const left = 1 + random.int(within);
  process.fuse = {
    left,
    then,
    ...(only === undefined ? {} : { only: (what: string) => what === only }),
  };
}

function agents(sim: Sim): Process[] {
  return sim.nodes.flatMap(({ process }) => process?.alive ? [process] : []);
}

function planes(sim: Sim): Process[] {
  return sim.replicas.flatMap(({ process }) => process?.alive ? [process] : []);
}

function leaders(sim: Sim): Process[] {
  return sim.replicas.flatMap((replica) =>
    replica.process?.alive && replica.leads() ? [replica.process] : []
  );
}

function onProcess(
  processes: Process[],
  random: Random,
  run: (process: Process) => void,
): string | undefined {
  if (processes.length === 0) return undefined;
  const process = random.pick(processes);
  run(process);
  return process.name;
}

function onNode(sim: Sim, random: Random, run: (node: SimNode) => void): string {
  const node = random.pick(sim.nodes);
  run(node);
  return node.name;
}
