import { assert, assertEquals, assertMatch } from "@std/assert";
import { connectEngine } from "../../worker/docker/client.ts";
import { startChild } from "../../cli/local/child.ts";
import { systemClock } from "../../kv/schema/time.ts";
import { engineTest } from "../support/engine.ts";
import { eventually } from "../support/eventually.ts";

const ROOT = new URL("../..", import.meta.url).pathname;

/** `deno task demo ARGS`, without the task runner, with a home of its own. */
async function demo(args: string[], home: string) {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--quiet", "-P=local", `--allow-run=${Deno.execPath()}`],
      ...["cli/main.ts", "demo", ...args],
    ],
    cwd: ROOT,
    env: { XDG_CONFIG_HOME: home },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  });
  const { code, stdout, stderr } = await child.output();
  return {
    code,
    out: new TextDecoder().decode(stdout),
    err: new TextDecoder().decode(stderr),
  };
}

async function leftovers(): Promise<string[]> {
  const names: string[] = [];
  for await (const entry of Deno.readDir(`${ROOT}.berth/demo`)) names.push(entry.name);
  return names.sort();
}

async function inTemp(run: (dir: string) => Promise<void>) {
  const dir = await Deno.makeTempDir();
  try {
    await Deno.mkdir(`${ROOT}.berth/demo`, { recursive: true });
    await run(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("demo --once --sim tells its story and leaves nothing behind", async () => {
  await inTemp(async (home) => {
    const before = await leftovers();
    const { code, out, err } = await demo(["--once", "--sim"], home);
    assertEquals([code, err], [0, ""], out);
    assertMatch(out, /Deployed hello: 3 of 3 tasks run[\s\S]*Killed[\s\S]*is back[\s\S]*Stopped/);
    assertEquals(await leftovers(), before);
    const contexts = JSON.parse(await Deno.readTextFile(`${home}/berth/contexts.json`));
    assertEquals(contexts, { contexts: {} });
  });
});

engineTest(
  "demo --once kills a real container, sees it come back, and cleans up",
  async (engine) => {
    const client = connectEngine(engine);
    const containers = async () => {
      const filters = { label: ["berth.service=hello"] };
      const listed = await client.docker.listContainers({ all: true, filters });
      return listed.map((container) => container.Id).sort();
    };
    try {
      await inTemp(async (home) => {
        const before = await containers();
        const { code, out, err } = await demo(["--once"], home);
        assertEquals([code, err], [0, ""], out);
        assertMatch(out, /says: Hello from [0-9a-f]+, run by Berth\.[\s\S]*hello\.2 is back/);
        assertEquals(await containers(), before);
      });
    } finally {
      client.close();
    }
  },
);

Deno.test("a local process that dies is started again, and stays away after stop", async () => {
  await inTemp(async (dir) => {
    await Deno.writeTextFile(`${dir}/p.ts`, `console.log("up"); setInterval(() => {}, 1000);`);
    const exits: { code: number; again: boolean }[] = [];
    const child = startChild({
      ...{ name: "p", args: ["run", "-q", `${dir}/p.ts`], cwd: dir, logPath: `${dir}/p.log` },
      clock: systemClock,
      onExit: (exit) => exits.push(exit),
    });
    const ups = async () => (await Deno.readTextFile(`${dir}/p.log`)).split("up").length - 1;
    const first = await eventually(async () => await ups().catch(() => 0) === 1 && child.pid());
    child.kill();
    const second = await eventually(async () => await ups() === 2 && child.pid());
    assert(first !== second);
    assertEquals(exits, [{ code: 137, again: true }]);
    await child.stop();
    assertEquals([child.pid(), await ups()], [undefined, 2]);
  });
});

Deno.test("a local process that cannot start is given up, and its end is told", async () => {
  await inTemp(async (dir) => {
    const exits: boolean[] = [];
    const child = startChild({
      ...{ name: "p", args: ["run", "-q", `${dir}/absent.ts`], cwd: dir, logPath: `${dir}/p.log` },
      clock: { ...systemClock, sleep: () => Promise.resolve() },
      onExit: (exit) => exits.push(exit.again),
    });
    await child.ended;
    assertEquals(exits, [true, true, false]);
    await child.stop();
  });
});
