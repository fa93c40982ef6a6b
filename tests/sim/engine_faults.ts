/**
 * Engines that answer late or not at all, and containers that do as they like.
 *
 * @module
 */
import type { SimOperation } from "../../worker/sim.ts";
import type { Fault } from "./faults.ts";
import type { SimNode } from "./node.ts";
import type { Random } from "./random.ts";
import type { Sim } from "./sim.ts";

const HANGING = ["list", "inspect", "create", "start", "stop", "probe"] as const;
const LOSING = ["create", "start", "stop", "remove", "pull"] as const;
const IMAGES = ["app:1", "app:2"] as const;

export const ENGINE_FAULTS: readonly Fault[] = [
  {
    name: "engine does not answer",
    kind: "engine",
    weight: 2,
    run: (sim, random) =>
      onNode(sim, random, (node) => {
        node.control.setAvailable(false);
        sim.timeline.after(random.between(300, 15_000), () => node.control.setAvailable(true));
      }),
  },
  {
    name: "engine is restarted",
    kind: "engine",
    weight: 1,
    run: (sim, random) =>
      onNode(sim, random, (node) => {
        node.restartEngine();
        sim.timeline.after(random.between(200, 4_000), () => node.control.setAvailable(true));
      }),
  },
  {
    name: "engine is slow",
    kind: "engine",
    weight: 1,
    run: (sim, random) =>
      onNode(sim, random, (node) => {
        node.slowEngine(random.pick([5, 30]));
        sim.timeline.after(random.between(1_000, 12_000), () => node.slowEngine(1));
      }),
  },
  {
    name: "engine call hangs",
    kind: "engine",
    weight: 1,
    run: (sim, random) =>
      onNode(sim, random, (node) => {
        const operation = random.pick<SimOperation>(HANGING);
        node.control.hang(operation);
        sim.timeline.after(random.between(300, 8_000), () => node.control.unhang(operation));
      }),
  },
  {
    name: "engine loses an answer",
    kind: "engine",
    weight: 3,
    run: (sim, random) =>
      onNode(sim, random, (node) => node.control.loseAnswer(random.pick(LOSING))),
  },
  {
    name: "image cannot be pulled",
    kind: "engine",
    weight: 1,
    run: (sim, random) =>
      onNode(sim, random, (node) => {
        const image = random.pick(IMAGES);
        node.control.failPull(image);
        sim.timeline.after(
          random.between(500, 8_000),
          () => node.engine.faults.badImages.delete(image),
        );
      }),
  },
  {
    name: "container exits",
    kind: "container",
    weight: 3,
    run: (sim, random) =>
      onContainer(sim, random, (node, taskId) => node.control.exit(taskId, random.pick([0, 1]))),
  },
  {
    name: "container is killed for its memory",
    kind: "container",
    weight: 1,
    run: (sim, random) =>
      onContainer(sim, random, (node, taskId) => node.control.kill(taskId, { oom: true })),
  },
  {
    name: "container is removed by somebody",
    kind: "container",
    weight: 2,
    run: (sim, random) =>
      onContainer(sim, random, (node, taskId) => node.control.removeBehindBack(taskId)),
  },
  {
    name: "container is not well",
    kind: "container",
    weight: 3,
    run: (sim, random) =>
      onContainer(sim, random, (node, taskId) => {
        const health = random.chance(0.5) ? { healthy: false } : { ready: false };
        node.control.setHealth(taskId, health);
        sim.timeline.after(random.between(500, 10_000), () => makeWell(node, taskId));
      }),
  },
];

function makeWell(node: SimNode, taskId: string): void {
  const there = node.control.containers().some((container) => container.taskId === taskId);
  if (there) node.control.setHealth(taskId, { healthy: true, ready: true });
}

export function healEngines(sim: Sim): void {
  for (const node of sim.nodes) {
    node.control.setAvailable(true);
    node.slowEngine(1);
    node.engine.faults.badImages.clear();
    node.engine.faults.lostAnswers.clear();
    for (const operation of HANGING) node.control.unhang(operation);
    for (const { taskId } of node.control.containers()) makeWell(node, taskId);
  }
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
