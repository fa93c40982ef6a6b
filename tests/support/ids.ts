/**
 * Ids for tests: the n-th call gives the n-th id, in order.
 *
 * @module
 */
const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";

/** The valid ULID that stands for `n`. */
export function idOf(n: number): string {
  let text = "";
  for (let rest = n; text.length < 26; rest = Math.floor(rest / 32)) {
    text = (ALPHABET[rest % 32] ?? "0") + text;
  }
  return text;
}

/** A `newId` that counts from `first`. */
export function countingIds(first = 1): () => string {
  let next = first;
  return () => idOf(next++);
}
