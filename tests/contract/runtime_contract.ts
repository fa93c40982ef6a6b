/**
 * What every `Runtime` must do, whatever is behind it.
 *
 * @module
 */
import { Bench, type RuntimeHarness } from "./runtime_bench.ts";
import { failures } from "./runtime_failures.ts";
import { inside } from "./runtime_inside.ts";
import { lifecycle } from "./runtime_lifecycle.ts";
import { streams } from "./runtime_streams.ts";

export type { RuntimeHarness } from "./runtime_bench.ts";

/**
 * Defines one test: `Deno.test`, or one that needs something and is ignored without it. What is
 * needed is handed to the test, and from there to the factory.
 */
export type DefineTest<Needs> = (name: string, fn: (needs: Needs) => Promise<void>) => void;

/** Defines the contract's tests for one implementation. Each gets a harness of its own. */
export function runtimeContract<Needs>(
  name: string,
  factory: (needs: Needs) => Promise<RuntimeHarness> | RuntimeHarness,
  define: DefineTest<Needs>,
): void {
  for (
    const [property, run] of Object.entries({ ...lifecycle, ...failures, ...streams, ...inside })
  ) {
    define(`${name}: ${property}`, async (needs) => {
      const harness = await factory(needs);
      try {
        await run(new Bench(harness));
      } finally {
        await harness.close();
      }
    });
  }
}
