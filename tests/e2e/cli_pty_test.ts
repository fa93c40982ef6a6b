import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { widthOf } from "../../cli/format/style.ts";
import { eventually } from "../support/eventually.ts";
import { startServer, startWorker } from "../support/processes.ts";
import { inTerminal, ptyTest, screenOf, withoutTerminal } from "../support/pty.ts";
import { oneService } from "../cli/support.ts";

const HELP_AND_TABLES = ["--help", "run --help", "up --help", "ps", "services", "nodes"];

for (const columns of [80, 200]) {
  ptyTest(
    `help and tables fit a terminal of ${columns} columns, in colour`,
    () =>
      withOneService(async (env) => {
        const widest = new Map<string, number>();
        for (const command of HELP_AND_TABLES) {
          const text = await inTerminal(`$B ${command}`, env, { columns }).end();
          assertStringIncludes(text, "\x1b[", command);
          const widths = text.replaceAll("\r", "").split("\n").map(widthOf);
          widest.set(command, Math.max(...widths));
        }
        assertEquals([...widest].filter(([, width]) => width > columns), []);
        // Help stays readable, and tables take what there is.
        assert((widest.get("run --help") ?? 0) <= 100);
      }),
  );
}

Deno.test("without a terminal help and tables are plain text, and no cell is cut", () =>
  withOneService(async (env) => {
    for (const command of HELP_AND_TABLES) {
      const text = await withoutTerminal(`$B ${command}`, env);
      assert(text.length > 50 && !text.includes("\x1b"), text);
      assert(command.includes("--help") || !text.includes("…"), text);
    }
  }));

async function withOneService(run: (env: Record<string, string>) => Promise<void>): Promise<void> {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, oneService);
  try {
    await run({ BERTH_SERVER: `http://127.0.0.1:${server.addr.port}`, BERTH_TOKEN: "t" });
  } finally {
    await server.shutdown();
  }
}

const SHOP = `
services:
  a-database-with-quite-a-long-name: {image: sim/db}
  web: {image: sim/web, depends_on: [a-database-with-quite-a-long-name], deploy: {replicas: 3}}
`;
/** Waited for until the time is over. */
const NOWHERE =
  "  nowhere: {image: sim/x, deploy: {placement: {constraints: [node.labels.none==such]}}}\n";

ptyTest(
  "progress of up is drawn over itself at 80 and 200 columns, and is lines without a terminal",
  async () => {
    const dir = await Deno.makeTempDir();
    const server = await startServer({ dataDir: `${dir}/server` });
    const worker = await startWorker(server, { name: "n1", stateDir: dir, args: ["--sim"] });
    const env = { BERTH_SERVER: server.url, BERTH_TOKEN: server.token };
    const write = (text: string) => Deno.writeTextFile(`${dir}/compose.yaml`, text);
    try {
      for (const columns of [80, 200]) {
        const narrow = columns === 80;
        await write(narrow ? SHOP + NOWHERE : SHOP);
        const up = `$B up -p at-${columns}${narrow ? " --timeout 3s" : ""}`;
        const text = await inTerminal(up, env, { columns, cwd: dir }).end();
        assert(text.split("\x1b[0J").length > 3, "it is drawn again and again");
        const screen = screenOf(text).filter((line) => line !== "");
        assertEquals(screen.filter((line) => widthOf(line) > columns), []);
        const marks = screen.filter((line) => /^[✔⠿✘·] /.test(line)).map((line) =>
          line.replace(/ +[\d.]+ ?m?s.*$/, "")
        );
        assertEquals(marks, [
          "✔ a-database-with-quite-a-long-name  up",
          "✔ web  up",
          ...(narrow ? ["✘ nowhere  not up yet"] : []),
        ]);
        assertEquals(screen.filter((line) => /^ +web\.[123] +running on n1/.test(line)).length, 3);
        assert(
          !narrow ||
            screen.some((line) => /^ +nowhere\.1 +pending: .*node\.labels\.none/.test(line)),
          text,
        );
      }
      const plain = await withoutTerminal("$B up -p plain", env, { cwd: dir });
      assert(!plain.includes("\x1b") && !plain.includes("⠿"), plain);
      const lines = plain.split("\n");
      assertEquals(
        lines.length - new Set(lines).size <= 1,
        true,
        `nothing is said twice: ${plain}`,
      );
      assertStringIncludes(plain, "web: created\n");
      assertStringIncludes(plain, "web.1  running on n1\n");
      assertStringIncludes(plain, "web: up\n");
    } finally {
      await worker.stop();
      await server.stop();
      await Deno.remove(dir, { recursive: true });
    }
  },
);

ptyTest("exec -it is raw while it runs, passes Ctrl-C on, and restores the terminal", async () => {
  const dir = await Deno.makeTempDir();
  const server = await startServer({ dataDir: `${dir}/server` });
  const worker = await startWorker(server, { name: "n1", stateDir: dir, args: ["--sim"] });
  try {
    const created = await server.client.createService({
      name: "web",
      template: { image: "sim/app:1" },
    });
    assert(created.ok);
    await eventually(async () => {
      const tasks = await server.client.listTasks({ service: created.value.id });
      return tasks.ok && tasks.value.items[0]?.state === "running";
    }, { what: "the task to run" });
    const env = { BERTH_SERVER: server.url, BERTH_TOKEN: server.token };
    const terminal = inTerminal(
      `$B exec -it web sh -c 'echo ready; cat'; echo "code $?"; stty -a`,
      env,
    );
    await eventually(() => terminal.text().includes("ready"), { what: "the remote command" });
    await terminal.type("typed");
    await eventually(() => terminal.text().includes("typed"), { what: "the remote echo" });
    await terminal.type("\x03");
    const text = await terminal.end();
    assertStringIncludes(text, "code 130");
    assertEquals(/ (-?)icanon/.exec(text)?.[1], "", "lines are edited again");
    assertEquals(/ (-?)echo /.exec(text)?.[1], "", "what is typed shows again");
    assertEquals(text.split("typed").length, 2, "the local terminal did not echo as well");
  } finally {
    await worker.stop();
    await server.stop();
    await Deno.remove(dir, { recursive: true });
  }
});
