/**
 * Ids of tasks: each is greater than those of all tasks before it, whatever the clocks of the leaders
 * that mint them, so that "by id" is "by age" everywhere.
 *
 * @module
 */

const DIGITS = "0123456789abcdefghjkmnpqrstvwxyz";

/** `fresh`, or the id after `last` when another leader's clock was ahead of the one that made `fresh`. */
export function taskIdAfter(last: string, fresh: string): string {
  return fresh > last ? fresh : successor(last);
}

/** The next ULID. */
function successor(id: string): string {
  const last = DIGITS.indexOf(id.slice(-1));
  const next = DIGITS[last + 1];
  return next === undefined ? `${successor(id.slice(0, -1))}0` : id.slice(0, -1) + next;
}
