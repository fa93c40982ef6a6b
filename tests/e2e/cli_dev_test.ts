import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { plain, widthOf } from "../../cli/format/style.ts";
import { eventually } from "../support/eventually.ts";
import { inTerminal, ptyTest, screenOf } from "../support/pty.ts";

const ROOT = new URL("../..", import.meta.url).pathname;
const PROGRAM = "deno.json deno.lock main.ts api cli kv scheduler worker";

/** A checkout of its own: `dev` keeps its state in the one that it is started in. */
async function inCheckout(run: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "berth-checkout-" });
  try {
    const line = `cp -r ${PROGRAM} ${dir}`;
    const { success } = await new Deno.Command("sh", { args: ["-c", line], cwd: ROOT }).output();
    assertEquals(success, true, line);
    await run(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

ptyTest(
  "deno task dev: up in a terminal of 80 columns, used as its words say, and down by Ctrl-C",
  () =>
    inCheckout(async (cwd) => {
      const env = { XDG_CONFIG_HOME: `${cwd}/home`, BERTH_SERVER: "", BERTH_TOKEN: "" };
      const dev = inTerminal('trap : INT; deno task dev --sim; echo "code $?"', env, { cwd });
      try {
        await eventually(() => dev.text().includes("Ctrl-C stops server and worker"), {
          what: () => `dev to be up; it says: ${plain(dev.text())}`,
          timeoutMs: 40_000,
        });
        const said = screenOf(dev.text());
        for (const line of said) {
          // The task runner prints its command, and paths are as long as they are.
          if (!/^Task dev|Logs and data/.test(line)) assertEquals(widthOf(line) <= 80, true, line);
        }
        assertMatch(
          said.join("\n"),
          /✓ Server at http:\/\/127\.0\.0\.1:\d+, 1 worker on simulated/,
        );

        // What it tells to type, as it tells it.
        const typed = said.flatMap((line) => /deno task berth .*$/.exec(line)?.[0] ?? []);
        assertEquals(typed.length, 2);

        const other = inTerminal(`(${typed.join("; ")}) < /dev/null`, env, { cwd });
        const shown = plain(await other.end());
        assertStringIncludes(shown, "See it come up: berth ps nginx-");
        assertMatch(shown, /nginx-\w+\.1 +nginx +dev-1 +\w+/);
        const second = inTerminal('deno task dev --sim; echo "code $?"', env, { cwd });
        const refused = plain(await second.end());
        assertMatch(refused, /dev runs already in this checkout, at http:\/\/127[\s\S]*code 4/);
      } finally {
        // Should it have ended by itself, that is not what went wrong.
        await dev.type("\x03").catch(() => {});
      }
      const text = plain(await dev.end());
      assertMatch(text, /✓ Stopped[\s\S]*code 0/);
    }),
);
