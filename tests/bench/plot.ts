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
}

export const WIDTH = 720;
export const HEIGHT = 260;
const MARGIN = { top: 34, right: 16, bottom: 40, left: 64 } as const;
const TICKS = 5;
/** Middling tones, told apart also by those who see no difference of red and green. */
const COLOURS = ["#3b82f6", "#e8853b", "#14a38b", "#c55fb6", "#8b8b2f"] as const;
const STYLE = "text{font:11px system-ui,sans-serif;fill:#59636e}.title{font-size:13px;" +
  "font-weight:600}.grid{stroke:#8884;stroke-width:1}.line{fill:none;stroke-width:1.6}" +
  "@media(prefers-color-scheme:dark){text{fill:#9aa4af}}";

/** One plot of {@link WIDTH} × {@link HEIGHT}; the y axis begins at 0. */
export function linePlot(series: readonly Series[], options: PlotOptions): string {
  const { title, xLabel, yLabel } = options;
  const points = series.flatMap((one) => one.points);
  const xs = points.map(([x]) => x);
  const [x0, x1] = [Math.min(0, ...xs), Math.max(1e-9, ...xs)];
  const steps = ticksUpTo(Math.max(1e-9, ...points.map(([, y]) => y)));
  const top = steps.at(-1) ?? 1;
  const inner = {
    width: WIDTH - MARGIN.left - MARGIN.right,
    height: HEIGHT - MARGIN.top - MARGIN.bottom,
  };
  const px = (x: number) => round(MARGIN.left + (x - x0) / (x1 - x0) * inner.width);
  const py = (y: number) => round(MARGIN.top + (1 - y / top) * inner.height);
  const bottom = MARGIN.top + inner.height;

  const grid = steps.map((y) =>
    `<line class="grid" x1="${MARGIN.left}" x2="${WIDTH - MARGIN.right}" y1="${py(y)}" y2="${
      py(y)
    }"/><text x="${MARGIN.left - 6}" y="${py(y) + 4}" text-anchor="end">${label(y)}</text>`
  );
  const along = ticksUpTo(x1 - x0).map((x) => x + x0).filter((x) => x <= x1).map((x) =>
    `<text x="${px(x)}" y="${bottom + 16}" text-anchor="middle">${label(x)}</text>`
  );
  const lines = series.map(({ points }, i) =>
    `<polyline class="line" stroke="${colour(i)}" points="${
      points.map(([x, y]) => `${px(x)},${py(y)}`).join(" ")
    }"/>`
  );
  const legend = series.map(({ name }, i) => {
    const x = WIDTH - MARGIN.right - (series.length - i) * 120;
    return `<rect x="${x}" y="14" width="10" height="10" fill="${colour(i)}"/>` +
      `<text x="${x + 14}" y="23">${escape(name)}</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${HEIGHT}" ` +
    `viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escape(title)}">` +
    `<style>${STYLE}</style>` +
    `<text class="title" x="${MARGIN.left}" y="23">${escape(title)}</text>` +
    grid.join("") + along.join("") + lines.join("") + legend.join("") +
    `<text x="${MARGIN.left + inner.width / 2}" y="${HEIGHT - 8}" text-anchor="middle">${
      escape(xLabel)
    }</text>` +
    `<text transform="translate(14 ${MARGIN.top + inner.height / 2}) rotate(-90)" ` +
    `text-anchor="middle">${escape(yLabel)}</text></svg>`;
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
