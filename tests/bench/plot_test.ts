import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { HEIGHT, linePlot, stackPlots, ticksUpTo, WIDTH } from "./plot.ts";

const OPTIONS = { title: "a < b & c", xLabel: "minutes", yLabel: "MiB" };

Deno.test("ticks are round numbers from 0 to just above the highest value", () => {
  assertEquals(ticksUpTo(100), [0, 20, 40, 60, 80, 100]);
  assertEquals(ticksUpTo(0.7), [0, 0.2, 0.4, 0.6, 0.8]);
  assertEquals(ticksUpTo(31), [0, 10, 20, 30, 40]);
});

Deno.test("each series is one line within the picture; text is escaped", () => {
  const svg = linePlot([
    { name: "server", points: [[0, 50], [10, 80], [30, 60]] },
    { name: "worker", points: [[0, 40], [30, 41]] },
  ], OPTIONS);
  const lines = [...svg.matchAll(/points="([^"]+)"/g)].map(([, points = ""]) => points.split(" "));
  assertEquals(lines.map((points) => points.length), [3, 2]);
  for (const point of lines.flat()) {
    const [x = NaN, y = NaN] = point.split(",").map(Number);
    assert(x >= 0 && x <= WIDTH && y >= 0 && y <= HEIGHT, point);
  }
  assertStringIncludes(svg, "a &lt; b &amp; c");
});

Deno.test("a plot of nothing, and of zeros, is a plot", () => {
  for (const series of [[], [{ name: "none", points: [[0, 0]] as const }]]) {
    assert(!linePlot(series, OPTIONS).includes("NaN"));
  }
});

Deno.test("plots are stacked without overlapping", () => {
  const svg = stackPlots([linePlot([], OPTIONS), linePlot([], OPTIONS)]);
  assertStringIncludes(svg, `height="${2 * HEIGHT}"`);
  assertStringIncludes(svg, `<svg y="${HEIGHT}"`);
});
