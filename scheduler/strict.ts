/**
 * Strict singletons, the leader's half: how long a slot stays closed after its task's node fell silent.
 * The node's half is worker/lease.ts: a node that has not been answered kills the task before its TTL
 * ends. The leader counts from the last sign of life that it knows of, which is not earlier than the
 * poll that the node counts from.
 *
 * @module
 */
import type { Service } from "../kv/schema/service.ts";

/** A node's credential is believed for this long after the node was removed (kv/tokens.ts). */
const CREDENTIAL_MS = 5_000;

export function isStrict(service: Pick<Service, "singleton">): boolean {
  return service.singleton === "strict";
}

/** What the leader waits for on top of a TTL: clocks that do not run alike, and a kill under way. */
export function strictMarginMs(ttlMs: number): number {
  return Math.max(500, ttlMs / 10);
}

/** After the last sign of life of a node, when no container of a strict task can be left on it. */
export function strictWaitMs(ttlMs: number): number {
  return ttlMs + strictMarginMs(ttlMs);
}

/** The same after the removal of a node. */
export function strictWaitAfterRemovalMs(ttlMs: number): number {
  return CREDENTIAL_MS + strictWaitMs(ttlMs);
}
