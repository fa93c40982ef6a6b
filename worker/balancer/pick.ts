/**
 * Which task gets a connection. Pure, and without allocation: it is asked for every connection.
 *
 * 1. A better tier goes before any policy: ready tasks (those of this node first, when asked for), then
 *    ready ones that were ejected, then those of silent nodes, then those that drain. What is still
 *    starting gets nothing.
 * 2. So nobody is turned away while there is a task that may answer, and ejection cannot eject all.
 * 3. `client-hash` is rendezvous hashing: without a task, only its own clients move. Bounded: a task with
 *    far more than its share passes clients on to their second choice.
 *
 * @module
 */
import type { EndpointState } from "../../kv/schema/endpoint.ts";
import type { BalancePolicy } from "../../kv/schema/port.ts";
import { isEjected, type Outlier } from "./outliers.ts";

export interface Candidate {
  state: EndpointState;
  /** It runs on this node. */
  local: boolean;
  /** Connections that it has, or is getting, through this node. */
  active: number;
  outlier: Outlier;
  /** The `turn` in which it was picked last. */
  lastTurn: number;
  /** Of its id. */
  hash: number;
}

export interface Wish<T> {
  policy: BalancePolicy;
  preferLocal: boolean;
  nowMs: number;
  clientHash: number;
  /** Not these: they have just failed this very connection. */
  tried?: ReadonlySet<T> | undefined;
}

/** So many connections a task may have whatever its share is: one client opens several. */
const UNBOUNDED = 16;
const BOUND_FACTOR = 1.5;
const NONE = 9;

/** The best candidate; nothing when there is none that may answer. */
export function pick<T extends Candidate>(
  candidates: readonly T[],
  wish: Wish<T>,
): T | undefined {
  if (wish.policy === "client-hash") return pickByClient(candidates, wish);
  const byLoad = wish.policy === "least-connections";
  let best: T | undefined;
  let bestTier = NONE;
  for (const one of candidates) {
    const tier = tierOf(one, wish);
    if (tier > bestTier || tier === NONE) continue;
    // Who waited longest comes first: in turn, and among equals.
    const better = best === undefined || tier < bestTier ||
      (byLoad && one.active !== best.active
        ? one.active < best.active
        : one.lastTurn < best.lastTurn);
    if (!better) continue;
    best = one;
    bestTier = tier;
  }
  return best;
}

function pickByClient<T extends Candidate>(
  candidates: readonly T[],
  wish: Wish<T>,
): T | undefined {
  let bestTier = NONE;
  for (const one of candidates) bestTier = Math.min(bestTier, tierOf(one, wish));
  if (bestTier === NONE) return undefined;
  let count = 0;
  let active = 0;
  for (const one of candidates) {
    if (tierOf(one, wish) !== bestTier) continue;
    count++;
    active += one.active;
  }
  const bound = Math.max(UNBOUNDED, Math.ceil(BOUND_FACTOR * (active + 1) / count));
  let best: T | undefined;
  let bestWeight = -1;
  for (const one of candidates) {
    if (one.active >= bound || tierOf(one, wish) !== bestTier) continue;
    const weight = mix(one.hash, wish.clientHash);
    if (weight > bestWeight) [best, bestWeight] = [one, weight];
  }
  return best;
}

function tierOf<T extends Candidate>(one: T, wish: Wish<T>): number {
  if (wish.tried?.has(one)) return NONE;
  switch (one.state) {
    case "ready":
      if (isEjected(one.outlier, wish.nowMs)) return 2;
      return wish.preferLocal && !one.local ? 1 : 0;
    case "unreachable":
      return 3;
    case "draining":
      return 4;
    case "starting":
      return NONE;
  }
}

/** 32 bits of a text. FNV-1a. */
export function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  }
  return hash >>> 0;
}

function mix(a: number, b: number): number {
  let hash = a ^ b;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35) ^ a;
  hash = Math.imul(hash ^ (hash >>> 15), 0x27d4eb2f);
  return (hash ^ (hash >>> 16)) >>> 0;
}
