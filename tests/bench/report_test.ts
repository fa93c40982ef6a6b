import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { BENCHES } from "./benches.ts";
import { readRecords, STORE } from "./files.ts";
import { BEGIN, END, readmeRows, withFigures } from "./readme_figures.ts";
import type { BenchRecord } from "./record.ts";
import { reportOf } from "./report.ts";
import { cellsOf, figureText } from "./text.ts";

const RECORD: BenchRecord = {
  ...{ bench: "restart", summary: "kill it", goals: "readyMs ≤ 2000, perSecond ≥ 10" },
  ...{ figures: { readyMs: 1684, perSecond: 8, tasks: 100_000 }, samples: 5 },
  ...{ machine: "2 cores", fsyncMs: 0.3, command: "deno task bench restart", date: "2030-01-02" },
};
const SIZES = {
  name: "nodes",
  x: "nodes",
  points: [{ nodes: 100, tasks: 7, planMs: 1 }, { nodes: 1000, tasks: 7, planMs: 3 }],
};

Deno.test("a figure is written with its unit", () => {
  const texts = [["readyMs", 1684], ["perSecond", 29797.4], ["ratio", 1.07], ["cpuPercent", 0.33]]
    .map(([name, value]) => figureText(String(name), Number(value)));
  assertEquals(texts, ["1,684 ms", "29,797 / s", "1.07 ×", "0.33 %"]);
  assertEquals(figureText("serverMiBPerHour", -1234567), "-1,234,567 MiB / h");
});

Deno.test("the page has each figure, its goal, the command and the machine; a missed goal is marked", () => {
  const { page, plots } = reportOf([RECORD]);
  assertEquals(cellsOf(page), [
    ["readyMs", "1,684 ms", "≤ 2,000 ms"],
    ["perSecond", "8 / s", "≥ 10 / s, **missed**"],
    ["tasks", "100,000", ""],
  ]);
  for (const text of ["## restart", "`deno task bench restart`", "2 cores", "2030-01-02"]) {
    assertStringIncludes(page, text);
  }
  assertEquals(Object.keys(plots), ["goals.svg"]);
});

Deno.test("beside an earlier run, what got worse is marked", () => {
  const before = { date: "2030-01-01", machine: "1 core", figures: { readyMs: 900, perSecond: 8 } };
  const { page } = reportOf([{ ...RECORD, before }]);
  const changes = cellsOf(page).map((row) => row[3]);
  assertEquals(changes, ["**worse**, was 900 ms", "same, was 8 / s", ""]);
  assertStringIncludes(page, "another machine: 1 core");
});

Deno.test("figures at several sizes become a table and a plot each; what stays the same is said once", () => {
  const { page, plots } = reportOf([{ ...RECORD, goals: "", figures: {}, series: [SIZES] }]);
  assertStringIncludes(page, "### By nodes, with 7 tasks");
  assertStringIncludes(page, "| 1,000 | 3 ms |");
  assertEquals(Object.keys(plots), ["restart-nodes-planMs.svg"]);
  assertStringIncludes(page, "](benchmarks/restart-nodes-planMs.svg)");
});

Deno.test("a plot that a bench left beside its record is shown", () => {
  assertStringIncludes(reportOf([RECORD], ["restart.svg"]).page, "](benchmarks/restart.svg)");
});

Deno.test("the README's figures are replaced between their marks, and nothing else is", () => {
  const readme = `a\n${BEGIN}\nold\n${END}\nb\n`;
  const text = withFigures(readme, [RECORD]);
  assertEquals(text, withFigures(text, [RECORD]));
  assertEquals(cellsOf(text)[0]?.slice(1), ["1,684 ms", "≤ 2,000 ms", "`deno task bench restart`"]);
  assert(text.startsWith("a\n") && text.endsWith("\nb\n") && !text.includes("old"));
  assertThrows(() => withFigures("no marks", [RECORD]), "marks");
});

Deno.test("each figure in the README, and each on the page, is the stored one", async () => {
  const records = await readRecords(STORE, BENCHES.map(({ name }) => name));
  assert(records.length > 0);
  const readme = await Deno.readTextFile("README.md");
  const part = readme.slice(readme.indexOf(BEGIN), readme.indexOf(END));
  assertEquals(cellsOf(part), readmeRows(records));
  const page = await Deno.readTextFile("docs/benchmarks.md");
  for (const { bench, figures, command } of records) {
    const section = page.split("\n## ").find((text) => text.startsWith(`${bench}\n`)) ?? "";
    const told = cellsOf(section).map(([name, value]) => `${name}: ${value}`);
    const stored = Object.entries(figures).map(([name, v]) => `${name}: ${figureText(name, v)}`);
    assertEquals(told, stored, `docs/benchmarks.md, ${bench}: run deno task bench report`);
    assertStringIncludes(section, command);
  }
});
