/**
 * What goes wrong with the database.
 *
 * @module
 */

/** Probabilities per operation. */
export interface KvFaults {
  /** Throws and has no effect. */
  fail: number;
  /** A commit that throws although it took effect. */
  unknown: number;
  /** A commit with checks, not of the leader, that is refused although they hold. */
  conflict: number;
  /** Takes some virtual time. */
  slow: number;
  /** Nothing can be written: there is no room. */
  full?: boolean;
}

export const NO_KV_FAULTS: KvFaults = { fail: 0, unknown: 0, conflict: 0, slow: 0 };
