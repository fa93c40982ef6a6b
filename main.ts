/**
 * The control plane's composition root: flags and environment → config, open the database, serve.
 *
 * Resident (`deno task server`): the leader's tick runs in a watch loop. Request-driven
 * (`--mode request-driven`, or the default export under a serverless host): the tick runs after
 * requests, driven by the workers' polls, and nothing runs between them.
 *
 * @module
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { monotonicFactory } from "ulid";
import manifest from "./deno.json" with { type: "json" };
import { createApp } from "./api/app.ts";
import { createBeatCollector, createLocalBeats } from "./kv/beats.ts";
import { type CachedKv, cacheRows } from "./kv/cached.ts";
import { initCluster } from "./kv/cluster.ts";
import { key } from "./kv/keys.ts";
import { createLogFeed } from "./kv/log.ts";
import { LeaderBeat } from "./kv/schema/control.ts";
import { StrategyName } from "./kv/schema/service.ts";
import { STRATEGY_NAMES } from "./kv/schema/strategies.ts";
import { systemClock } from "./kv/schema/time.ts";
import { getRow, messageOf, openStore } from "./kv/store.ts";
import { finishRotations } from "./kv/rotation.ts";
import { startVault } from "./kv/rekey.ts";
import { ensureAdminToken } from "./kv/tokens.ts";
import { liveTasks } from "./scheduler/live_tasks.ts";
import { loadWorld } from "./scheduler/load.ts";
import type { Log } from "./scheduler/term.ts";
import { createTicker } from "./scheduler/tick.ts";

const LEVELS = ["debug", "info", "warn", "error"] as const;
const LEADER_TTL_MS = 5000;
const SETTINGS_MS = 10_000;

const USAGE = `Usage: deno task server [options]

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

interface Config {
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
  logLevel: typeof LEVELS[number];
}

type Parsed<T> = { ok: true; value: T } | { ok: false; problem: string };

interface ControlPlane {
  fetch(request: Request): Promise<Response>;
  /** Printed once: the admin token, when this start made it. */
  adminToken?: string;
  close(): Promise<void>;
}

