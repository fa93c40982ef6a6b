/**
 * The server's command line and environment. Pure: both are passed in.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { StrategyName } from "../../kv/schema/service.ts";
import { STRATEGY_NAMES } from "../../kv/schema/strategies.ts";
import { messageOf } from "../../kv/store.ts";
import { LOG_LEVELS, type LogLevel } from "../../kv/schema/log.ts";

export interface ServerConfig {
  hostname: string;
  port: number;
  dataDir: string;
  location: string;
  publicUrl?: string;
  /** A secret. */
  vaultKeys?: string;
  strategy?: StrategyName;
  nodeTtlMs: number;
  resident: boolean;
  playground: boolean;
  logLevel: LogLevel;
}

/** A value, or a sentence for the operator about what is wrong. */
export type Answer<T> = { ok: true; value: T } | { ok: false; problem: string };

export const USAGE = `Usage: deno task server [options]

The control plane: API, queue and scheduler in one process.

Options (each also as an environment variable)
  --listen HOST:PORT     where to listen             BERTH_LISTEN      127.0.0.1:7070
  --data DIR             database and admin token    BERTH_DATA        .berth/server
  --kv LOCATION          a KV Connect URL or :memory: instead of a file
                                                     BERTH_KV          DIR/berth.db
  --public-url URL       how others reach this one   BERTH_PUBLIC_URL
  --strategy NAME        ${STRATEGY_NAMES.join(", ")}
                                                     BERTH_STRATEGY    spread
  --node-ttl-ms N        silence until a node is down BERTH_NODE_TTL_MS 6000
  --mode MODE            resident or request-driven  BERTH_MODE        resident
  --playground           simulated nodes on demand  BERTH_PLAYGROUND  off
  --log-level LEVEL      debug, info, warn or error  BERTH_LOG_LEVEL   info
  --help

Secrets are sealed with the key in DIR/vault.key, which is made at the first start, or in
BERTH_VAULT_KEY (32 bytes in base64: openssl rand -base64 32). To change it put the new key before
the old one, separated by a comma or in a line of its own, and start: everything is sealed anew.
All servers of a cluster need the same keys.

The task may write to .berth, /var/lib/berth and /tmp; for another DIR run
  deno run -P=server --allow-read=DIR --allow-write=DIR main.ts --data DIR

Examples
  deno task server
  deno task server --listen 0.0.0.0:7070 --public-url http://10.0.0.5:7070
`;

const VALUES = [
  "listen",
  "data",
  "kv",
  "public-url",
  "strategy",
  "node-ttl-ms",
  "mode",
  "log-level",
];

type Env = (name: string) => string | undefined;

/** Reads flags, then environment, then defaults. */
export function readConfig(args: string[], env: Env): Answer<ServerConfig> {
  const given = readSettings(args, env);
  if (!given.ok) return given;
  const { setting, playground } = given.value;
  const listen = parseListen(setting("listen") ?? "127.0.0.1:7070");
  if (!listen.ok) return listen;
  const nodeTtlMs = Number(setting("node-ttl-ms") ?? 6000);
  if (!Number.isInteger(nodeTtlMs) || nodeTtlMs < 500 || nodeTtlMs > 3600_000) {
    return wrong("node-ttl-ms", `must be 500 to 3600000, is ${setting("node-ttl-ms")}`);
  }
  const mode = setting("mode") ?? "resident";
  if (mode !== "resident" && mode !== "request-driven") {
    return wrong("mode", `must be resident or request-driven, is ${mode}`);
  }
  const strategy = StrategyName.optional().safeParse(setting("strategy"));
  if (!strategy.success) {
    const all = StrategyName.options.join(", ");
    return wrong("strategy", `must be one of ${all}, is ${setting("strategy")}`);
  }
  const logLevel = LOG_LEVELS.find((level) => level === (setting("log-level") ?? "info"));
  if (!logLevel) return wrong("log-level", `must be one of ${LOG_LEVELS.join(", ")}`);
  const publicUrl = setting("public-url");
  if (publicUrl !== undefined && !URL.canParse(publicUrl)) {
    return wrong("public-url", `must be a URL, is ${publicUrl}`);
  }
  const dataDir = setting("data") ?? ".berth/server";
  const vaultKeys = env("BERTH_VAULT_KEY");
  return {
    ok: true,
    value: {
      ...listen.value,
      dataDir,
      location: setting("kv") ?? `${dataDir}/berth.db`,
      ...(publicUrl === undefined ? {} : { publicUrl }),
      ...(vaultKeys === undefined || vaultKeys === "" ? {} : { vaultKeys }),
      ...(strategy.data === undefined ? {} : { strategy: strategy.data }),
      nodeTtlMs,
      resident: mode === "resident",
      playground,
      logLevel,
    },
  };
}

interface Settings {
  /** The flag's value, or else the environment's; empty is absent. */
  setting(name: string): string | undefined;
  playground: boolean;
}

function readSettings(args: string[], env: Env): Answer<Settings> {
  let flags: Record<string, string | boolean | undefined>;
  try {
    const values = Object.fromEntries(VALUES.map((name) => [name, { type: "string" as const }]));
    const switches = { playground: { type: "boolean" as const } };
    flags = parseArgs({ args, options: { ...values, ...switches }, strict: true }).values;
  } catch (error) {
    return { ok: false, problem: `${messageOf(error)}. See --help.` };
  }
  const setting = (name: string): string | undefined => {
    const flag = flags[name];
    const given = typeof flag === "string"
      ? flag
      : env(`BERTH_${name.toUpperCase().replaceAll("-", "_")}`);
    return given === "" ? undefined : given;
  };
  const playground = flags.playground === true ||
    /^(1|true|yes|on)$/.test(setting("playground") ?? "");
  return { ok: true, value: { setting, playground } };
}

function parseListen(text: string): Answer<{ hostname: string; port: number }> {
  const [, host, digits] = /^(.+):(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (!host || port > 65535) return wrong("listen", `must be HOST:PORT, is ${text}`);
  return { ok: true, value: { hostname: host.replace(/^\[(.*)\]$/, "$1"), port } };
}

function wrong(flag: string, what: string): { ok: false; problem: string } {
  return { ok: false, problem: `--${flag}: ${what}` };
}
