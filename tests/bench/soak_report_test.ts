import { assert, assertEquals } from "@std/assert";
import { figuresOf, plotsOf, type Sample } from "./soak_report.ts";

/** An hour, one sample a minute; the server grows by so much in it, after it has warmed up. */
function hour(grownMiB: number): Sample[] {
  return Array.from({ length: 60 }, (_, i) => ({
    minute: i + 1,
    serverMiB: i < 20 ? 100 + i * 5 : 200 + grownMiB * (i - 20) / 60,
    ...{ workerMiB: 80, simMiB: 150, serverHandles: 40, workerHandles: 20, simHandles: 30 },
    ...{ databaseMiB: 6, readP50Ms: 2, readP99Ms: 9, writeP50Ms: 4, unanswered: 0 },
  }));
}

Deno.test("growth is what comes after the first third, by the hour", () => {
  assertEquals(figuresOf(hour(0))["serverMiBPerHour"], 0);
  assertEquals(figuresOf(hour(12))["serverMiBPerHour"], 12);
  assertEquals(figuresOf(hour(12))["handlesGrown"], 0);
  assertEquals(figuresOf(hour(12))["latencyRatio"], 1);
});

Deno.test("each measure has its line in the plot", () => {
  const svg = plotsOf(hour(1));
  assertEquals(svg.split("<polyline").length - 1, 10);
  assert(!svg.includes("NaN"));
});
