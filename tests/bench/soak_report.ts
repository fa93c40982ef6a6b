/**
 * What the samples of a soak amount to: figures and plots. Pure.
 *
 * @module
 */
import { median, round } from "./harness.ts";
import { linePlot, type Series, stackPlots } from "./plot.ts";

/** One look at everything. */
export interface Sample {
  minute: number;
  serverMiB: number;
  workerMiB: number;
  simMiB: number;
  serverHandles: number;
  workerHandles: number;
  simHandles: number;
  databaseMiB: number;
  readP50Ms: number;
  readP99Ms: number;
  writeP50Ms: number;
  /** Reads without an answer, so far. */
  unanswered: number;
}

/** 0 when nothing was measured. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

/** The first third is for warming up; growth is what the rest has by the hour. */
export function figuresOf(samples: readonly Sample[]): Record<string, number> {
  const warm = samples.slice(Math.floor(samples.length / 3));
  const half = Math.floor(warm.length / 2);
  const [early, late] = [warm.slice(0, half), warm.slice(half)];
  const middle = (rows: readonly Sample[], field: keyof Sample) =>
    median(rows.map((r) => r[field]));
  const grown = (field: keyof Sample) => middle(late, field) - middle(early, field);
  return {
    minutes: Math.round(samples.at(-1)?.minute ?? 0),
    serverMiB: round(middle(late, "serverMiB"), 1),
    workerMiB: round(middle(late, "workerMiB"), 1),
    serverMiBPerHour: round(slopePerHour(warm, "serverMiB"), 1),
    workerMiBPerHour: round(slopePerHour(warm, "workerMiB"), 1),
    simMiBPerHour: round(slopePerHour(warm, "simMiB"), 1),
    handlesGrown: grown("serverHandles") + grown("workerHandles") + grown("simHandles"),
    databaseMiB: round(middle(late, "databaseMiB"), 1),
    databaseMiBPerHour: round(slopePerHour(warm, "databaseMiB"), 1),
    readP50Ms: round(middle(late, "readP50Ms"), 1),
    readP99Ms: round(middle(late, "readP99Ms"), 1),
    unanswered: samples.at(-1)?.unanswered ?? 0,
    latencyRatio: round(middle(late, "readP50Ms") / middle(early, "readP50Ms"), 2),
  };
}

/** Of the straight line that fits best. */
function slopePerHour(samples: readonly Sample[], field: keyof Sample): number {
  const mean = (values: number[]) => values.reduce((a, b) => a + b, 0) / values.length;
  const x = mean(samples.map((s) => s.minute)), y = mean(samples.map((s) => s[field]));
  const along = samples.reduce((sum, s) => sum + (s.minute - x) * (s[field] - y), 0);
  const spread = samples.reduce((sum, s) => sum + (s.minute - x) ** 2, 0);
  return spread === 0 ? 0 : along / spread * 60;
}

/** Four plots, one below the other. */
export function plotsOf(samples: readonly Sample[]): string {
  const series = (name: string, field: keyof Sample): Series => ({
    name,
    points: samples.map((sample) => [sample.minute, sample[field]]),
  });
  const plot = (title: string, yLabel: string, lines: Series[]) =>
    linePlot(lines, { title, yLabel, xLabel: "minutes" });
  return stackPlots([
    plot("Resident memory", "MiB", [
      series("server", "serverMiB"),
      series("worker", "workerMiB"),
      series("sim host", "simMiB"),
    ]),
    plot("Open handles", "handles", [
      series("server", "serverHandles"),
      series("worker", "workerHandles"),
      series("sim host", "simHandles"),
    ]),
    plot("Database", "MiB", [series("file and log", "databaseMiB")]),
    plot("Latency", "ms", [
      series("read p50", "readP50Ms"),
      series("read p99", "readP99Ms"),
      series("write p50", "writeP50Ms"),
    ]),
  ]);
}
