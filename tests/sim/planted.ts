/**
 * Bugs to build into a simulation, to see that the checker finds them. Each is one entry of the table.
 *
 * @module
 */
import type { Sim } from "./sim.ts";

export interface Plant {
  name: string;
  install(sim: Sim): void;
}

export const PLANTS: readonly Plant[] = [];
