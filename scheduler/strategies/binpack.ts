/**
 * As few nodes as possible: the fullest node that has room.
 *
 * @module
 */
import { LAST, load, type Scorer, type Strategy } from "../scores.ts";

/** How empty the node would be. */
const slack: Scorer = {
  name: "slack",
  score: (node, request, slot) => 1 - load.score(node, request, slot),
};

export const binpack: Strategy = [LAST, { scorer: slack, weight: 1 }];
