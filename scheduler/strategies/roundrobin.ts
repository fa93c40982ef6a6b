/**
 * In turn.
 *
 * @module
 */
import { LAST, type Scorer, type Strategy } from "../scores.ts";

/** The node whose last placement is the longest ago. */
const turn: Scorer = { name: "turn", score: (node) => node.placedAt };

export const roundrobin: Strategy = [LAST, { scorer: turn, weight: 1 }];
