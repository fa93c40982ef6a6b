/**
 * What a run leaves behind: one JSON file per bench, and how a later run compares with it. Pure.
 *
 * @module
 */
import type { BenchResult } from "./harness.ts";

export interface BenchRecord extends BenchResult {
  bench: string;
  summary: string;
  goals: string;
  machine: string;
  /** Median time of a small durable write, in ms. */
  fsyncMs: number;
  /** What repeats it. */
  command: string;
  /** The day, as YYYY-MM-DD. */
  date: string;
  /** The run that this one replaced. */
  before?: { date: string; machine: string; figures: Record<string, number> };
}

export interface Goal {
  figure: string;
  bound: "≤" | "≥";
  value: number;
}

/** Reads the goals of a bench: `ratio ≤ 1.15, perSecond ≥ 10000; doubles 0`. */
export function goalsOf(text: string): Goal[] {
  return text.split(/[,;]/).map((part) => part.trim()).filter(Boolean).map((part) => {
    const [, figure, bound, value] = /^(\w+) ?(≤|≥|<)? ?(-?[\d.]+)$/.exec(part) ?? [];
    if (figure === undefined) throw new Error(`goals: cannot read "${part}"`);
    return { figure, bound: bound === "≥" ? "≥" : "≤", value: Number(value) };
  });
}

export function isReached({ bound, value }: Goal, figure: number): boolean {
  return bound === "≤" ? figure <= value : figure >= value;
}

/** Which way a figure is better; undefined for those that are not Berth's, and for sizes. */
export function betterOf(figure: string, goals: readonly Goal[]): "less" | "more" | undefined {
  const goal = goals.find((one) => one.figure === figure);
  if (goal) return goal.bound === "≤" ? "less" : "more";
  if (/^(bare|swarm|full)[A-Z]/.test(figure)) return undefined;
  if (/PerSecond$|^perSecond$|lastOverFirst$/i.test(figure)) return "more";
  return /(Ms|MiB|Percent)$/.test(figure) ? "less" : undefined;
}

/** Changes below this are the noise of a shared machine. */
const NOISE = 0.1;

export interface Change {
  figure: string;
  from: number;
  to: number;
  verdict: "better" | "worse" | "same";
}

/** How the figures have changed that can get better or worse. */
export function changesOf(
  before: Readonly<Record<string, number>>,
  now: Readonly<Record<string, number>>,
  goals: readonly Goal[],
): Change[] {
  return Object.entries(now).flatMap(([figure, to]) => {
    const from = before[figure];
    const better = betterOf(figure, goals);
    if (from === undefined || better === undefined) return [];
    const grown = to - from;
    const small = Math.abs(grown) <= NOISE * Math.max(Math.abs(from), Math.abs(to));
    const verdict = small ? "same" : (grown < 0) === (better === "less") ? "better" : "worse";
    return [{ figure, from, to, verdict }];
  });
}

/** The record that replaces `stored`, and remembers it. */
export function replacing(now: BenchRecord, stored: BenchRecord | undefined): BenchRecord {
  if (!stored) return now;
  const { date, machine, figures } = stored;
  return { ...now, before: { date, machine, figures } };
}

/** The command of a run with these flags. */
export function commandOf(name: string, flags: Readonly<Record<string, string>>): string {
  const given = Object.entries(flags).filter(([flag]) => flag !== "out")
    .map(([flag, value]) => ` --${flag}${value === "" ? "" : ` ${value}`}`);
  return `deno task bench ${name}${given.join("")}`;
}
