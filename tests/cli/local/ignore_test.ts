import { assertEquals } from "@std/assert";
import { parseIgnore } from "../../../cli/local/ignore.ts";

const CASES: [lines: string, excluded: string[], kept: string[]][] = [
  ["", [], ["a"]],
  ["# a\n\nb", ["b"], ["a", "# a"]],
  ["node_modules", ["node_modules", "node_modules/x/y.js"], ["a/node_modules/x", "node_modules2"]],
  ["**/node_modules", ["node_modules/x", "a/b/node_modules/x"], ["a/modules"]],
  ["/dist/", ["dist/a"], ["src/dist"]],
  ["*.log", ["a.log"], ["logs/a.log", "alog"]],
  ["**/*.log", ["a.log", "logs/b/a.log"], ["a.logs"]],
  ["a?c", ["abc"], ["ac", "a/c"]],
  ["file[0-9]", ["file1"], ["filex"]],
  ["*.md\n!README.md", ["a.md"], ["README.md"]],
  ["!README.md\n*.md", ["README.md"], ["a.txt"]],
  ["docs\n!docs/keep", ["docs/a"], ["docs/keep/b"]],
  ["a+b(c)", ["a+b(c)"], ["aab(c)"]],
  ["[", [], ["["]],
];

for (const [lines, excluded, kept] of CASES) {
  Deno.test(`.dockerignore: ${JSON.stringify(lines)} leaves out what Docker leaves out`, () => {
    const ignore = parseIgnore(lines);
    assertEquals(excluded.filter((path) => !ignore.excludes(path)), []);
    assertEquals(kept.filter((path) => ignore.excludes(path)), []);
  });
}

Deno.test("a directory is skipped only when nothing in it can be kept", () => {
  assertEquals(parseIgnore("docs").skips("docs"), true);
  assertEquals(parseIgnore("docs\n!docs/keep").skips("docs"), false);
  assertEquals(parseIgnore("docs").skips("src"), false);
});
