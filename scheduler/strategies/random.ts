/**
 * By lot, the same for the same service, slot and nodes. lots.ts draws.
 *
 * @module
 */
import type { Request } from "../overlay.ts";
import { LAST, type Scorer, type Strategy } from "../scores.ts";

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

export const random: Strategy = [LAST, { scorer: lot, weight: 1 }];

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
