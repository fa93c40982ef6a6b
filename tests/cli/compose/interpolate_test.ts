import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { parseEnvFile } from "../../../cli/compose/env_file.ts";
import { interpolate } from "../../../cli/compose/interpolate.ts";
import { shellWords } from "../../../cli/compose/values.ts";

const at = { file: "f", line: 1, column: 1 };
const env: Record<string, string> = { A: "a", E: "", NESTED: "n" };
const variables = { lookup: (name: string) => env[name], unset: () => {} };

const CASES: [text: string, value: string][] = [
  ["plain", "plain"],
  ["$A-${A}", "a-a"],
  ["$$A $${A}", "$A ${A}"],
  ["$(date) 5$ $' $1", "$(date) 5$ $' $1"],
  ["${U:-b}${U-b}${E:-b}${E-b}", "bbb"],
  ["${A:+set}${E:+set}${E+set}${U+set}", "setset"],
  ["${U:-${A}}", "a"],
  ["${U:-${V:-${NESTED}}}x", "nx"],
  ["${A:?no}", "a"],
  ["${U:-}", ""],
  ["${U:-a}b}", "ab}"],
  ["${U:-http://x:80/?q=1}", "http://x:80/?q=1"],
];

for (const [text, value] of CASES) {
  Deno.test(`${text} becomes ${JSON.stringify(value)}`, () => {
    assertEquals(interpolate(text, variables, at), value);
  });
}

Deno.test("text without a dollar stays, and doubled dollars become single ones", () => {
  fc.assert(fc.property(fc.string(), (text) => {
    assertEquals(interpolate(text.replaceAll("$", "$$$$"), variables, at), text);
  }));
});

Deno.test("env files: comments, export, quotes, escapes, lines, variables, names alone", () => {
  const text = [
    "# comment",
    "export A=1",
    "B = two words # comment",
    "C=a#b",
    'D="x\\ny # no comment"',
    "E='single $A \\n'",
    'F="first',
    'second"',
    "G=${A}/$F_NOT_SET-",
    "H: yaml-like",
    "I=",
    "J",
    'K="\\$A"',
    "L=#5",
    "M='it\\'s'",
    "1N[0]=n",
    "",
  ].join("\r\n");
  const found = parseEnvFile(text, {
    file: "f",
    lookup: (name) => name === "J" ? "around" : undefined,
  });
  assertEquals(Object.fromEntries(found), {
    A: "1",
    B: "two words",
    C: "a#b",
    D: "x\ny # no comment",
    E: "single $A \\n",
    F: "first\nsecond",
    G: "1/-",
    H: "yaml-like",
    I: "",
    J: "around",
    K: "$A",
    L: "#5",
    M: "it's",
    "1N[0]": "n",
  });
});

Deno.test("commands are split as a shell splits them", () => {
  assertEquals(shellWords(`sh -c 'echo "a b"' "c \\"d\\" $E" e\\ f ''`), [
    ...["sh", "-c", 'echo "a b"', 'c "d" $E', "e f", ""],
  ]);
  assertEquals(shellWords("a 'b"), undefined);
});
