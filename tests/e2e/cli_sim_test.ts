import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { parse } from "yaml";
import { inWorld, reading } from "../support/cli_world.ts";
import { eventually } from "../support/eventually.ts";

const SIM = "sim/app:1";

Deno.test("a service's life on the command line: run, look, exec, stop, start, rm", async () => {
  await inWorld(async ({ berth }) => {
    const run = await berth("run", "-d", "--name", "web", "--replicas", "2", "-p", "80", SIM);
    assertEquals(run, { code: 0, out: "web\n", err: "" });
    const tasks = async () => JSON.parse((await berth("ps", "-o", "json")).out);
    await eventually(
      async () => (await tasks()).every((task: { state: string }) => task.state === "running"),
      { what: "both tasks to run" },
    );
    const ps = await berth("ps");
    assertMatch(ps.out, /^NAME +IMAGE +NODE +STATE +AGE +RESTARTS +PORTS +ID\nweb\.1 +.* running /);
    assertEquals(ps.out.trimEnd().split("\n").length, 3);

    const logs = await berth("logs", "web");
    assertMatch(logs.out, /^web\.1 │ /m);
    assertMatch(logs.out, /^web\.2 │ /m);
    assertEquals(await berth("exec", "web", "sh", "-c", "echo in; echo ex >&2; exit 3"), {
      code: 3,
      out: "in\n",
      err: "ex\n",
    });

    assertEquals((await berth("rm", "web")).code, 4);
    assertEquals((await berth("stop", "web")).out, "web\n");
    assertEquals(await tasks(), []);
    assertStringIncludes((await berth("services")).out, "stopped");
    assertEquals((await berth("start", "web")).code, 0);
    assertEquals((await tasks()).length, 2);
    assertEquals(await berth("rm", "-f", "web"), { code: 0, out: "web\n", err: "" });
    assertEquals(await tasks(), []);
    assertEquals((await berth("inspect", "web")).code, 3);
  });
});

Deno.test("a foreground run prints the job's output and ends with its code", async () => {
  await inWorld(async ({ berth, server }) => {
    const script = "echo out; echo err >&2; exit 7";
    assertEquals(await berth("run", "--rm", SIM, "sh", "-c", script), {
      code: 7,
      out: "out\n",
      err: "err\n",
    });
    await eventually(async () => {
      const services = await server.client.listServices();
      return services.ok && services.value.items.length === 0;
    }, { what: "the job to be removed" });
    assertEquals((await berth("run", "--name", "kept", SIM, "sh", "-c", "true")).code, 0);
    const kept = await server.client.getService("kept");
    assert(kept.ok);
    assertEquals(kept.value.phase, "finished");
  });
});

Deno.test("Ctrl-C stops a foreground run, and --rm still removes it", async () => {
  await inWorld(async ({ start, server }) => {
    const child = start("run", "--rm", "--name", "job", SIM, "sh", "-c", "echo up; sleep infinity");
    const [out, err] = [reading(child.stdout), reading(child.stderr)];
    await eventually(() => out.text().includes("up"), { what: "the job's output" });
    child.kill("SIGINT");
    const { code } = await child.status;
    await Promise.all([out.done, err.done]);
    assertEquals([code, err.text()], [143, ""]);
    await eventually(async () => !(await server.client.getService("job")).ok, {
      what: "the job to be removed",
    });
  });
});

Deno.test("following logs and events ends with Ctrl-C and code 0", async () => {
  await inWorld(async ({ berth, start }) => {
    await berth("run", "-d", "--name", "web", SIM, "sh", "-c", "echo ready; sleep infinity");
    for (const [args, words] of [[["logs", "-f", "web"], "ready"], [["events", "-f"], "running"]]) {
      const child = start(...args as string[]);
      const [out, err] = [reading(child.stdout), reading(child.stderr)];
      await eventually(() => out.text().includes(String(words)), { what: String(words) });
      child.kill("SIGINT");
      const { code } = await child.status;
      await Promise.all([out.done, err.done]);
      assertEquals([code, err.text()], [0, ""], String(args));
    }
  });
});

Deno.test("what cannot be placed waits, why says what would help, and waiting for it ends with 7", async () => {
  await inWorld(async ({ berth }) => {
    assertEquals((await berth("run", "-d", "--name", "big", "--cpus", "64", SIM)).code, 0);
    const why = await berth("why", "big");
    assertEquals(why.code, 0);
    assertMatch(why.out, /big\.1 +pending[\s\S]*Remedy:[\s\S]*n1[\s\S]*n2/);
    const answers = JSON.parse((await berth("why", "big", "-o", "json")).out);
    assertEquals(answers.length, 1);
    assertEquals((await berth("start", "big", "--timeout", "300ms")).code, 7);
  });
});

Deno.test("what is printed for programs can be parsed, empty lists included", async () => {
  await inWorld(async ({ berth }) => {
    const commands = [["ps", "-a"], ["services"], ["nodes"], ["events"], ["status"], ["version"]];
    for (const args of [...commands, ["node", "join-token"], ["context", "ls"]]) {
      const json = await berth(...args, "-o", "json");
      assertEquals([json.code, json.err], [0, ""], args.join(" "));
      JSON.parse(json.out);
      const yaml = await berth(...args, "-o", "yaml");
      assert(parse(yaml.out) !== undefined);
    }
  });
});

Deno.test("scripts can tell failures apart by the exit code", async () => {
  await inWorld(async ({ berth }) => {
    assertEquals((await berth("run", "-d", "--name", "web", SIM)).code, 0);
    const cases: [string[], number][] = [
      [["run", "-d", "--name", "web", SIM], 4],
      [["run", "-d", "--name", "WEB", SIM], 2],
      [["inspect", "nosuch"], 3],
      [["stop", "nosuch"], 3],
      [["logs", "nosuch"], 3],
      [["ps", "--token", "wrong"], 5],
      [["ps", "--server", "http://127.0.0.1:9"], 6],
      [["run", "--server", "http://127.0.0.1:9", SIM], 125],
      [["exec", "nosuch", "ls"], 125],
      [["ps", "--context", "nosuch"], 2],
    ];
    for (const [args, code] of cases) {
      const ran = await berth(...args);
      assertEquals([ran.code, ran.out], [code, ""], args.join(" "));
      assertMatch(ran.err, /^berth: /);
    }
  });
});

Deno.test("a reader that goes away ends the command quietly", async () => {
  await inWorld(async ({ start }) => {
    const child = start("ps", "--help");
    await child.stdout.cancel();
    const err = reading(child.stderr);
    const { code } = await child.status;
    await err.done;
    assertEquals([code, err.text()], [141, ""]);
  });
});
