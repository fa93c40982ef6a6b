/**
 * docs/benchmarks.md and its plots, made of the stored records. Pure.
 *
 * @module
 */
import type { Sizes } from "./harness.ts";
import { barPlot, linePlot } from "./plot.ts";
import {
  type BenchRecord,
  type Change,
  changesOf,
  type Goal,
  goalsOf,
  isReached,
} from "./record.ts";
import { figureText, tableOf } from "./text.ts";

export interface Report {
  page: string;
  /** SVGs by file name, beside the records. */
  plots: Record<string, string>;
}

const INTRO = `# Benchmarks

Made by \`deno task bench report\` of the records in \`docs/benchmarks\`; no figure is typed by hand.
\`deno task bench --all --out docs/benchmarks\` takes them anew and marks what got worse since. Berth
and what it is compared with run in turn on the same machine, so ratios tell more than absolute times;
figures of others that were not measured here are not quoted.`;

/** `files`: what else lies beside the records; a bench may have left a plot of its own there. */
export function reportOf(records: readonly BenchRecord[], files: readonly string[] = []): Report {
  const plots: Record<string, string> = {};
  const goals = goalBars(records);
  if (goals.length > 0) {
    plots["goals.svg"] = barPlot(goals, {
      title: "How far each goal is used up (100 %: just reached)",
      unit: "%",
      mark: 100,
    });
  }
  const sections = records.map((record) => {
    const own = `${record.bench}.svg`;
    const section = sectionOf(record, plots);
    return files.includes(own) ? `${section}\n\n![${record.summary}](benchmarks/${own})` : section;
  });
  const overview = goals.length > 0
    ? "![How far each goal is used up](benchmarks/goals.svg)\n\nLess is better: for figures that are " +
      "to be large, the goal is divided by the figure."
    : "";
  return { page: [INTRO, overview, ...sections].filter(Boolean).join("\n\n") + "\n", plots };
}

/** The part of each goal that is used up, in per cent. */
function goalBars(records: readonly BenchRecord[]): { name: string; value: number }[] {
  return records.flatMap((record) =>
    goalsOf(record.goals).flatMap(({ figure, bound, value }) => {
      const measured = record.figures[figure];
      if (measured === undefined || value === 0 || measured <= 0) return [];
      const part = bound === "≤" ? measured / value : value / measured;
      return [{ name: `${record.bench} ${figure}`, value: Math.round(part * 1000) / 10 }];
    })
  );
}

function sectionOf(record: BenchRecord, plots: Record<string, string>): string {
  const { bench, summary, figures, samples, command, machine, date, fsyncMs, before } = record;
  const goals = goalsOf(record.goals);
  const changes = before ? changesOf(before.figures, figures, goals) : [];
  const rows = Object.entries(figures).map(([figure, value]) => {
    const goal = goals.find((one) => one.figure === figure);
    const row = [figure, figureText(figure, value), goalText(goal, value)];
    return before ? [...row, changeText(changes.find((one) => one.figure === figure))] : row;
  });
  const head = ["Figure", "Measured", "Goal", ...(before ? [`Since ${before.date}`] : [])];
  const other = before && before.machine !== machine
    ? `The run before was on another machine: ${before.machine}.`
    : "";
  const facts = `${samples} measurements, ${date}; ${machine}; a durable write of 4 KiB takes ` +
    `${fsyncMs} ms. Again: \`${command}\``;
  return [
    `## ${bench}`,
    `${summary[0]?.toUpperCase()}${summary.slice(1)}.`,
    tableOf(head, rows),
    facts,
    other,
    ...(record.series ?? []).map((sizes) => sizesText(bench, sizes, plots)),
  ].filter(Boolean).join("\n\n");
}

function goalText(goal: Goal | undefined, value: number): string {
  if (!goal) return "";
  const text = `${goal.bound} ${figureText(goal.figure, goal.value)}`;
  return isReached(goal, value) ? text : `${text}, **missed**`;
}

function changeText(change: Change | undefined): string {
  if (!change) return "";
  const from = figureText(change.figure, change.from);
  return change.verdict === "worse" ? `**worse**, was ${from}` : `${change.verdict}, was ${from}`;
}

/** The table of figures at several sizes, and a plot of each figure. */
function sizesText(bench: string, sizes: Sizes, plots: Record<string, string>): string {
  const { name, x, points } = sizes;
  const names = Object.keys(points[0] ?? {});
  const constant = names.filter((figure) => new Set(points.map((p) => p[figure])).size === 1);
  const measured = names.filter((figure) => figure !== x && !constant.includes(figure));
  const fixed = constant.map((figure) =>
    `${figureText(figure, points[0]?.[figure] ?? NaN)} ${figure}`
  );
  const rows = points.map((point) =>
    [x, ...measured].map((figure) => figureText(figure, point[figure] ?? NaN))
  );
  const images = measured.map((figure) => {
    const file = `${bench}-${name}-${figure}.svg`;
    const line = points.map((point): [number, number] => [point[x] ?? NaN, point[figure] ?? NaN]);
    const title = `${figure} by ${x}`;
    plots[file] = linePlot([{ name: figure, points: line }], {
      ...{ title, xLabel: x, yLabel: figure, logarithmic: true },
    });
    return `![${title}](benchmarks/${file})`;
  });
  const heading = `### By ${x}${fixed.length > 0 ? `, with ${fixed.join(", ")}` : ""}`;
  return [heading, tableOf([x, ...measured], rows), ...images].join("\n\n");
}
