/**
 * What goes wrong: each fault is one entry of the table. A fault that lasts ends by a timer, and all
 * are undone by {@link heal}.
 *
 * @module
 */
import type { SimOperation } from "../../worker/sim.ts";
import { NO_KV_FAULTS } from "./database.ts";
import { NO_NETWORK_FAULTS } from "./network.ts";
import type { SimNode } from "./node.ts";
import type { Process } from "./process.ts";
import type { Random } from "./random.ts";
import type { Sim } from "./sim.ts";

export interface Fault {
  name: string;
  weight: number;
  /** Does it, and says to what. `undefined`: there is nothing to do it to. */
  run(sim: Sim, random: Random): string | undefined;
}

/** What is always a little wrong. */
const BASE_NETWORK = { lostRequest: 0.02, lostAnswer: 0.02, doubled: 0.03, late: 0.04 } as const;
const BASE_KV = { fail: 0.001, unknown: 0.004, conflict: 0.02, slow: 0.03 } as const;

export const FAULTS: readonly Fault[] = [
  {
    name: "agent dies",
    weight: 4,
    run: (sim, random) =>
      onProcess(agents(sim), random, (process) => {
        if (random.chance(0.3)) return process.die("kill -9");
        const then = random.pick(["die-before", "die-after"] as const);
        process.fuse = { left: 1 + random.int(8), then };
      }),
  },
  {
    name: "agent is restarted",
    weight: 1,
    run: (sim, random) => onProcess(agents(sim), random, (process) => process.stop.abort()),
  },
  {
    name: "agent dies and loses its state",
    weight: 1,
    run: (sim, random) =>
      onNode(sim, random, (node) => {
        node.process?.die("kill -9");
        node.forget();
      }),
  },
  {
    name: "agent stands still",
    weight: 2,
    run: (sim, random) =>
      onProcess(agents(sim), random, (process) => process.stall(random.between(500, 12_000))),
  },
  {
    name: "replica dies at a commit",
    weight: 3,
    run: (sim, random) =>
      onProcess(planes(sim), random, (process) => {
        const then = random.pick(["die-before", "die-after"] as const);
        process.fuse = { left: 1 + random.int(6), only: (what) => what === "kv commit", then };
      }),
  },
  {
    name: "replica is restarted",
    weight: 1,
    run: (sim, random) => onProcess(planes(sim), random, (process) => process.stop.abort()),
  },
  {
    name: "replica stands still at a commit",
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
    name: "node is cut off",
    weight: 3,
    run: (sim, random) =>
      onNode(sim, random, (node) => {
        node.partitionedUntilMs = sim.timeline.nowMs + random.between(500, 18_000);
      }),
  },
  {
    name: "network is bad",
    weight: 2,
    run(sim, random) {
      const p = random.between(0.1, 0.4);
      sim.network.faults = { lostRequest: p, lostAnswer: p, doubled: p, late: p };
      const ms = random.between(1_000, 6_000);
      sim.timeline.after(ms, () => {
        if (sim.network.faults.late === p) sim.network.faults = BASE_NETWORK;
      });
      return "";
    },
  },
  {
    name: "database is bad",
    weight: 2,
    run(sim, random) {
      const p = random.between(0.02, 0.15);
      sim.database.faults = { fail: p, unknown: p, conflict: p, slow: 0.3 };
      const ms = random.between(500, 5_000);
      sim.timeline.after(ms, () => {
        if (sim.database.faults.fail === p) sim.database.faults = BASE_KV;
      });
      return "";
    },
  },
  {
    name: "watches lag",
    weight: 1,
    run(sim, random) {
      sim.database.watchLagMs = random.pick([20, 500, 5_000]);
      return `${sim.database.watchLagMs} ms`;
    },
  },
  {
    name: "engine does not answer",
    weight: 2,
    run: (sim, random) =>
      onNode(sim, random, (node) => {
        node.control.setAvailable(false);
        sim.timeline.after(random.between(300, 15_000), () => node.control.setAvailable(true));
      }),
  },
  {
    name: "engine call hangs",
    weight: 1,
    run: (sim, random) =>
      onNode(sim, random, (node) => {
        const operation = random.pick<SimOperation>(["list", "inspect", "create", "start", "stop"]);
        node.control.hang(operation);
        sim.timeline.after(random.between(300, 8_000), () => node.control.unhang(operation));
      }),
  },
  {
    name: "engine loses an answer",
    weight: 3,
    run: (sim, random) =>
      onNode(
        sim,
        random,
        (node) =>
          node.control.loseAnswer(random.pick(["create", "start", "stop", "remove", "pull"])),
      ),
  },
  {
    name: "image cannot be pulled",
    weight: 1,
    run: (sim, random) =>
      onNode(sim, random, (node) => {
        const image = random.pick(["app:1", "app:2"]);
        node.control.failPull(image);
        sim.timeline.after(
          random.between(500, 8_000),
          () => node.engine.faults.badImages.delete(image),
        );
      }),
  },
  {
    name: "container exits",
    weight: 3,
    run: (sim, random) =>
      onContainer(sim, random, (node, taskId) => node.control.exit(taskId, random.pick([0, 1]))),
  },
  {
    name: "container is removed by somebody",
    weight: 2,
    run: (sim, random) =>
      onContainer(sim, random, (node, taskId) => node.control.removeBehindBack(taskId)),
  },
  {
    name: "wall clock jumps",
    weight: 1,
    run(sim, random) {
      const { machine } = random.pick([...sim.nodes, ...sim.replicas]);
      machine.wallErrorMs = random.between(-3_600_000, 3_600_000);
      return `${machine.name} to ${Math.round(machine.wallErrorMs)} ms`;
    },
  },
];

/** Begins the bad time. */
export function trouble(sim: Sim): void {
  sim.network.faults = BASE_NETWORK;
  sim.database.faults = BASE_KV;
}

/** Undoes every fault. Wall clocks stay wrong: nothing may depend on them. */
export function heal(sim: Sim): void {
  sim.network.faults = NO_NETWORK_FAULTS;
  sim.database.faults = NO_KV_FAULTS;
  sim.database.watchLagMs = 20;
  sim.patient = false;
  for (const node of sim.nodes) {
    node.partitionedUntilMs = 0;
    node.control.setAvailable(true);
    node.engine.faults.badImages.clear();
    for (const operation of ["list", "inspect", "create", "start", "stop"] as const) {
      node.control.unhang(operation);
    }
  }
  for (const { process } of [...sim.nodes, ...sim.replicas]) if (process) process.fuse = undefined;
}

function agents(sim: Sim): Process[] {
  return sim.nodes.flatMap(({ process }) => process?.alive ? [process] : []);
}

function planes(sim: Sim): Process[] {
  return sim.replicas.flatMap(({ process }) => process?.alive ? [process] : []);
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

function onContainer(
  sim: Sim,
  random: Random,
  run: (node: SimNode, taskId: string) => void,
): string | undefined {
  const running = sim.nodes.flatMap((node) =>
    node.control.containers().flatMap(({ taskId, state }) =>
      state === "running" ? [{ node, taskId }] : []
    )
  );
  if (running.length === 0) return undefined;
  const { node, taskId } = random.pick(running);
  run(node, taskId);
  return `${taskId} on ${node.name}`;
}
