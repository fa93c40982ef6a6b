import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { inWorld, reading } from "../support/cli_world.ts";
import { eventually } from "../support/eventually.ts";
import { withoutTerminal } from "../support/pty.ts";

const SIM = "sim/app:1";

Deno.test("looking into what runs: logs, stats, top, wait, restart", async () => {
  await inWorld(async ({ berth, start }) => {
    const script = "echo first; sleep 0.3; echo second; sleep infinity";
    await berth("run", "-d", "--name", "web", "--replicas", "2", SIM, "sh", "-c", script);
    assertEquals(await berth("wait", "web"), {
      code: 0,
      out: "web running, 2 of 2 ready\n",
      err: "",
    });
    await eventually(async () => (await berth("logs", "web")).out.split("second").length === 3, {
      what: "both tasks to have said all",
    });
    const said = (await berth("logs", "web", "-t")).out.trimEnd().split("\n");
    assertEquals(said.length, 4);
    const times = said.map((line) => /│ (\S+)/.exec(line)?.[1] ?? "");
    assertEquals(times, [...times].sort(), "in the order of time");
    assertMatch((await berth("logs", "--grep", "^sec", "web")).out, /^(web\.\d │ second\n){2}$/);
    const [line] = (await berth("logs", "-o", "json", "web.1")).out.split("\n");
    const { task, stream, line: text } = JSON.parse(line ?? "");
    assertEquals([task, stream, text], ["web.1", "stdout", "first"]);

    const following = start("logs", "-f", "web");
    const followed = reading(following.stdout);
    void following.stderr.cancel();
    const lines = () => followed.text().split("\n").length - 1;
    await eventually(() => lines() === 4, { what: "what was said before" });

    const stats = JSON.parse((await berth("stats", "-o", "json", "web")).out);
    assertEquals(stats.length, 2);
    for (const { cpus, memoryBytes, node } of stats) {
      assert(cpus > 0 && memoryBytes > 0 && /^n[12]$/.test(node));
    }
    const top = await berth("top");
    assertMatch(top.out, /^NODE +TASKS +CPU .*\nn[12] +\d/);
    assertMatch(top.out, /\nNAME +NODE +CPU +MEMORY .*\nweb\.[12] /);

    const ids = async () => (await berth("ps", "-q", "web")).out.trim().split("\n").sort();
    const before = await ids();
    assertEquals((await berth("restart", "web.2")).code, 0);
    const [kept, ...fresh] = [before, await ids()].map((all) => new Set(all));
    assertEquals([...kept ?? []].filter((id) => fresh[0]?.has(id)).length, 1);
    const restarted = await berth("restart", "web");
    assertEquals(restarted, {
      code: 0,
      out: "web: revision 2 done: 2 of 2 slots serve\n",
      err: "",
    });
    assertStringIncludes((await berth("rollout", "history", "web")).out, "restart");
    await eventually(() => followed.text().split("second").length - 1 >= 5, {
      what: "the output of the tasks that joined",
    });
    assertEquals((await berth("rm", "-f", "web")).code, 0);
    assertEquals((await following.status).code, 0, "it ends with the service");
    await followed.done;
  });
});

Deno.test("who reads a part of what is followed sees no more than that, and no error", async () => {
  await inWorld(async ({ berth, server, dir }) => {
    const words = Array.from({ length: 100 }, (_, i) => `echo ${i}; sleep 0.1`).join("; ");
    await berth("run", "-d", "--name", "chatty", "--replicas", "2", SIM, "sh", "-c", words);
    await berth("run", "-d", "--name", "alone", SIM, "sh", "-c", words);
    assertEquals((await berth("wait", "chatty", "alone")).code, 0);
    const env = { BERTH_SERVER: server.url, BERTH_TOKEN: server.token, XDG_CONFIG_HOME: dir };
    const followed = ["logs -f chatty", "logs -f alone", "logs -f alone.1", "events -f"];
    for (const command of followed) {
      const line = `{ $B ${command}; echo "code $?" >&2; } | head -n 1`;
      const [first, ...rest] = (await withoutTerminal(line, env)).split("\n");
      assert(first !== "", command);
      assertEquals(rest, ["code 141", ""], command);
    }
  });
});

