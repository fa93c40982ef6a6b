import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { widthOf } from "../../cli/format/style.ts";
import { eventually } from "../support/eventually.ts";
import { startServer, startWorker } from "../support/processes.ts";
import { oneService } from "../cli/support.ts";
import { inTerminal, ptyTest } from "../support/terminal.ts";

ptyTest("help and tables fit a terminal of 80 columns, in colour", async () => {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, oneService);
  const env = { BERTH_SERVER: `http://127.0.0.1:${server.addr.port}`, BERTH_TOKEN: "t" };
  try {
    for (const command of ["--help", "run --help", "ps", "services", "nodes"]) {
      const text = await inTerminal(`$B ${command}`, env).end();
      assertStringIncludes(text, "\x1b[", command);
      for (const line of text.replaceAll("\r", "").split("\n")) {
        assert(widthOf(line) <= 80, `${command}: ${line}`);
      }
    }
  } finally {
    await server.shutdown();
  }
});

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
