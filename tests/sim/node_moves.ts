/**
 * What users do with nodes.
 *
 * @module
 */
import type { NodeSpecInput } from "../../kv/schema/node.ts";
import type { Move } from "./moves.ts";
import type { SimNode } from "./node.ts";
import type { Random } from "./random.ts";
import type { Sim } from "./sim.ts";

const MAX_NODES = 5;

export const NODE_MOVES: readonly Move[] = [
  {
    name: "cordon or activate",
    weight: 2,
    run: (sim, random) =>
      decide(sim, random, { availability: random.pick(["cordon", "active", "active"]) }),
  },
  {
    name: "drain",
    weight: 2,
    run: (sim, random) =>
      decide(sim, random, {
        availability: "drain",
        // What has nowhere to go stays until then.
        drain: { deadlineMs: random.pick([1000, 5000, 20_000]) },
      }),
  },
  {
    name: "label, taint or pool",
    weight: 2,
    run: (sim, random) => decide(sim, random, sortsOf(random)),
  },
  { name: "remove a node", weight: 1, run: (sim, random) => removeNode(sim, random, false) },
  {
    name: "remove a node by force",
    weight: 1,
    run: (sim, random) => removeNode(sim, random, true),
  },
  { name: "restart an agent", weight: 1, run: restart },
  { name: "add a node", weight: 1, run: addNode },
];

function sortsOf(random: Random): NodeSpecInput {
  const effect = random.pick(["no-schedule", "prefer-no-schedule", "no-execute"] as const);
  return {
    labels: random.chance(0.5)
      ? { zone: random.pick(["a", "b"]), disk: random.pick(["ssd", "hdd"]) }
      : {},
    pool: random.pick(["default", "default", "edge"]),
    taints: random.chance(0.4) ? [{ key: "special", effect }] : [],
  };
}

async function decide(sim: Sim, random: Random, spec: NodeSpecInput): Promise<void> {
  const node = pickJoined(sim, random);
  if (!node) return;
  const { name } = node;
  const idempotencyKey = sim.user.newKey();
  // A node that gives up its tasks at a deadline of an hour would not come to rest.
  const drain = { deadlineMs: 5000 };
  await sim.user.ask(
    `decides about ${name}: ${JSON.stringify(spec)}`,
    (client) => client.putNodeSpec(name, { drain, ...spec }, { idempotencyKey }),
  );
}

async function removeNode(sim: Sim, random: Random, force: boolean): Promise<void> {
  const node = pickJoined(sim, random);
  if (!node) return;
  const { nodeId = "" } = node;
  const how = force ? " by force" : "";
  await sim.user.ask(
    `removes ${node.name}${how}`,
    // By its id: repeated late, it must not hit the node that joined anew under the name.
    (client) => client.deleteNode(nodeId, force ? { force } : {}),
  );
}

async function restart(sim: Sim, random: Random): Promise<void> {
  const node = pickJoined(sim, random);
  if (!node) return;
  await sim.user.ask(`restarts ${node.name}`, (client) => client.restartNode(node.name));
}

function addNode(sim: Sim, random: Random): Promise<void> {
  if (sim.nodes.length < MAX_NODES) sim.addNode(machineOf(random));
  return Promise.resolve();
}

function pickJoined(sim: Sim, random: Random): SimNode | undefined {
  const joined = sim.nodes.filter((node) => node.nodeId !== undefined);
  return joined.length === 0 ? undefined : random.pick(joined);
}

/** A machine as nodes have them. */
export function machineOf(random: Random) {
  return {
    cpus: random.pick([1, 2, 4]),
    memoryMiB: random.pick([1024, 2048]),
    labels: { zone: random.pick(["a", "b"]) },
  };
}
