import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { plain, widthOf } from "../../cli/format/style.ts";
import { eventually } from "../support/eventually.ts";
import { startServer, startWorker } from "../support/processes.ts";
import { inTerminal, ptyTest } from "../support/pty.ts";

/** The last picture that was drawn whole, a line each. */
function picture(text: string): string[] {
  const drawn = text.slice(0, Math.max(0, text.lastIndexOf("\x1b[J")));
  return plain(drawn.slice(drawn.lastIndexOf("\x1b[H"))).split(/\r*\n/);
}

ptyTest(
  "what runs fits terminals of 80 and 200 columns; top follows its keys and leaves nothing",
  async () => {
    const dir = await Deno.makeTempDir();
    const server = await startServer({ dataDir: `${dir}/server` });
    const name = "a-machine-with-quite-a-long-name";
    const worker = await startWorker(server, { name, stateDir: dir, args: ["--sim"] });
    try {
      for (const service of ["web", "storefront-of-the-shop"]) {
        const created = await server.client.createService({
          name: service,
          mode: { type: "replicated", replicas: 2 },
          template: { image: "registry.example.com/team/storefront:2026.01.31" },
        });
        assert(created.ok);
      }
      await eventually(async () => {
        const { ok, value } = { value: undefined, ...await server.client.listTasks() };
        return ok && value?.items.filter(({ state }) => state === "running").length === 4;
      }, { what: "the tasks to run" });
      const env = { BERTH_SERVER: server.url, BERTH_TOKEN: server.token };
      for (const columns of [80, 200]) {
        const shown = ["stats --no-stream", "top --no-stream", "ps --at 0s", "describe web"];
        const line = shown.map((command) => `$B ${command}`).join("; ");
        const text = await inTerminal(line, env, { columns }).end();
        assertStringIncludes(text, "\x1b[", "in colour");
        assertStringIncludes(plain(text), "NET OUT");
        const lines = text.replaceAll("\r", "").split("\n");
        // Events are sentences, which wrap.
        const tables = lines.slice(0, lines.findIndex((one) => plain(one) === "Events"));
        for (const one of tables) assert(widthOf(one) <= columns, JSON.stringify(one));

        const top = inTerminal("$B top; stty -a", env, { columns });
        await eventually(
          () => picture(top.text()).some((one) => / \d[\d.]*% /.test(one) && /^web\.\d/.test(one)),
          { what: "rates" },
        );
        await top.type("m");
        await eventually(() => picture(top.text())[0]?.includes("by memory"), {
          what: "the sorting",
        });
        for (const one of picture(top.text())) {
          assert(widthOf(one) <= columns, JSON.stringify(one));
        }
        await top.type("q");
        const all = await top.end();
        assertEquals(all.split("\x1b[?1049h").length, 2);
        assertStringIncludes(all, "\x1b[?25h\x1b[?1049l", "the screen is as it was");
        assertEquals(/ (-?)icanon/.exec(all)?.[1], "", "lines are edited again");
        assertEquals(/ (-?)echo /.exec(all)?.[1], "", "what is typed shows again");
      }
    } finally {
      await worker.stop();
      await server.stop();
      await Deno.remove(dir, { recursive: true });
    }
  },
);
