/**
 * Bugs to build into a simulation, to see that the checker finds them. Each is one entry of a table, put
 * between the real parts; none is in the program.
 *
 * @module
 */
import { EDGE_PLANTS } from "./plants_edges.ts";
import { ROW_PLANTS } from "./plants_rows.ts";
import { TASK_PLANTS } from "./plants_tasks.ts";
import type { Sim } from "./sim.ts";

export interface Plant {
  name: string;
  /** What the checker must say: a part of it. */
  finds: RegExp;
  /** A seed that is known to show it; absent: the first one, or one soon after. */
  seed?: number;
  install(sim: Sim): void;
}

export const PLANTS: readonly Plant[] = [...TASK_PLANTS, ...ROW_PLANTS, ...EDGE_PLANTS];
