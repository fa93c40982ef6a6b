/**
 * As even as possible: the node with the fewest tasks of the service, of these the emptiest.
 *
 * @module
 */
import { LAST, load, type Scorer, type Strategy } from "../scores.ts";

/** How many tasks of the same service are there already. */
const siblings: Scorer = { name: "siblings", score: (node) => node.mine };

// Siblings are whole numbers and load is below 1, so load only breaks ties.
export const spread: Strategy = [
  LAST,
  { scorer: siblings, weight: 1 },
  { scorer: load, weight: 1 },
];
