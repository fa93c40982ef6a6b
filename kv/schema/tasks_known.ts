/**
 * What views of services and nodes are made of, wherever it comes from: the tasks' rows, or the memory of
 * the leader.
 *
 * @module
 */
import type { TaskState } from "./task_state.ts";

/** What the counts need to know of a task. */
export interface TaskSummary {
  slot: number;
  revision: number;
  desired: "run" | "stop";
  state: TaskState;
  /** How many tasks in a row failed in its slot before it. */
  failures: number;
  /** It runs and can serve. */
  ready: boolean;
}

/** Where a process knows the tasks: what views are made of, without reading the rows of all of them. */
export interface LiveTasks {
  /** Tasks of a service, those of one slot by age; undefined for a service that is not known yet. */
  ofService(serviceId: string): TaskSummary[] | undefined;
  /** What tasks hold of a node; undefined for a node that is not known yet. */
  onNode(nodeId: string): Holding | undefined;
  /** Another object whenever {@link ofService} might give another answer. */
  markOfService(serviceId: string): object | undefined;
  /** Another object whenever {@link onNode} might give another answer. */
  markOfNode(nodeId: string): object | undefined;
}

export interface Holding {
  tasks: number;
  milliCpus: number;
  memoryMiB: number;
}
