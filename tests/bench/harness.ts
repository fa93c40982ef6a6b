/**
 * What every benchmark shares: figures, the machine, and one JSON line at the end.
 *
 * @module
 */

export interface BenchOptions {
  /** Print only the JSON line. */
  json: boolean;
  /** Further flags, by name: `--nodes 5000`. */
  flags: Readonly<Record<string, string>>;
  /** Tells a person how it goes; silent with `--json`. */
  say: (line: string) => void;
}

export interface BenchResult {
  figures: Record<string, number>;
  /** How many measurements the figures come from. */
  samples: number;
  /** Figures that were taken at several sizes. */
  series?: Sizes[];
}

/** Points in the order of `x`, the figure of theirs that was set; the others were measured. */
export interface Sizes {
  name: string;
  x: string;
  points: Record<string, number>[];
}

export interface Bench {
  name: string;
  /** One line for the list. */
  summary: string;
  /** The goals that the figures are held against, for people: `ratio ≤ 1.15`. */
  goals: string;
  /** What a run of all benches adds to the defaults. */
  whole?: Readonly<Record<string, string>>;
  run(options: BenchOptions): Promise<BenchResult>;
}

/** A whole-number flag with its default. */
export function intFlag(options: BenchOptions, name: string, fallback: number): number {
  const given = options.flags[name];
  if (given === undefined) return fallback;
  const value = Number(given);
  if (!Number.isInteger(value) || value < 1) {
    throw new Error(`--${name}: must be a whole number from 1, is ${given}`);
  }
  return value;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const upper = sorted[Math.floor(middle)] ?? NaN;
  return Number.isInteger(middle) ? (upper + (sorted[middle - 1] ?? NaN)) / 2 : upper;
}

/** The smallest value that at least this part of the values does not exceed: 0.99 for p99. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)] ?? NaN;
}

export function round(value: number, digits = 3): number {
  return Number(value.toFixed(digits));
}

/** Median time of one small durable write on the temporary directory's disk, in ms. */
export async function measureFsyncMs(): Promise<number> {
  const path = await Deno.makeTempFile({ prefix: "berth-fsync-" });
  const times: number[] = [];
  try {
    using file = await Deno.open(path, { write: true });
    for (let i = 0; i < 50; i++) {
      const begin = performance.now();
      await file.write(new Uint8Array(4096));
      await file.syncData();
      times.push(performance.now() - begin);
    }
  } finally {
    await Deno.remove(path);
  }
  return round(median(times));
}

/** Cores, memory and versions, so that figures can be told apart. */
export function describeMachine(): string {
  const gib = Math.round(Deno.systemMemoryInfo().total / 2 ** 30);
  const { os, arch } = Deno.build;
  return `${navigator.hardwareConcurrency} cores, ${gib} GiB, ${os} ${arch}, deno ${Deno.version.deno}`;
}
