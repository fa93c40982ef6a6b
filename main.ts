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
import manifest from "./deno.json" with { type: "json" };
import { systemClock } from "./kv/schema/time.ts";
import { messageOf } from "./kv/store.ts";
import { keepAdminToken } from "./api/server/admin_token.ts";
import { readConfig, type ServerConfig, USAGE } from "./api/server/config.ts";
import { type ControlPlane, type Host, startControlPlane } from "./api/server/control_plane.ts";
import { createLog } from "./api/server/log.ts";

const readEnv = (name: string) => Deno.env.get(name);

function hostFor({ logLevel: least }: ServerConfig): Host {
  return {
    log: createLog({ least, wallMs: systemClock.wallMs, write: console.error }),
    version: manifest.version,
    cpuSeconds: () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1e6;
    },
  };
}

/** Resolves when the process is asked to end. */
function askedToStop(): Promise<void> {
  const asked = Promise.withResolvers<void>();
  const onSignal = () => asked.resolve();
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, onSignal);
  return asked.promise;
}

async function main(args: string[]): Promise<number> {
  if (args.includes("--help") || args.includes("-h")) {
    console.log(USAGE);
    return 0;
  }
  const read = readConfig(args, readEnv);
  if (!read.ok) {
    console.error(read.problem);
    return 2;
  }
  const config = read.value;
  const host = hostFor(config);
  const started = await startControlPlane(config, host);
  if (!started.ok) {
    console.error(started.problem);
    return 1;
  }
  const plane = started.value;
  // Before anything else can fail: the database has it, and will make no other.
  if (plane.adminToken !== undefined) {
    const path = await keepAdminToken(config.dataDir, plane.adminToken);
    console.log(`Admin token (shown once, kept in ${path}): ${plane.adminToken}`);
  }
  const { hostname, port } = config;
  let server: Deno.HttpServer;
  try {
    server = Deno.serve({
      hostname,
      port,
      onListen: (at) => host.log("info", "listening", { hostname: at.hostname, port: at.port }),
    }, (request) => plane.fetch(request));
  } catch (error) {
    await plane.close();
    console.error(`listen on ${hostname}:${port}: ${messageOf(error)}. Pass another --listen.`);
    return 1;
  }
  await askedToStop();
  host.log("info", "stopping");
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
  const read = readConfig(["--mode", "request-driven"], readEnv);
  if (!read.ok) throw new Error(read.problem);
  const config = read.value;
  const host = hostFor(config);
  const started = await startControlPlane(config, host);
  if (!started.ok) throw new Error(started.problem);
  const { adminToken } = started.value;
  if (adminToken !== undefined) {
    await keepAdminToken(config.dataDir, adminToken);
    host.log("info", "admin token written", { dir: config.dataDir });
  }
  return started.value;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
