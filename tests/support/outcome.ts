/**
 * Taking outcomes apart in tests.
 *
 * @module
 */
import type { Outcome, Refusal } from "../../kv/outcome.ts";

/** The value of an outcome; fails the test on a refusal. */
export function assertOk<T>(outcome: Outcome<T>): T {
  if (outcome.ok) return outcome.value;
  throw new Error(`refused: ${JSON.stringify(outcome.refusal)}`);
}

/** The refusal of an outcome; fails the test on a value. */
export function assertRefused(outcome: Outcome<unknown>): Refusal {
  if (!outcome.ok) return outcome.refusal;
  throw new Error(`not refused: ${JSON.stringify(outcome.value)}`);
}
