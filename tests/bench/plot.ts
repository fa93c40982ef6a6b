/**
 * Line plots as SVG, readable on light and on dark ground. Pure.
 *
 * @module
 */

export interface Series {
  name: string;
  points: readonly (readonly [x: number, y: number])[];
}

export interface PlotOptions {
  title: string;
  xLabel: string;
  yLabel: string;
  /** Both axes by powers of ten; all values must be above 0. */
  logarithmic?: boolean;
}

export const WIDTH = 720;
export const HEIGHT = 260;
const MARGIN = { top: 34, right: 16, bottom: 40, left: 64 } as const;
const TICKS = 5;
/** Middling tones, told apart also by those who see no difference of red and green. */
const COLOURS = ["#3b82f6", "#e8853b", "#14a38b", "#c55fb6", "#8b8b2f"] as const;
const STYLE = "text{font:11px system-ui,sans-serif;fill:#59636e}.title{font-size:13px;" +
  "font-weight:600}.grid{stroke:#8884;stroke-width:1}.line{fill:none;stroke-width:1.6}.mark{stroke:#8888;stroke-dasharray:4 3}" +
  "@media(prefers-color-scheme:dark){text{fill:#9aa4af}}";

/** An axis: where a value lies on it, from 0 to 1, and the values to name. */
interface Axis {
  at(value: number): number;
  ticks: number[];
}

function linearAxis(values: readonly number[], withTop: boolean): Axis {
  const low = Math.min(0, ...values), high = Math.max(1e-9, ...values);
  const ticks = ticksUpTo(high - low).map((tick) => tick + low);
  const top = withTop ? ticks.at(-1) ?? 1 : high;
  return {
    at: (value) => (value - low) / (top - low),
    ticks: ticks.filter((tick) => tick <= top),
  };
}

/** Between powers of ten. */
function logarithmicAxis(values: readonly number[]): Axis {
  const low = Math.floor(Math.log10(Math.min(...values)) + 1e-9);
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...values)) - 1e-9));
  return {
    at: (value) => (Math.log10(value) - low) / (high - low),
    ticks: Array.from(
      { length: high - low + 1 },
      (_, i) => Number((10 ** (low + i)).toPrecision(6)),
    ),
  };
}

/** One plot of {@link WIDTH} × {@link HEIGHT}; unless logarithmic, the y axis begins at 0. */
export function linePlot(series: readonly Series[], options: PlotOptions): string {
  const { title, xLabel, yLabel, logarithmic = false } = options;
  const points = series.flatMap((one) => one.points);
  const xs = points.map(([x]) => x), ys = points.map(([, y]) => y);
  const xAxis = logarithmic ? logarithmicAxis(xs) : linearAxis(xs, false);
  const yAxis = logarithmic ? logarithmicAxis(ys) : linearAxis(ys, true);
  const inner = {
    width: WIDTH - MARGIN.left - MARGIN.right,
    height: HEIGHT - MARGIN.top - MARGIN.bottom,
  };
  const px = (x: number) => round(MARGIN.left + xAxis.at(x) * inner.width);
  const py = (y: number) => round(MARGIN.top + (1 - yAxis.at(y)) * inner.height);
  const bottom = MARGIN.top + inner.height;

  const grid = yAxis.ticks.map((y) =>
    `<line class="grid" x1="${MARGIN.left}" x2="${WIDTH - MARGIN.right}" y1="${py(y)}" y2="${
      py(y)
    }"/><text x="${MARGIN.left - 6}" y="${py(y) + 4}" text-anchor="end">${label(y)}</text>`
  );
  const along = xAxis.ticks.map((x) =>
    `<text x="${px(x)}" y="${bottom + 16}" text-anchor="middle">${label(x)}</text>`
  );
  const lines = series.map(({ points }, i) =>
    `<polyline class="line" stroke="${colour(i)}" points="${
      points.map(([x, y]) => `${px(x)},${py(y)}`).join(" ")
    }"/>`
  );
  const dots = !logarithmic
    ? []
    : series.flatMap(({ points }, i) =>
      points.map(([x, y]) => `<circle cx="${px(x)}" cy="${py(y)}" r="3" fill="${colour(i)}"/>`)
    );
  const legend = series.length < 2 ? [] : series.map(({ name }, i) => {
    const x = WIDTH - MARGIN.right - (series.length - i) * 120;
    return `<rect x="${x}" y="14" width="10" height="10" fill="${colour(i)}"/>` +
      `<text x="${x + 14}" y="23">${escape(name)}</text>`;
  });
  return `${opening(HEIGHT, title)}` +
    `<text class="title" x="${MARGIN.left}" y="23">${escape(title)}</text>` +
    grid.join("") + along.join("") + lines.join("") + dots.join("") + legend.join("") +
    `<text x="${MARGIN.left + inner.width / 2}" y="${HEIGHT - 8}" text-anchor="middle">${
      escape(xLabel)
    }</text>` +
    `<text transform="translate(14 ${MARGIN.top + inner.height / 2}) rotate(-90)" ` +
    `text-anchor="middle">${escape(yLabel)}</text></svg>`;
}

const BAR = { height: 22, label: 210, right: 70 } as const;

/** Horizontal bars from 0, with a line at `mark`; bars beyond it have another colour. */
export function barPlot(
  bars: readonly { name: string; value: number }[],
  { title, unit, mark }: { title: string; unit: string; mark: number },
): string {
  const height = MARGIN.top + bars.length * BAR.height + 12;
  const most = Math.max(mark, ...bars.map(({ value }) => value));
  const width = (value: number) =>
    round(Math.max(0, value) / most * (WIDTH - BAR.label - BAR.right));
  const rows = bars.map(({ name, value }, i) => {
    const y = MARGIN.top + i * BAR.height;
    return `<text x="${BAR.label - 8}" y="${y + 14}" text-anchor="end">${escape(name)}</text>` +
      `<rect x="${BAR.label}" y="${y + 3}" width="${width(value)}" height="${BAR.height - 8}" ` +
      `fill="${colour(value > mark ? 1 : 0)}"/>` +
      `<text x="${BAR.label + width(value) + 6}" y="${y + 14}">${value} ${unit}</text>`;
  });
  const x = BAR.label + width(mark);
  const line = `<line class="mark" x1="${x}" x2="${x}" y1="${MARGIN.top}" y2="${height - 8}"/>`;
  return `${opening(height, title)}<text class="title" x="${BAR.label}" y="23">${escape(title)}` +
    `</text>${rows.join("")}${line}</svg>`;
}

function opening(height: number, title: string): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" ` +
    `viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escape(title)}">` +
    `<style>${STYLE}</style>`;
}

/** Plots one below the other, in one picture. */
export function stackPlots(plots: readonly string[]): string {
  const height = plots.length * HEIGHT;
  const placed = plots.map((plot, i) => plot.replace("<svg ", `<svg y="${i * HEIGHT}" `));
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" ` +
    `viewBox="0 0 ${WIDTH} ${height}">${placed.join("")}</svg>\n`;
}

/** Round numbers from 0 to just above `max`. */
export function ticksUpTo(max: number): number[] {
  const rough = max / TICKS;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough) ?? 10 * power;
  const count = Math.ceil(max / step - 1e-9);
  return Array.from({ length: count + 1 }, (_, i) => Number((i * step).toPrecision(12)));
}

function label(value: number): string {
  return value >= 10_000 ? `${Number((value / 1000).toFixed(1))}k` : String(value);
}

function colour(index: number): string {
  return COLOURS[index % COLOURS.length] ?? COLOURS[0];
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}