Deno.test("reaching into what runs and looking back: cp, attach, describe, history, ps --at", async () => {
  await inWorld(async ({ berth, server, dir }) => {
    const earlier = new Date().toISOString();
    const created = await server.client.createService({
      name: "web",
      template: {
        image: SIM,
        env: { PASSWORD: "hidden" },
        command: ["sh", "-c", "echo about to fail; sleep 0.5; exit 3"],
        restart: { condition: "any", delayMs: 600_000, maxAttempts: 3 },
      },
    });
    assert(created.ok);
    await Deno.mkdir(`${dir}/site/sub`, { recursive: true });
    await Deno.writeTextFile(`${dir}/site/sub/page`, "hello");
    await eventually(async () => {
      const task = await server.client.getTask("web.1");
      return task.ok && task.value.observed?.exitCode === 3;
    }, { what: "the failure" });
    assertEquals((await berth("cp", `${dir}/site`, "web.1:/srv")).err, "");
    assertEquals((await berth("cp", "web.1:/srv/site/.", `${dir}/back`)).err, "");
    assertEquals(await Deno.readTextFile(`${dir}/back/sub/page`), "hello");
    assertEquals((await berth("cp", "web.1:/srv/site/sub/page", `${dir}/back`)).code, 0);
    assertEquals(await Deno.readTextFile(`${dir}/back/page`), "hello");
    const absent = await berth("cp", "web.1:/none", dir);
    assertEquals(absent.code, 1);
    assertStringIncludes(absent.err, "there is no /none in the container");

    const page = (await berth("describe", "web")).out;
    assertMatch(page, /^Service +web\n/);
    assertMatch(page, /Last failure\n {2}web\.1 .*exit code 3/);
    assertStringIncludes(page, "│ about to fail");
    assertEquals(page.includes("hidden"), false, "values of variables are not shown");
    assertMatch((await berth("describe", "n1")).out, /^Node +n1\n/);

    assertEquals((await berth("attach", "web")).code, 125, "nothing runs to attach to");
    const listening = await server.client.createService({
      name: "listening",
      template: { image: SIM, command: ["cat"], container: { stdinOpen: true } },
    });
    assert(listening.ok);
    assertEquals((await berth("wait", "listening")).code, 0);
    assertEquals((await berth("attach", "listening")).code, 0, "its input ended, and so did it");
    const history = JSON.parse((await berth("history", "web.1", "-o", "json")).out);
    assertEquals(history[0].type, "task.assigned");
    const before = await berth("ps", "--at", earlier);
    assertStringIncludes(before.err, "Nothing ran at");
    const then = history.find(({ state }: { state?: string }) => state === "running").at;
    const past = JSON.parse((await berth("ps", "--at", then, "-o", "json")).out);
    assertEquals(past.map(({ name, state }: Record<string, string>) => [name, state]), [
      ["default/web.1", "running"],
    ]);
    assertEquals((await berth("rm", "-f", "web")).code, 0);
    assertStringIncludes(
      (await berth("history", "web")).out,
      "task.assigned",
      "also when it is gone",
    );
    assertEquals((await berth("history", "never")).code, 3);
  });
});

Deno.test("completion works in a bash without bash-completion, and prints no error, also sourced twice", async () => {
  await inWorld(async ({ berth, server, dir }) => {
    await berth("run", "-d", "--name", "storefront", SIM);
    const env = { BERTH_SERVER: server.url, BERTH_TOKEN: server.token, XDG_CONFIG_HOME: dir };
    const script = `
      berth() { $B "$@"; }
      compopt() { :; } # It is for a completion that was asked for by key.
      source <(berth completion bash)
      source <(berth completion bash)
      tab() { COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); __berth_complete; echo "\${COMPREPLY[*]}"; }
      tab berth rol
      tab berth node dr
      tab berth logs sto
      tab berth ps --al`;
    await Deno.writeTextFile(`${dir}/script`, script);
    const said = await withoutTerminal(`bash --norc ${dir}/script`, env);
    assertEquals(said, "rollout\ndrain\nstorefront storefront.1\n--all\n");
  });
});
