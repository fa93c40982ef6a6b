/**
 * What strategies are made of: scorers, by which one of the fitting nodes gets a task. Lower is better;
 * ties go to the lower node id. The strategies themselves are in strategies/.
 *
 * @module
 */
import type { Candidate, Request } from "./overlay.ts";

export interface Scorer {
  name: string;
  /**
   * The score depends on the slot, not only on what the node has left. It is that of a lot (from 0 to below
   * 1); those of the other scorers beside it are whole numbers, so that it only decides among equals.
   */
  perSlot?: true;
  score(node: Candidate, request: Request, slot: number): number;
}

export type Strategy = readonly { scorer: Scorer; weight: number }[];

/** Tasks at which the number of tasks counts for half in {@link load}. */
const TASKS_HALF = 32;

/** Whether the service's tasks keep failing there (failing.ts). */
const failing: Scorer = {
  name: "failing",
  score: ({ record }, { serviceId }) => record.status?.failing?.[serviceId] === undefined ? 0 : 1,
};

/** First in every strategy, and outweighs all else. */
export const LAST = { scorer: failing, weight: 1e9 };

/** How full the node would be, from 0 to below 1: the mean over CPU, memory and number of tasks. */
export const load: Scorer = {
  name: "load",
  score: (node, request) =>
    (share(node.usedMilliCpus + request.milliCpus, node.capacityMilliCpus) +
      share(node.usedMemoryMiB + request.memoryMiB, node.capacityMemoryMiB) +
      node.tasks / (node.tasks + TASKS_HALF)) / 3,
};

/** The weighted sum of a strategy's scorers. */
export function scoreOf(
  strategy: Strategy,
  node: Candidate,
  request: Request,
  slot: number,
): number {
  let sum = 0;
  for (const { scorer, weight } of strategy) sum += weight * scorer.score(node, request, slot);
  return sum;
}

function share(used: number, capacity: number): number {
  return capacity > 0 ? Math.min(1, used / capacity) : 0;
}
