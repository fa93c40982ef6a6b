/**
 * Ids of tasks: each is greater than those of all tasks before it, whatever the clocks of the leaders
 * that mint them, so that "by id" is "by age" everywhere.
 *
 * @module
 */

const DIGITS = "0123456789abcdefghjkmnpqrstvwxyz";

/** Of a ULID: the rest is random. */
const TIME_DIGITS = 10;

/**
 * `fresh`, or one a millisecond after `last` when another leader's clock was ahead of the one that made
 * `fresh`. It keeps the random part of `fresh`: a later leader that knows the same `last`, because what
 * came after it was purged, comes to another id.
 */
export function taskIdAfter(last: string, fresh: string): string {
  if (fresh > last) return fresh;
  return successor(last.slice(0, TIME_DIGITS)) + fresh.slice(TIME_DIGITS);
}

/** The next number in base 32. */
function successor(id: string): string {
  const last = DIGITS.indexOf(id.slice(-1));
  const next = DIGITS[last + 1];
  return next === undefined ? `${successor(id.slice(0, -1))}0` : id.slice(0, -1) + next;
}
