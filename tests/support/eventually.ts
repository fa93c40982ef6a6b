/**
 * Waiting for a condition, never for the clock.
 *
 * @module
 */

/** Polls `condition` until it is truthy and returns its value; fails after `timeoutMs` (10 s). */
export async function eventually<T>(
  condition: () => T | Promise<T>,
  options: { timeoutMs?: number; what?: string } = {},
): Promise<NonNullable<T>> {
  const { timeoutMs = 10_000, what = "the condition" } = options;
  const deadline = performance.now() + timeoutMs;
  while (true) {
    const value = await condition();
    if (value) return value;
    if (performance.now() > deadline) {
      throw new Error(`waited ${timeoutMs} ms for ${what}, which did not come true`);
    }
    await new Promise((tick) => setTimeout(tick, 10));
  }
}
