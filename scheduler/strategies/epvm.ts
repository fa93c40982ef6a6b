/**
 * Enhanced parallel-virtual-machine cost: the marginal cost of the task when a node costs the sum of
 * LIEB^utilisation over its resources, so that the last quarter of any resource is the dearest.
 * After Amir, Awerbuch, Barak, Borgstrom, Keren: "An opportunity cost approach for job assignment in a
 * scalable computing cluster", IEEE Transactions on Parallel and Distributed Systems 11 (7), 2000.
 *
 * @module
 */
import { LAST, type Scorer, type Strategy } from "../scores.ts";

/** Lieb's square-ice constant, (4/3)^(3/2): the base of the cost of a resource. */
const LIEB = 1.5396007178390020387;

/** Tasks that it takes for a full node: the number of tasks is a resource without a limit. */
const TASKS_FULL = 100;

const cost: Scorer = {
  name: "epvm",
  score: (node, request) =>
    marginal(node.usedMemoryMiB, request.memoryMiB, node.capacityMemoryMiB) +
    marginal(node.usedMilliCpus, request.milliCpus, node.capacityMilliCpus) +
    marginal(node.tasks, 1, TASKS_FULL),
};

export const epvm: Strategy = [LAST, { scorer: cost, weight: 1 }];

function marginal(used: number, demand: number, capacity: number): number {
  if (demand === 0) return 0;
  return LIEB ** ((used + demand) / capacity) - LIEB ** (used / capacity);
}
