/**
 * What pages and help tell people to type is something that the program understands.
 */
import { assert, assertEquals } from "@std/assert";
import { COMMANDS } from "../../cli/main.ts";
import { berth } from "./support.ts";

const ROOT = new URL("../../", import.meta.url);
/** They start processes, follow without end, or print a script. */
const APART = /^berth (dev|demo|completion|complete)\b/;

/** The lines of a page's blocks of code that begin with `berth`, each command by itself. */
async function linesOf(page: string): Promise<string[]> {
  const text = await Deno.readTextFile(new URL(page, ROOT));
  const blocks = [...text.matchAll(/^```sh\n([\s\S]*?)^```/gm)].map(([, block = ""]) => block);
  return blocks.flatMap((block) => block.split("\n")).flatMap((line) =>
    line.replace(/ +#.*$/, "").split(/; | && | \| /)
  ).map((line) => line.trim()).filter((line) => line.startsWith("berth "));
}

/** Words as a shell takes them, for lines without substitutions; redirections are left out. */
function wordsOf(line: string): string[] {
  return [...line.matchAll(/(?:[^\s'"]|'[^']*'|"[^"]*")+/g)].map(([word]) =>
    word.replace(/'([^']*)'|"([^"]*)"/g, (_, single, double) => single ?? double)
  ).filter((word, at, all) => !/^[<>]/.test(word) && !/^[<>]$/.test(all[at - 1] ?? ""));
}

Deno.test("every command line of the README, the docs and the help is understood", async () => {
  const pages = ["README.md"];
  for await (const { name } of Deno.readDir(new URL("docs/", ROOT))) {
    if (name.endsWith(".md")) pages.push(`docs/${name}`);
  }
  const written = (await Promise.all(pages.map(linesOf))).flat();
  assert(written.length > 40, String(written.length));
  const helped = COMMANDS.flatMap(({ examples }) => examples).flatMap(([line]) =>
    line.split(/; | && | \| /)
  ).filter((line) => line.startsWith("berth "));
  const wrong: string[] = [];
  for (const line of new Set([...written, ...helped])) {
    if (APART.test(line) || /[$`]|…/.test(line)) continue;
    const { err } = await berth(wordsOf(line).slice(1), {
      handler: () => Response.json({ type: "x", title: "no", status: 404 }, { status: 404 }),
    });
    if (
      /unknown (option|command)|missing required|too many|is invalid|unexpected error/.test(err)
    ) {
      wrong.push(`${line}: ${err}`);
    }
  }
  assertEquals(wrong, []);
});
