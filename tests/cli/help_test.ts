import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { COMMANDS, VERSION } from "../../cli/main.ts";
import { widthOf } from "../../cli/format/style.ts";
import { berth, problem } from "./support.ts";

Deno.test("the version is that of deno.json", async () => {
  const manifest = await Deno.readTextFile(new URL("../../deno.json", import.meta.url));
  assertEquals(JSON.parse(manifest).version, VERSION);
  assertEquals((await berth(["--version"])).out, `${VERSION}\n`);
});

Deno.test("the help of every command has examples and fits in 80 columns", async () => {
  for (const command of COMMANDS) {
    const { code, out } = await berth([...command.name.split(" "), "--help"], { columns: 80 });
    assertEquals(code, 0, command.name);
    assertStringIncludes(out, "Examples:", command.name);
    assert(command.examples.length > 0, command.name);
    for (const line of out.split("\n")) assert(widthOf(line) <= 80, `${command.name}: ${line}`);
  }
});

Deno.test("the root help lists every command and documents the exit codes", async () => {
  const { code, out } = await berth(["--help"], { columns: 80 });
  assertEquals(code, 0);
  for (const { name } of COMMANDS) assertStringIncludes(out, name.split(" ")[0] ?? "");
  for (const code of [0, 1, 2, 3, 4, 5, 6, 7, 125]) {
    assertMatch(out, new RegExp(`^ +${code} +\\w`, "m"));
  }
  for (const line of out.split("\n")) assert(widthOf(line) <= 80, line);
});

Deno.test("help COMMAND is the help of that command, of any depth", async () => {
  for (const words of [["ps"], ["node", "drain"], ["node"], []]) {
    const asked = await berth(["help", ...words]);
    assertEquals(asked, await berth([...words, "--help"]), words.join(" "));
    assertEquals(asked.code, 0);
  }
});

Deno.test("help of what there is not says so, and runs nothing", async () => {
  assertEquals(await berth(["help", "lgs"]), await berth(["lgs"]));
  assertEquals(await berth(["help", "node", "lss"]), await berth(["node", "lss"]));
  const handler = () => {
    throw new Error("nothing is to be asked");
  };
  for (const words of [["stop", "web"], ["config", "x"], ["node", "ls", "x"]]) {
    const { code, out } = await berth(["help", ...words], { handler });
    assertEquals([code, out.includes("Usage: berth ")], [0, true], words.join(" "));
  }
});

Deno.test("a misspelt command names the likely one, and whose help to look at", async () => {
  const wrong = await berth(["lgs", "web"]);
  assertEquals(wrong.code, 2);
  assertEquals(
    wrong.err,
    "berth: unknown command 'lgs'\n(Did you mean logs?)\n  → berth --help\n",
  );
  const inner = await berth(["node", "lss"]);
  assertEquals(inner.code, 2);
  assertStringIncludes(inner.err, "(Did you mean ls?)\n  → berth node --help\n");
});

Deno.test("what is not there leads to the list of its kind", async () => {
  const cases: [string[], string, string][] = [
    [["volume", "inspect", "x"], "there is no volume x in project default", "berth volume ls"],
    [["secret", "rm", "-y", "x"], "there is no secret x in project default", "berth secret ls"],
    [["node", "drain", "x"], "there is no node x", "berth nodes"],
    [
      ["stop", "x"],
      "there is no service x in project default",
      "berth ps -a, berth services, berth nodes",
    ],
  ];
  for (const [args, detail, next] of cases) {
    const handler = () => Response.json(problem(404, { detail }), { status: 404 });
    const { code, err } = await berth(args, { handler });
    assertEquals(code, 3, args.join(" "));
    assertStringIncludes(err, `${detail}\n  → see what there is: ${next}\n`);
  }
});
