import { assertEquals, assertStringIncludes } from "@std/assert";
import { readConfig, type ServerConfig } from "../../../api/server/config.ts";

function config(args: string[], env: Record<string, string> = {}): ServerConfig {
  const read = readConfig(args, (name) => env[name]);
  if (!read.ok) throw new Error(read.problem);
  return read.value;
}

const DEFAULTS: ServerConfig = {
  hostname: "127.0.0.1",
  port: 7070,
  dataDir: ".berth/server",
  location: ".berth/server/berth.db",
  nodeTtlMs: 6000,
  resident: true,
  playground: false,
  logLevel: "info",
};

Deno.test("without flags and environment a server has its defaults", () => {
  assertEquals(config([]), DEFAULTS);
});

Deno.test("a flag counts before the environment, the environment before the default", () => {
  const env = { BERTH_LISTEN: "10.0.0.5:1", BERTH_DATA: "/tmp/e", BERTH_NODE_TTL_MS: "500" };
  const read = config(["--listen", "[::1]:7071", "--mode", "request-driven", "--playground"], env);
  assertEquals(read, {
    ...DEFAULTS,
    ...{ hostname: "::1", port: 7071, dataDir: "/tmp/e", location: "/tmp/e/berth.db" },
    ...{ nodeTtlMs: 500, resident: false, playground: true },
  });
});

Deno.test("empty variables of the environment are absent", () => {
  const names = ["LISTEN", "KV", "PUBLIC_URL", "STRATEGY", "MODE", "VAULT_KEY", "PLAYGROUND"];
  const env = Object.fromEntries(names.map((name) => [`BERTH_${name}`, ""]));
  assertEquals(config([], env), DEFAULTS);
});

for (
  const [flag, value] of [
    ["listen", "7070"],
    ["listen", "h:70700"],
    ["node-ttl-ms", "499"],
    ["node-ttl-ms", "6s"],
    ["mode", "lambda"],
    ["strategy", "best"],
    ["log-level", "loud"],
    ["public-url", "10.0.0.5"],
  ] as const
) {
  Deno.test(`--${flag} ${value} is refused by its name, given either way`, () => {
    const name = `BERTH_${flag.toUpperCase().replaceAll("-", "_")}`;
    for (
      const read of [
        readConfig([`--${flag}`, value], () => undefined),
        readConfig([], (asked) => asked === name ? value : undefined),
      ]
    ) {
      assertEquals(read.ok, false);
      if (!read.ok) assertStringIncludes(read.problem, `--${flag}: must be `);
    }
  });
}

Deno.test("a flag that does not exist is refused with where to look", () => {
  const read = readConfig(["--lisen", "h:1"], () => undefined);
  assertEquals(read.ok, false);
  if (!read.ok) assertStringIncludes(read.problem, "See --help.");
});
