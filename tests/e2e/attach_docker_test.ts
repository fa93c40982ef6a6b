import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { engineTest, TEST_IMAGE } from "../support/engine.ts";
import { eventually } from "../support/eventually.ts";
import { hasPty, inTerminal, ptyTest, type Terminal, withoutTerminal } from "../support/pty.ts";
import { inRig, type Rig } from "../support/rig.ts";

const DETACH = "\x10\x11";
const CTRL_C = "\x03";

/** Types a line into the remote shell, and waits for what it shall bring. */
async function ask(terminal: Terminal, line: string, answer: RegExp): Promise<void> {
  const before = terminal.text().length;
  await terminal.type(`${line}\n`);
  await eventually(() => answer.test(terminal.text().slice(before)), {
    what: () => `${answer} after ${line}: ${JSON.stringify(terminal.text().slice(before))}`,
  });
}

const shows = (terminal: Terminal, text: string) =>
  eventually(() => terminal.text().includes(text), { what: text });

function environment({ server, project }: Rig): Record<string, string> {
  return { BERTH_SERVER: server.url, BERTH_TOKEN: server.token, P: `--project ${project}` };
}

const inPty = hasPty ? engineTest : (name: string) => ptyTest(name, () => Promise.resolve());

inPty(
  "run -it is a terminal like docker's: its size, Ctrl-C, keys to detach, attach again, exit code",
  async (connection) => {
    await inRig(connection, { workers: ["pty"] }, async (rig) => {
      const resize = `${rig.dir}/resize`;
      const resizer = `(until test -e ${resize}; do sleep 0.05; done; ` +
        "stty cols 101 rows 31 < $TTY) & ";
      const terminal = inTerminal(
        `TTY=$(tty); ${resizer} $B run -it --rm --name game $P ${TEST_IMAGE} sh; echo "code $?"; ` +
          '$B attach "game" $P; echo "code $?"; stty -a',
        environment(rig),
        { columns: 91 },
      );
      await shows(terminal, "# "); // What it said before one was attached.
      await ask(terminal, "stty size", /24 91/);
      await ask(terminal, "echo on$((1))", /on1/);
      await ask(terminal, "echo sle''eping; sleep 60; echo sle''pt", /sleeping/);
      await terminal.type(CTRL_C);
      await ask(terminal, "echo code=$?", /code=130/);
      await Deno.writeTextFile(resize, "");
      await eventually(async () => {
        const before = terminal.text().length;
        await terminal.type("stty size\n");
        await eventually(() => /\d+ \d+/.test(terminal.text().slice(before)), { what: "a size" });
        return terminal.text().slice(before).includes("31 101");
      }, { what: "the new size to arrive" });

      await terminal.type(DETACH);
      await shows(terminal, "code 0");
      assertStringIncludes(terminal.text(), `${rig.project}/game.1 goes on. Attach again: berth`);
      assertEquals((await rig.live("game")).map(({ state }) => state), ["running"]);
      // The line that stty size was asked on is over: the shell says nothing until it is asked.
      await eventually(() => terminal.text().split("To leave it running").length === 3, {
        what: "the second attachment",
      });
      await ask(terminal, "echo again", /again\r*\n.*again/);
      await terminal.type("exit 7\n");
      const text = await terminal.end();
      assertStringIncludes(text, "code 7");
      assert(!text.includes("slept"), "Ctrl-C reached what ran inside");
      assertEquals(/ (-?)icanon/.exec(text)?.[1], "", "lines are edited again");
      assertEquals(/ (-?)echo /.exec(text)?.[1], "", "what is typed shows again");
    });
  },
);

engineTest("run -i takes a pipe to its end, and shows what ended at once", async (connection) => {
  await inRig(connection, { workers: ["pipe"] }, async (rig) => {
    const env = environment(rig);
    const piped = `seq 1 20000 | $B run -i --rm $P ${TEST_IMAGE} sh -c 'cat; exit 4' | tail -n 2`;
    assertEquals(await withoutTerminal(piped, env), "19999\n20000\n");
    const code = `echo x | $B run -i --rm $P ${TEST_IMAGE} sh -c 'cat; exit 4'; echo $?`;
    assertEquals(await withoutTerminal(code, env), "x\n4\n");
    const short = `$B run -i --rm $P ${TEST_IMAGE} echo over < /dev/null; echo $?`;
    assertEquals(await withoutTerminal(short, env), "over\n0\n");
    await eventually(async () => {
      const listed = await rig.server.client.listServices({ project: rig.project });
      return listed.ok && listed.value.items.length === 0;
    }, { what: "--rm to have removed them" });
  });
});
