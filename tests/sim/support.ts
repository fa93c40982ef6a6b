/**
 * What the tests of the gate share: a run that must hold, and what a person needs to go on if not.
 *
 * @module
 */
import { assert } from "@std/assert";
import { commandFor, type Settings, settingsToOptions } from "./options.ts";
import { runSeed } from "./run.ts";
import { formatSteps } from "./script.ts";
import { shrink } from "./shrink.ts";

const TAIL = 30;

export async function holds(seed: number, settings: Settings = {}): Promise<void> {
  const options = { ...settingsToOptions(settings), seed };
  const result = await runSeed(options);
  if (result.problem === undefined) return;
  const { shortest } = await shrink(options, result);
  const steps = formatSteps(shortest.steps);
  assert(
    false,
    `${result.problem}\n  repeat it with: ${commandFor(seed, settings)}\n` +
      `  in short: ${commandFor(seed, { ...settings, steps })} --history\n` +
      shortest.history.slice(-TAIL).join("\n"),
  );
}
