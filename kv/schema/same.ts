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

/** Whether two values have the same {@link stableJson}, which is not made for that. */
export function sameValue(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (!isObject(a) || !isObject(b) || Array.isArray(a) !== Array.isArray(b)) return false;
  let present = 0;
  for (const name in a) {
    if (a[name] === undefined) continue;
    if (!sameValue(a[name], b[name])) return false;
    present++;
  }
  for (const name in b) if (b[name] !== undefined) present--;
  return present === 0;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