/** Reads flags, then environment, then defaults. */
function readConfig(args: string[], env: (name: string) => string | undefined): Parsed<Config> {
  const names = [
    "listen",
    "data",
    "kv",
    "public-url",
    "strategy",
    "node-ttl-ms",
    "mode",
    "log-level",
  ];
  let flags: Record<string, string | boolean | undefined>;
  try {
    const options = Object.fromEntries(names.map((name) => [name, { type: "string" as const }]));
    const switches = { playground: { type: "boolean" as const } };
    flags = parseArgs({ args, options: { ...options, ...switches }, strict: true }).values;
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
  const listen = /^(.+):(\d{1,5})$/.exec(setting("listen") ?? "127.0.0.1:7070");
  const port = Number(listen?.[2]);
  if (!listen?.[1] || port > 65535) {
    return { ok: false, problem: `--listen: must be HOST:PORT, is ${setting("listen")}` };
  }
  const nodeTtlMs = Number(setting("node-ttl-ms") ?? 6000);
  if (!Number.isInteger(nodeTtlMs) || nodeTtlMs < 500 || nodeTtlMs > 3600_000) {
    return {
      ok: false,
      problem: `--node-ttl-ms: must be 500 to 3600000, is ${setting("node-ttl-ms")}`,
    };
  }
  const mode = setting("mode") ?? "resident";
  if (mode !== "resident" && mode !== "request-driven") {
    return { ok: false, problem: `--mode: must be resident or request-driven, is ${mode}` };
  }
  const strategy = StrategyName.optional().safeParse(setting("strategy"));
  if (!strategy.success) {
    const all = StrategyName.options.join(", ");
    return { ok: false, problem: `--strategy: must be one of ${all}, is ${setting("strategy")}` };
  }
  const logLevel = LEVELS.find((level) => level === (setting("log-level") ?? "info"));
  if (!logLevel) return { ok: false, problem: `--log-level: must be one of ${LEVELS.join(", ")}` };
  const publicUrl = setting("public-url");
  if (publicUrl !== undefined && !URL.canParse(publicUrl)) {
    return { ok: false, problem: `--public-url: must be a URL, is ${publicUrl}` };
  }
  const dataDir = setting("data") ?? ".berth/server";
  const vaultKeys = env("BERTH_VAULT_KEY");
  return {
    ok: true,
    value: {
      hostname: listen[1].replace(/^\[(.*)\]$/, "$1"),
      port,
      dataDir,
      location: setting("kv") ?? `${dataDir}/berth.db`,
      ...(publicUrl === undefined ? {} : { publicUrl }),
      ...(vaultKeys === undefined || vaultKeys === "" ? {} : { vaultKeys }),
      ...(strategy.data === undefined ? {} : { strategy: strategy.data }),
      nodeTtlMs,
      resident: mode === "resident",
      playground: flags.playground === true ||
        /^(1|true|yes|on)$/.test(setting("playground") ?? ""),
      logLevel,
    },
  };
}

/** One JSON line per message, on standard error. */
function createLog(level: Config["logLevel"]): Log {
  return (lineLevel, message, fields = {}) => {
    if (LEVELS.indexOf(lineLevel) < LEVELS.indexOf(level)) return;
    const at = new Date().toISOString();
    console.error(JSON.stringify({ at, level: lineLevel, message, ...fields }));
  };
}

/** 256 random bits as base64url. */
function randomToken(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(32));
  return btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** Opens the database and wires the rooms together. The answer's owner calls `close`. */
async function start(config: Config, log: Log): Promise<Parsed<ControlPlane>> {
  const opened = await openStore(config.location);
  if (!opened.ok) return opened;
  const { store } = opened;
  const { exclusive } = store;
  const rows: Partial<CachedKv> & Pick<CachedKv, "cached" | "direct"> = exclusive
    ? cacheRows(store.kv)
    : { cached: store.kv, direct: store.kv };
  const kv = rows.direct;
  const clock = systemClock;
  const ulid = monotonicFactory();
  const newId = () => ulid().toLowerCase();
  const replicaId = newId();
  const cluster = await initCluster(kv, {
    newId,
    wallMs: clock.wallMs(),
    ...(config.strategy ? { strategy: config.strategy } : {}),
  });
  if (!cluster.ok) {
    store.close();
    return cluster;
  }
  const started = await startVault(kv, {
    given: config.vaultKeys,
    path: config.location === ":memory:" ? undefined : `${config.dataDir}/vault.key`,
  });
  if (!started.ok) {
    store.close();
    return started;
  }
  const { vault, resealed, unreadable } = started;
  if (resealed > 0) log("info", "secrets sealed anew", { resealed, keyId: vault.keyId });
  if (unreadable.length > 0) log("error", "secrets that no key here opens", { unreadable });
  const adminToken = await ensureAdminToken({ kv, clock, newId, randomToken });
  const stop = new AbortController();
  const onError = (what: string) => (error: unknown) =>
    log("error", `${what} failed`, { error: messageOf(error) });
  const feed = await createLogFeed({ kv, clock });
  const local = exclusive ? createLocalBeats(clock) : undefined;
  const shared = createBeatCollector({ kv, clock, replicaId, onError: onError("writing beats") });
  const beats = local ?? shared;
  const breath = createBreath();
  const ticker = createTicker({
    ...{ kv, clock, newId, log, replicaId, exclusive },
    nodeTtlMs: config.nodeTtlMs,
    leaderTtlMs: LEADER_TTL_MS,
    historyLimit: 5,
    logLimit: 10_000,
    breathe: breath.take,
    ...(local ? { beats: local } : {}),
    onLogged: feed.offer,
  });
  let nodeTtlMs = config.nodeTtlMs;
  let epoch = 0;
  const app = createApp({
    ...{ kv: rows.cached, clock, newId, randomToken, feed, beats, replicaId, vault },
    log: { error: (message, fields) => log("error", message, fields) },
    ...(config.publicUrl ? { publicUrl: config.publicUrl } : {}),
    version: manifest.version,
    playground: config.playground,
    cpuSeconds: () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1e6;
    },
    nodeTtlMs: () => ticker.nodeTtlMs() ?? nodeTtlMs,
    ...(rows.track ? { trackRows: rows.track } : {}),
    liveAssigned: ticker.assigned,
    liveTasks: () => {
      const world = ticker.world();
      return world && liveTasks(world);
    },
    loadWorld: async () =>
      ticker.world() ??
        await loadWorld(kv, clock.monoMs(), (row, problem) =>
          log("warn", "row left out", { row, problem })),
    leader: () => {
      const lease = ticker.lease();
      return { epoch: lease?.epoch ?? epoch, self: lease !== undefined };
    },
  });
  const refreshSettings = async () => {
    const row = await getRow(kv, key.leaderBeat(), LeaderBeat);
    if (row) ({ nodeTtlMs, epoch } = row.row);
  };
  const settle = () => finishRotations({ kv, clock, newId });
  const loops: Promise<unknown>[] = [
    feed.run(stop.signal),
    every(SETTINGS_MS, stop.signal, () => settle().catch(onError("finishing rotations"))),
    ...(local ? [] : [shared.run(stop.signal)]),
    every(
      SETTINGS_MS,
      stop.signal,
      () => refreshSettings().catch(onError("reading the leader's row")),
    ),
  ];
  if (config.resident) loops.push(ticker.run(stop.signal));
  const fetch = (request: Request): Promise<Response> => {
    breath.want();
    return app.fetch(request);
  };
  return {
    ok: true,
    value: {
      // Held polls wait in it by the thousands: nothing is wrapped around it that need not be.
      fetch: config.resident ? fetch : async (request) => {
        const response = await fetch(request);
        await shared.flush().then(() => ticker.tick());
        return response;
      },
      ...(adminToken === undefined ? {} : { adminToken }),
      async close() {
        stop.abort();
        await app.close();
        await Promise.all(loops);
        store.close();
      },
    },
  };
}

