import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { ServiceSpec } from "../../kv/schema/service.ts";
import { generateName, type RunOptions, runSpec } from "../../cli/run_spec.ts";
import { berth } from "./support.ts";

const none: RunOptions = {
  name: undefined,
  detach: false,
  rm: false,
  env: [],
  publish: [],
  cpus: undefined,
  memory: undefined,
  label: [],
  node: undefined,
  replicas: undefined,
  restart: undefined,
  project: undefined,
};

function spec(options: Partial<RunOptions>, image = "nginx:1.27", command: string[] = []) {
  const made = runSpec({ ...none, ...options }, image, command, () => 0);
  assert(made.ok, made.ok ? "" : made.message);
  return ServiceSpec.parse(made.value);
}

Deno.test("a foreground run is a job that runs once", () => {
  const { mode, template, name } = spec({});
  assertEquals(mode, { type: "job", completions: 1, parallelism: 1, retries: 0 });
  assertEquals(template.restart.condition, "none");
  assertEquals(name, "nginx-2222");
});

Deno.test("a foreground run with --rm is removed even if the CLI dies", () => {
  const { mode } = spec({ rm: true });
  assert(mode.type === "job" && (mode.removeAfterMs ?? 0) > 0);
});

Deno.test("a detached run is a service that is kept running", () => {
  assertEquals(spec({ detach: true }).mode, { type: "replicated", replicas: 1 });
  assertEquals(spec({ detach: true }).template.restart.condition, "any");
  assertEquals(spec({ detach: true, replicas: 0 }).mode, { type: "replicated", replicas: 0 });
});

Deno.test("-i and -t open what they name; input from a pipe ends with it, a terminal may be left", () => {
  const opened = (options: Partial<RunOptions>) => {
    const { tty, container } = spec(options).template;
    return [tty, container?.stdinOpen, container?.stdinOnce];
  };
  assertEquals(opened({}), [false, undefined, undefined]);
  assertEquals(opened({ tty: true }), [true, undefined, undefined]);
  assertEquals(opened({ interactive: true }), [false, true, true]);
  assertEquals(opened({ interactive: true, tty: true }), [true, true, undefined]);
  assertEquals(opened({ interactive: true, detach: true }), [false, true, undefined]);
});

Deno.test("who it runs as, where, and with what instead of the image's entrypoint", () => {
  const { template } = spec({ user: "1000:1000", workdir: "/srv", entrypoint: "id" });
  assertEquals([template.user, template.workingDir, template.entrypoint], [
    "1000:1000",
    "/srv",
    ["id"],
  ]);
  assertEquals(spec({ entrypoint: "" }).template.entrypoint, [""], "none, as the engine has it");
});

Deno.test("-it without a terminal is refused before anything is made", async () => {
  const handler = () => {
    throw new Error("nothing is to be asked");
  };
  const { code, err } = await berth(["run", "-it", "alpine", "sh"], { handler });
  assertEquals(code, 2);
  assertStringIncludes(err, "-t needs a terminal on standard input, and there is none");
});

Deno.test("--cpus and --memory both set aside and limit", () => {
  const { template } = spec({ detach: true, cpus: 0.5, memory: 64 });
  assertEquals(template.reserve, { cpus: 0.5, memoryMiB: 64 });
  assertEquals(template.limit, template.reserve);
});

Deno.test("everything else lands where it belongs", () => {
  const made = spec(
    {
      ...{ name: "web", project: "shop", node: "n1", label: [["tier", "front"]] },
      ...{
        env: [["A", "1"], ["A", "2"]],
        publish: [{ target: 80, published: 8080, protocol: "tcp", mode: "ingress" }],
      },
      ...{ detach: true },
    },
    "nginx",
    ["nginx", "-g", "daemon off;"],
  );
  assertEquals([made.name, made.project, made.template.placement.node], ["web", "shop", "n1"]);
  assertEquals(made.template.env, { A: "2" });
  assertEquals(made.template.ports, [{
    target: 80,
    published: 8080,
    protocol: "tcp",
    mode: "ingress",
  }]);
  assertEquals(made.template.command, ["nginx", "-g", "daemon off;"]);
  assertEquals([made.labels, made.template.labels], [{ tier: "front" }, { tier: "front" }]);
});

