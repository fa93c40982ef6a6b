/**
 * Equality of plain values, whatever the order of their fields.
 *
 * @module
 */

/** JSON with sorted keys; `undefined` fields do not count. */
export function stableJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) => {
    if (inner === null || typeof inner !== "object" || Array.isArray(inner)) return inner;
    return Object.fromEntries(
      Object.entries(inner).sort(([a], [b]) => a < b ? -1 : a > b ? 1 : 0),
    );
  });
}

export function sameValue(a: unknown, b: unknown): boolean {
  return stableJson(a) === stableJson(b);
}
