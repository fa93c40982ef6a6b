/**
 * What can be asked of a simulation on the command line, as plain values that go to other threads.
 *
 * @module
 */
import { FAULT_KINDS } from "./faults.ts";
import { PLANTS } from "./plants.ts";
import type { RunOptions } from "./run.ts";
import { parseFaults, parseSteps } from "./script.ts";

/** The texts of the flags. */
export interface Settings {
  faults?: string;
  mode?: string;
  plant?: string;
  steps?: string;
  database?: string;
}

const MODES = ["resident", "request-driven"] as const;
const DATABASES = ["model", "real"] as const;

/** What is wrong with the settings; undefined: nothing. */
export function settingsProblem(settings: Settings): string | undefined {
  const { faults, mode, plant, steps, database } = settings;
  if (faults !== undefined && !parseFaults(faults)) {
    return `--faults: must be all, none, or some of ${FAULT_KINDS.join(",")}; is ${faults}`;
  }
  if (mode !== undefined && !MODES.some((one) => one === mode)) {
    return `--mode: must be ${MODES.join(" or ")}, is ${mode}`;
  }
  if (database !== undefined && !DATABASES.some((one) => one === database)) {
    return `--database: must be ${DATABASES.join(" or ")}, is ${database}`;
  }
  if (plant !== undefined && !PLANTS.some(({ name }) => name === plant)) {
    return `--plant: must be one of these, is ${plant}\n  ` +
      PLANTS.map(({ name }) => name).join("\n  ");
  }
  if (steps !== undefined && !parseSteps(steps)) {
    return `--steps: must be numbers like 1-5,9, is ${steps}`;
  }
  return undefined;
}

/** The options of a run without its seed. The settings must have no problem. */
export function settingsToOptions(settings: Settings): Omit<RunOptions, "seed"> {
  const mode = MODES.find((one) => one === settings.mode);
  const database = DATABASES.find((one) => one === settings.database);
  const plant = PLANTS.find(({ name }) => name === settings.plant);
  const faults = settings.faults === undefined ? undefined : parseFaults(settings.faults);
  const steps = settings.steps === undefined ? undefined : parseSteps(settings.steps);
  return {
    ...(mode ? { mode } : {}),
    ...(database ? { database } : {}),
    ...(plant ? { plant } : {}),
    ...(faults ? { faults } : {}),
    ...(steps ? { steps } : {}),
  };
}

/** The command that repeats a run. */
export function commandFor(seed: number, settings: Settings): string {
  const flags = Object.entries(settings).flatMap(([name, value]) =>
    value === undefined ? [] : [`--${name} ${/\s/.test(value) ? JSON.stringify(value) : value}`]
  );
  return ["deno task sim", `--seed ${seed}`, ...flags].join(" ");
}
