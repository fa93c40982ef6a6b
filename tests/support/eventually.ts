/**
 * Waiting for a condition, never for the clock.
 *
 * @module
 */

/**
 * Polls `condition`, each `everyMs` (10 ms), until it is truthy and returns its value; fails after
 * `timeoutMs` (10 s).
 */
export async function eventually<T>(
  condition: () => T | Promise<T>,
  options: { timeoutMs?: number; everyMs?: number; what?: string | (() => string) } = {},
): Promise<Exclude<NonNullable<T>, false>> {
  const { timeoutMs = 10_000, everyMs = 10, what = "the condition" } = options;
  const deadline = performance.now() + timeoutMs;
  while (true) {
    const value = await condition();
    if (value) return value as Exclude<NonNullable<T>, false>;
    if (performance.now() > deadline) {
      const name = typeof what === "string" ? what : what();
      throw new Error(`waited ${timeoutMs} ms for ${name}, which did not come true`);
    }
    await new Promise((tick) => setTimeout(tick, everyMs));
  }
}
