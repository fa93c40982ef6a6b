/**
 * The scorers of placement and the strategies made of them: which of the fitting nodes gets a task.
 * Lower is better; ties go to the lower node id. A new strategy is a scorer and a line in the table.
 *
 * @module
 */
import type { StrategyName } from "../kv/schema/service.ts";
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

/** Tasks that {@link epvm} takes for a full node: the number of tasks is a resource without a limit. */
const TASKS_FULL = 100;

/** Lieb's square-ice constant, (4/3)^(3/2): the base of the cost of a resource in {@link epvm}. */
const LIEB = 1.5396007178390020387;

/** Whether the service's tasks keep failing there (failing.ts): outweighs everything else. */
const failing: Scorer = {
  name: "failing",
  score: ({ record }, { serviceId }) => record.status?.failing?.[serviceId] === undefined ? 0 : 1,
};
const LAST = { scorer: failing, weight: 1e9 };

/** How many tasks of the same service are there already. */
const siblings: Scorer = { name: "siblings", score: (node) => node.mine };

/** How full the node would be, from 0 to below 1: the mean over CPU, memory and number of tasks. */
const load: Scorer = {
  name: "load",
  score: (node, request) =>
    (share(node.usedMilliCpus + request.milliCpus, node.capacityMilliCpus) +
      share(node.usedMemoryMiB + request.memoryMiB, node.capacityMemoryMiB) +
      node.tasks / (node.tasks + TASKS_HALF)) / 3,
};

/** How empty the node would be. */
const slack: Scorer = {
  name: "slack",
  score: (node, request, slot) => 1 - load.score(node, request, slot),
};

/**
 * Enhanced parallel-virtual-machine cost: the marginal cost of the task when a node costs the sum of
 * LIEB^utilisation over its resources, so that the last quarter of any resource is the dearest.
 * After Amir, Awerbuch, Barak, Borgstrom, Keren: "An opportunity cost approach for job assignment in a
 * scalable computing cluster", IEEE Transactions on Parallel and Distributed Systems 11 (7), 2000.
 */
const epvm: Scorer = {
  name: "epvm",
  score: (node, request) =>
    marginal(node.usedMemoryMiB, request.memoryMiB, node.capacityMemoryMiB) +
    marginal(node.usedMilliCpus, request.milliCpus, node.capacityMilliCpus) +
    marginal(node.tasks, 1, TASKS_FULL),
};

/** The node whose last placement is the longest ago. */
const turn: Scorer = { name: "turn", score: (node) => node.placedAt };

/**
 * How late the node's turn comes, from 0 to below 1, in an order that looks random and is the same for
 * the same service, slot and nodes: double hashing over the nodes' ranks. From the slot's `start`, every
 * `stride`-th rank modulo a prime has its turn, so that each slot has an order of its own and `place` can
 * walk it instead of scoring all nodes.
 */
const lot: Scorer = {
  name: "lot",
  perSlot: true,
  score(node, request, slot) {
    const drawn = lotOf(request, slot, node.ranks);
    drawn.inverse ??= inverse(drawn.stride, drawn.of);
    return (mod(node.rank - drawn.start, drawn.of) * drawn.inverse) % drawn.of / drawn.of;
  },
};

/** The order of a slot over `nodes` ranks: the ranks modulo the prime `of` that come at each stride. */
export function lotOf(request: Request, slot: number, nodes: number): NonNullable<Request["lot"]> {
  const known = request.lot;
  if (known?.slot === slot && known.nodes === nodes) return known;
  const of = known?.nodes === nodes ? known.of : primeFrom(nodes);
  request.hash ??= hash(request.serviceId);
  const seed = scramble(request.hash + Math.imul(slot, 0x9e3779b1));
  const start = (seed >>> 0) % of;
  const stride = 1 + (scramble(seed + 0x85ebca6b) >>> 0) % (of - 1);
  return request.lot = { slot, nodes, of, start, stride };
}

/** The strategies by name. */
export const STRATEGIES: Readonly<Record<StrategyName, Strategy>> = {
  // Siblings are whole numbers and load is below 1, so load only breaks ties.
  spread: [LAST, { scorer: siblings, weight: 1 }, { scorer: load, weight: 1 }],
  binpack: [LAST, { scorer: slack, weight: 1 }],
  epvm: [LAST, { scorer: epvm, weight: 1 }],
  roundrobin: [LAST, { scorer: turn, weight: 1 }],
  random: [LAST, { scorer: lot, weight: 1 }],
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

/** The smallest prime from `least` on. */
function primeFrom(least: number): number {
  for (let candidate = Math.max(2, least);; candidate++) {
    let divisor = 2;
    while (divisor * divisor <= candidate && candidate % divisor !== 0) divisor++;
    if (divisor * divisor > candidate) return candidate;
  }
}

/** By Fermat: stride^(prime - 2) modulo the prime, which is below 2^26, so that products are exact. */
function inverse(stride: number, prime: number): number {
  let [result, base] = [1, stride];
  for (let exponent = prime - 2; exponent > 0; exponent = Math.floor(exponent / 2)) {
    if (exponent % 2 === 1) result = result * base % prime;
    base = base * base % prime;
  }
  return result;
}

function mod(value: number, by: number): number {
  return ((value % by) + by) % by;
}

function share(used: number, capacity: number): number {
  return capacity > 0 ? Math.min(1, used / capacity) : 0;
}

function marginal(used: number, demand: number, capacity: number): number {
  if (demand === 0) return 0;
  return LIEB ** ((used + demand) / capacity) - LIEB ** (used / capacity);
}

/** FNV-1a over UTF-16 units, 32 bits. */
function hash(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return h | 0;
}

/** Murmur3's finaliser: every input bit changes every output bit with probability one half. */
function scramble(value: number): number {
  let h = value | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
