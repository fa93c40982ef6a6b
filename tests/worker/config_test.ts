import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import config from "../../deno.json" with { type: "json" };
import { parseConfig } from "../../worker/config.ts";
import { AGENT_VERSION } from "../../worker/join.ts";
import { createLog } from "../../worker/log.ts";

const machine = { hostname: "Box.example.org", addressFor: () => "10.0.0.5" };

function parse(args: string[], env: Record<string, string> = {}) {
  return parseConfig(args, (name) => ({ HOME: "/home/u", ...env })[name], machine);
}

Deno.test("flags come before the environment, and that before the defaults", () => {
  const env = {
    BERTH_SERVER: "http://a:1",
    BERTH_JOIN_TOKEN: "t",
    BERTH_NODE_NAME: "from-env",
    BERTH_NODE_LABELS: "zone=a,disk=ssd",
  };
  assertEquals(parse(["--name", "n1", "--cpus", "1.5", "--memory", "512"], env), {
    kind: "run",
    config: {
      server: "http://a:1/",
      joinToken: "t",
      name: "n1",
      address: "10.0.0.5",
      cpus: 1.5,
      memoryMiB: 512,
      labels: { zone: "a", disk: "ssd" },
      stateDir: "/home/u/.local/state/berth/n1",
      runtime: "docker",
      reserve: { cpus: 0 },
      supervised: false,
      logLevel: "info",
      addressPool: { text: "10.213.0.0/16", first: 0x0ad50000, bits: 16 },
    },
  });
});

Deno.test("a pool of addresses may be given, or none", () => {
  const pool = (text: string) => {
    const parsed = parse(["--server", "http://a"], { BERTH_ADDRESS_POOL: text });
    return parsed.kind === "run" && parsed.config.addressPool?.text;
  };
  assertEquals([pool("172.20.0.0/18"), pool("none")], ["172.20.0.0/18", undefined]);
});

Deno.test("the address that others are to use is one of the machine's, or a name of it", () => {
  for (const address of ["10.1.0.7", "fd00::7", "n1.tail1234.ts.net", "edge-1"]) {
    const parsed = parse(["--server", "http://a", "--advertise", address]);
    assertEquals(parsed.kind === "run" && parsed.config.address, address);
  }
  for (const address of ["0.0.0.0", "::", "10.1.0", "10.1.0.7:80", "http://n1", "a b", "", "n1."]) {
    const parsed = parse(["--server", "http://a", `--advertise=${address}`]);
    assert(parsed.kind === "error", address);
    assertStringIncludes(parsed.message, "--advertise must be one address or host name");
  }
});

Deno.test("the name defaults to the host's, as a DNS label", () => {
  const parsed = parse(["--server", "http://a"]);
  assertEquals(parsed.kind === "run" && parsed.config.name, "box");
});

Deno.test("what is wrong is named, with its value", () => {
  const table: [string[], string][] = [
    [[], "no server is given"],
    [["--server", "ftp://a"], "--server must be an http or https URL: ftp://a"],
    [["--server", "http://a", "--name", "A_B"], "--name must be a DNS label"],
    [["--server", "http://a", "--cpus", "-1"], "--cpus"],
    [["--server", "http://a", "--cpus=none"], "--cpus must be a number above 0: none"],
    [["--server", "http://a", "--memory", "1.5"], "--memory must be a whole number: 1.5"],
    [["--server", "http://a", "--label", "zone"], "--label must look like KEY=VALUE: zone"],
    [["--server", "http://a", "--log-level", "loud"], "--log-level must be one of"],
    [["--server", "http://a", "--address-pool", "10.0.0.1/16"], "--address-pool must begin where"],
    [["--server", "http://a", "--nope"], "--nope"],
  ];
  for (const [args, expected] of table) {
    const parsed = parse(args);
    assert(parsed.kind === "error", args.join(" "));
    assertStringIncludes(parsed.message, expected);
  }
});

Deno.test("--sim alone is a runtime, with a number it is so many nodes, wherever it stands", () => {
  const more = ["--server", "http://a", "--join", "t"];
  const table: [string[], number | undefined][] = [
    [["--sim", ...more], undefined],
    [["--sim", "100", ...more], 100],
    [[...more, "--sim=7"], 7],
    [[...more, "--sim"], undefined],
  ];
  for (const [args, nodes] of table) {
    const parsed = parse(args);
    assert(parsed.kind === "run", args.join(" "));
    assertEquals([parsed.config.runtime, parsed.config.simNodes], ["sim", nodes]);
  }
  for (
    const args of [["--sim", "0", ...more], ["--sim=x", ...more], [
      "--sim",
      "3",
      "--server",
      "http://a",
    ]]
  ) {
    const parsed = parse(args);
    assert(parsed.kind === "error", args.join(" "));
    assertStringIncludes(parsed.message, "--sim");
  }
});

Deno.test("help is help, whatever else is given", () => {
  assertEquals(parse(["--help"]).kind, "help");
});

Deno.test("the agent's version is the project's", () =>
  assertEquals(AGENT_VERSION, config.version));

Deno.test("a log line is one line, quoted where needed, and only from its level up", () => {
  const lines: string[] = [];
  const log = createLog({ least: "warn", wallMs: () => 0, write: (line) => lines.push(line) });
  log("info", "not this");
  log("error", "this", { taskId: "t1", reason: "two\nlines", gone: undefined });
  assertEquals(lines, ['1970-01-01T00:00:00.000Z ERROR this taskId=t1 reason="two\\nlines"']);
});
