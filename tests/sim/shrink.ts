/**
 * Makes a failing run shorter: leaves out moves and faults as long as the same rule breaks.
 *
 * @module
 */
import { type RunOptions, type RunResult, runSeed } from "./run.ts";

/** Runs that are spent on it, at the most. */
const MAX_RUNS = 80;

/** The shortest run found, and how many were tried. The first one must have failed. */
export async function shrink(
  options: RunOptions,
  failed: RunResult,
): Promise<{ shortest: RunResult; runs: number }> {
  const rule = ruleOf(failed);
  let shortest = failed;
  let runs = 0;
  // Halves, then ever smaller parts: whatever can go, goes.
  for (let size = Math.ceil(failed.steps.length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let at = 0; at < shortest.steps.length && runs < MAX_RUNS;) {
      const kept = shortest.steps.toSpliced(at, size);
      runs++;
      const result = await runSeed({ ...options, steps: new Set(kept) });
      if (ruleOf(result) === rule) shortest = result;
      else at += size;
    }
  }
  return { shortest, runs };
}

/** What was broken, without the particulars: of several rules that of the first. */
export function ruleOf({ problem }: RunResult): string | undefined {
  return problem?.split(":")[0];
}