/**
 * Has the leader's work make room for requests, while there are any: the event loop looks at its sockets only
 * when it has nothing else to do, and the shortest wait that it knows is about a millisecond.
 */
function createBreath(): { want(): void; take(): Promise<void> } {
  let wanted = false;
  return {
    want: () => void (wanted = true),
    async take() {
      if (!wanted) return;
      wanted = false;
      await new Promise((resolve) => setTimeout(resolve, 0));
    },
  };
}

async function every(ms: number, signal: AbortSignal, run: () => Promise<void>): Promise<void> {
  while (!signal.aborted) {
    await run();
    await systemClock.sleep(ms, signal);
  }
}

/** Keeps the first admin token for the CLI of this machine, readable by its owner only. */
async function keepAdminToken(dir: string, token: string): Promise<string> {
  const path = `${dir}/admin-token`;
  await Deno.mkdir(dir, { recursive: true });
  await Deno.writeTextFile(path, token + "\n", { mode: 0o600 });
  await Deno.chmod(path, 0o600);
  return path;
}

async function main(): Promise<number> {
  if (Deno.args.includes("--help") || Deno.args.includes("-h")) {
    console.log(USAGE);
    return 0;
  }
  const config = readConfig(Deno.args, (name) => Deno.env.get(name));
  if (!config.ok) {
    console.error(config.problem);
    return 2;
  }
  const log = createLog(config.value.logLevel);
  const started = await start(config.value, log);
  if (!started.ok) {
    console.error(started.problem);
    return 1;
  }
  const plane = started.value;
  const { hostname, port } = config.value;
  let server: Deno.HttpServer;
  try {
    server = Deno.serve({
      hostname,
      port,
      onListen: (at) => log("info", "listening", { hostname: at.hostname, port: at.port }),
    }, (request) => plane.fetch(request));
  } catch (error) {
    await plane.close();
    console.error(`listen on ${hostname}:${port}: ${messageOf(error)}. Pass another --listen.`);
    return 1;
  }
  if (plane.adminToken !== undefined) {
    const path = await keepAdminToken(config.value.dataDir, plane.adminToken);
    console.log(`Admin token (shown once, kept in ${path}): ${plane.adminToken}`);
  }
  const stopped = Promise.withResolvers<void>();
  const onSignal = () => stopped.resolve();
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, onSignal);
  await stopped.promise;
  log("info", "stopping");
  await plane.close();
  await server.shutdown();
  return 0;
}

let booted: Promise<ControlPlane> | undefined;

/** For serverless hosts: opens on the first request, then plans after requests. */
export default {
  async fetch(request: Request): Promise<Response> {
    booted ??= boot();
    return (await booted).fetch(request);
  },
};

async function boot(): Promise<ControlPlane> {
  const config = readConfig(["--mode", "request-driven"], (name) => Deno.env.get(name));
  if (!config.ok) throw new Error(config.problem);
  const log = createLog(config.value.logLevel);
  const started = await start(config.value, log);
  if (!started.ok) throw new Error(started.problem);
  if (started.value.adminToken !== undefined) {
    await keepAdminToken(config.value.dataDir, started.value.adminToken);
    log("info", "admin token written", { dir: config.value.dataDir });
  }
  return started.value;
}

if (import.meta.main) Deno.exit(await main());
