/**
 * Bugs to build into a simulation, to see that the checker finds them. Each is one entry of a table, put
 * between the real parts; none is in the program.
 *
 * @module
 */
import { DATA_PLANTS } from "./plants_data.ts";
import { EDGE_PLANTS } from "./plants_edges.ts";
import { OPERATION_PLANTS } from "./plants_operations.ts";
import { ROW_PLANTS } from "./plants_rows.ts";
import { TASK_PLANTS } from "./plants_tasks.ts";
import { STRICT_PLANTS } from "./plants_strict.ts";
import { type RunResult, runSeed, type Story } from "./run.ts";
import type { Sim } from "./sim.ts";

export interface Plant {
  name: string;
  /** What the checker must say: a part of it. */
  finds: RegExp;
  /** What leads to it without chance. */
  story: Story;
  /** A seed that shows it there; absent: 1. */
  seed?: number;
  install(sim: Sim): void;
}

export const PLANTS: readonly Plant[] = [
  ...TASK_PLANTS,
  ...ROW_PLANTS,
  ...EDGE_PLANTS,
  ...STRICT_PLANTS,
  ...DATA_PLANTS,
  ...OPERATION_PLANTS,
];

/** A cluster that is well comes to rest sooner than one that was through a bad time. */
const REST_MS = 30_000;

/** Runs the story that leads to a planted bug. */
export function runPlant(plant: Plant): Promise<RunResult> {
  const { story, seed = 1 } = plant;
  const how = { mode: "resident", database: "model", restMs: REST_MS } as const;
  return runSeed({ seed, plant, story, ...how });
}
