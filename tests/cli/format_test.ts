import { assert, assertEquals, assertFalse, assertStringIncludes } from "@std/assert";
import { age, elapsed, parseDuration, parseSince } from "../../cli/format/duration.ts";
import {
  memory,
  parseCpus,
  parseEnvFile,
  parseMemory,
  parsePair,
  parsePort,
} from "../../cli/format/quantity.ts";
import { oneLine, widthOf } from "../../cli/format/style.ts";
import { table } from "../../cli/format/table.ts";

const S = 1000;
const H = 3600 * S;

Deno.test("an age is said in one or two units", () => {
  const cases: [number, string][] = [
    [-5, "0s"],
    [59_999, "59s"],
    [60_000, "1m"],
    [59 * 60 * S, "59m"],
    [H, "1h"],
    [3 * H + 20 * 60 * S, "3h 20m"],
    [11 * H + 59 * 60 * S, "11h"],
    [47 * H, "47h"],
    [48 * H, "2d"],
  ];
  for (const [ms, text] of cases) assertEquals(age(ms), text, String(ms));
  assertEquals([340, 1240, 12_340, 125_000].map(elapsed), ["340 ms", "1.24 s", "12.3 s", "2m 5s"]);
});

Deno.test("durations are read with their units, and nothing else is", () => {
  const good: [string, number][] = [["500ms", 500], ["10m", 600_000], ["1h30m", 5_400_000], [
    "1.5s",
    1500,
  ], ["2d", 172_800_000]];
  for (const [text, ms] of good) assertEquals(parseDuration(text), { ok: true, value: ms });
  for (const text of ["", "10", "m", "-5s", "10 m", "5x", "1h 30m", "s10"]) {
    assertFalse(parseDuration(text).ok, text);
  }
});

Deno.test("since is a duration before now or a time", () => {
  const now = Date.parse("2026-01-31T12:00:00Z");
  const at = (text: string) => {
    const parsed = parseSince(text);
    return parsed.ok ? parsed.value(now) : undefined;
  };
  assertEquals(at("10m"), now - 600_000);
  assertEquals(at("2026-01-31T11:00:00Z"), now - H);
  for (const text of ["yesterday", "10", "31.1.2026"]) assertEquals(at(text), undefined, text);
});

Deno.test("memory needs a unit, and is rounded up to MiB", () => {
  const cases: [string, number | undefined][] = [
    ["64m", 64],
    ["64M", 64],
    ["64MiB", 64],
    ["64mb", 64],
    ["1g", 1024],
    ["1.5G", 1536],
    ["10000k", 10],
    ["64", undefined],
    ["1k", undefined],
    ["0m", undefined],
    ["-1g", undefined],
    ["g", undefined],
  ];
  for (const [text, value] of cases) {
    const parsed = parseMemory(text);
    assertEquals(parsed.ok ? parsed.value : undefined, value, text);
  }
  assertEquals([0, 64, 1024, 1536].map(memory), ["-", "64M", "1G", "1.5G"]);
});

Deno.test("cores are a number from 0.001 on", () => {
  const cases: [string, number | undefined][] = [
    ["0.5", 0.5],
    [".25", 0.25],
    ["2", 2],
    [
      "0.12345",
      0.123,
    ],
    ["0", undefined],
    ["-1", undefined],
    ["1e3", undefined],
    ["x", undefined],
  ];
  for (const [text, value] of cases) {
    const parsed = parseCpus(text);
    assertEquals(parsed.ok ? parsed.value : undefined, value, text);
  }
});

Deno.test("ports are read as [PORT:]CONTAINER[/udp][@host]", () => {
  assertEquals(parsePort("80"), {
    ok: true,
    value: { target: 80, protocol: "tcp", mode: "ingress" },
  });
  assertEquals(parsePort("8000-8009:80"), {
    ok: true,
    value: {
      target: 80,
      published: { from: 8000, to: 8009 },
      protocol: "tcp",
      mode: "ingress",
    },
  });
  assertEquals(parsePort("53:53/udp@host"), {
    ok: true,
    value: { target: 53, published: 53, protocol: "udp", mode: "host" },
  });
  assertEquals(parsePort("8080:80/tcp"), {
    ok: true,
    value: { target: 80, published: 8080, protocol: "tcp", mode: "ingress" },
  });
  assertEquals(parsePort("5353:53/udp"), {
    ok: true,
    value: { target: 53, published: 5353, protocol: "udp", mode: "ingress" },
  });
  for (
    const text of [
      "",
      "0",
      "65536",
      "0:80",
      "80:",
      ":80",
      "a",
      "80/sctp",
      "1:2:3",
      "80-90",
      "9-8:80",
      "8-9:80@host",
    ]
  ) {
    assertFalse(parsePort(text).ok, text);
  }
});

Deno.test("pairs and env files keep values as they are", () => {
  assertEquals(parsePair("A=b=c"), { ok: true, value: ["A", "b=c"] });
  assertEquals(parsePair("A="), { ok: true, value: ["A", ""] });
  for (const text of ["A", "=b", ""]) assertFalse(parsePair(text).ok, text);
  assertEquals(parseEnvFile("# note\n\nA=1\r\nexport B=x y\n"), {
    ok: true,
    value: [["A", "1"], ["B", "x y"]],
  });
  const bad = parseEnvFile("A=1\noops\n");
  assert(!bad.ok);
  assertStringIncludes(bad.message, "line 2");
});

Deno.test("text from elsewhere cannot move the cursor or ring the bell", () => {
  assertEquals(oneLine("\x1b[2Jgone\r\nnext\x07\t!\x9b"), "gone next !");
});

interface Row {
  name: string;
  note: string;
}
const columns = [
  { header: "NAME", cell: (row: Row) => row.name, minWidth: 6 },
  { header: "NOTE", cell: (row: Row) => row.note, minWidth: 6, drop: 1 },
  { header: "ID", cell: () => "12345678" },
];
const rows = [{ name: "a-rather-long-name", note: "some words about it" }];

Deno.test("a table is as wide as it needs to be, and never wider than the terminal", () => {
  const lines = table(columns, rows, { color: false }).trimEnd().split("\n");
  assertEquals(lines, [
    "NAME                NOTE                 ID",
    "a-rather-long-name  some words about it  12345678",
  ]);
  for (let width = 18; width <= 60; width++) {
    for (const line of table(columns, rows, { color: true, columns: width }).split("\n")) {
      assert(widthOf(line) <= width, `${width}: ${line}`);
    }
  }
});

Deno.test("a narrow table drops the least important column before it loses the others", () => {
  const narrow = table(columns, rows, { color: false, columns: 18 });
  assertFalse(narrow.includes("NOTE"));
  assertStringIncludes(narrow, "12345678");
  assertStringIncludes(narrow, "a-rathe…");
});

Deno.test("wide columns show only when asked for", () => {
  const more = [...columns, { header: "MORE", cell: () => "x", wide: true as const }];
  assertFalse(table(more, rows, { color: false }).includes("MORE"));
  assertStringIncludes(table(more, rows, { color: false, wide: true }), "MORE");
});