Deno.test("what cannot be is refused with the flag that is to blame", () => {
  const cases: [Partial<RunOptions>, string, string][] = [
    [{ replicas: 2 }, "nginx", "--replicas needs -d"],
    [{ detach: true, rm: true, replicas: 2 }, "nginx", "--rm"],
    [{ restart: "any" }, "nginx", "--restart any needs -d"],
    [{ name: "Not A Label" }, "nginx", "--name: must be a DNS label"],
    [{ project: "-x" }, "nginx", "--project: must be a DNS label"],
    [{}, "bad image", "IMAGE: must be an image reference"],
    [{ label: [["!", "x"]] }, "nginx", "--label"],
    [{ env: [["A\0", "x"]] }, "nginx", "--env"],
    [{ detach: true, replicas: 1_000_000 }, "nginx", "--replicas"],
  ];
  for (const [options, image, words] of cases) {
    const made = runSpec({ ...none, ...options }, image, [], () => 0);
    assert(!made.ok, JSON.stringify(options));
    assertStringIncludes(made.message, words);
  }
});

Deno.test("generated names are DNS labels whatever the image is called", () => {
  const images = ["nginx", "ghcr.io/Team/My_App:1.2", "a@sha256:00", "localhost:5000/x", "___", ""];
  for (const image of [...images, "x".repeat(200)]) {
    assertMatch(generateName(image, Math.random), /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/);
  }
  assertEquals(generateName("ghcr.io/Team/My_App:1.2", () => 0), "my-app-2222");
});

Deno.test("bad flags end with code 2 and say what to write instead", async () => {
  const cases: [string[], string][] = [
    [["run", "-d", "--memory", "64", "nginx"], "64m"],
    [["run", "-d", "--cpus", "many", "nginx"], "0.5"],
    [["run", "-d", "-p", "99999", "nginx"], "8080:80"],
    [["run", "-d", "-e", "NOVALUE", "nginx"], "KEY=VALUE"],
    [["run", "-d", "--restart", "often", "nginx"], "on-failure"],
    [["run", "-d", "--nosuch", "nginx"], "--nosuch"],
    [["run"], "image"],
    [["run", "--replicas", "2", "nginx"], "-d"],
    [["run", "--env-file", "absent", "nginx"], "absent"],
    [["logs", "--since", "then", "web"], "10m"],
    [["stop"], "service"],
    [["frobnicate"], "frobnicate"],
    [["ps", "-o", "xml"], "yaml"],
    [["--timeout", "5", "ps"], "30s"],
  ];
  for (const [args, words] of cases) {
    const { code, err, out } = await berth(args, { handler: () => Response.json({}) });
    assertEquals([code, out], [2, ""], args.join(" "));
    assertStringIncludes(err, words);
    assertStringIncludes(err, "→", "it says what to do next");
  }
});

Deno.test("flags after the image belong to the command", async () => {
  let sent: unknown;
  await berth(["run", "-d", "--name", "web", "alpine", "ls", "-l", "--name", "x"], {
    handler: async (request) => {
      sent = await request.json();
      return Response.json({}, { status: 500 });
    },
  });
  const { name, template } = ServiceSpec.parse(sent);
  assertEquals([name, template.command], ["web", ["ls", "-l", "--name", "x"]]);
});

Deno.test("env files come first, so that -e overrides them", async () => {
  let sent: unknown;
  await berth(["run", "-d", "-e", "A=flag", "--env-file", "f", "alpine"], {
    files: { f: "A=file\nB=file" },
    handler: async (request) => {
      sent = await request.json();
      return Response.json({}, { status: 500 });
    },
  });
  assertEquals(ServiceSpec.parse(sent).template.env, { A: "flag", B: "file" });
});
