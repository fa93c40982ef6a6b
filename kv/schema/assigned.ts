/**
 * What a node's assignments are made of, wherever it comes from: the tasks' rows, or the memory of the
 * leader.
 *
 * @module
 */
import type { Service } from "./service.ts";
import type { Task } from "./task.ts";

export interface Assigned {
  /** By age. */
  tasks: { task: Task; /** It was seen to have ended. */ ended: boolean }[];
  /** Their services, by id. */
  services: ReadonlyMap<string, Service>;
}

/** Where a process knows the tasks of nodes without reading their rows. */
export interface LiveAssigned {
  /** The newest record of the log whose effects are known. */
  seq: number;
  /** What is assigned to a node; undefined for one that is not known yet. */
  of(nodeId: string): Assigned | undefined;
}
