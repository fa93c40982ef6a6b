/**
 * Worlds in which the rules of placement decide: the service `web`, with a placement, and what is there.
 *
 * @module
 */
import type { z } from "zod";
import type { Placement } from "../../kv/schema/placement.ts";
import type { World } from "../../scheduler/world.ts";
import { addTask, type NodeInput, type ServiceInput, world } from "../support/world.ts";

export interface Scene {
  nodes: NodeInput[];
  /** Of `web`. */
  placement: z.input<typeof Placement>;
  /** Tasks that are there already, as `service@node`. */
  there?: string[];
  others?: ServiceInput[];
}

/** Nodes n1, n2, … of these zones; "" is of none. */
export const zones = (...names: string[]): NodeInput[] =>
  names.map((zone, i) => ({ name: `n${i + 1}`, ...(zone === "" ? {} : { labels: { zone } }) }));

export function made({ nodes, placement, there = [], others = [] }: Scene): World {
  const template = { reserve: { cpus: 1, memoryMiB: 1 }, placement };
  const result = world({
    nodes,
    services: [{ name: "web", template }, { name: "db" }, ...others],
  });
  for (const [i, task] of there.entries()) {
    const [service = "", node = ""] = task.split("@");
    addTask(result, { id: `t${i}`, service, slot: i + 1, node });
  }
  return result;
}
