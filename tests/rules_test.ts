import { assert, assertEquals } from "@std/assert";
import { exists } from "./support/engine.ts";

const ROOT = new URL("..", import.meta.url).pathname;

interface Row {
  rule: string;
  livesIn: string;
  /** The test of the pure code, and the one on the engine. */
  tests: { file: string; name: string }[];
}

/** The rows of all tables of docs/rules.md. */
function rowsOf(text: string): Row[] {
  return text.split("\n").filter((line) => /^\| /.test(line)).flatMap((line) => {
    const cells = line.split("|").slice(1, -1).map((cell) => cell.trim());
    const [rule = "", lives = "", ...tests] = cells;
    if (rule === "rule" || /^-+$/.test(rule)) return [];
    const named = tests.map((cell) => /^`(?<file>[^`]+)`: (?<name>.+)$/.exec(cell)?.groups);
    assert(named.length === 2 && named.every((test) => test), `two tests in each row: ${line}`);
    const found = named.map((test) => ({ file: test?.file ?? "", name: test?.name ?? "" }));
    return [{ rule, livesIn: lives.replaceAll("`", ""), tests: found }];
  });
}

/** Whether the file has a test of that name, or a row of a table of tests that have its beginning. */
function hasTest(source: string, name: string): boolean {
  const quoted = (text: string) =>
    ['"', "`"].some((quote) => source.includes(quote + text + quote));
  if (quoted(name)) return true;
  return [...name.matchAll(/: /g)].some(({ index }) => {
    const table = name.slice(0, index);
    const told = source.includes("`" + table + ": ${") ||
      (source.includes("`${name}: ${") && quoted(table));
    return told && quoted(name.slice(index + 2));
  });
}

Deno.test("each rule of docs/rules.md has its code, its table test and its test on a real engine", async () => {
  const rows = rowsOf(await Deno.readTextFile(`${ROOT}docs/rules.md`));
  assert(rows.length > 60, `${rows.length} rows`);
  const lacking: string[] = [];
  for (const { rule, livesIn, tests } of rows) {
    if (!await exists(ROOT + livesIn)) lacking.push(`${rule}: ${livesIn}`);
    for (const { file, name } of tests) {
      const source = await Deno.readTextFile(`${ROOT}tests/${file}`).catch(() => "");
      if (!hasTest(source, name)) lacking.push(`${rule}: ${file}: ${name}`);
    }
    const [, engine] = tests;
    const source = await Deno.readTextFile(`${ROOT}tests/${engine?.file}`).catch(() => "");
    if (!source.includes("engineTest(")) lacking.push(`${rule}: ${engine?.file} has no engine`);
  }
  assertEquals(lacking, []);
});

Deno.test("a test that was renamed, and a row of a table that is gone, are noticed", () => {
  const source =
    'Deno.test("one thing", f); const CASES = ["a row"]; Deno.test(`table: ${name}`, f)';
  assertEquals(
    ["one thing", "table: a row", "another thing", "table: another", "other: a row"]
      .map((name) => hasTest(source, name)),
    [true, true, false, false, false],
  );
});
