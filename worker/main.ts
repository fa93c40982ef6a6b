/**
 * Composition root of the worker: arguments and environment in, an agent that runs until SIGINT or
 * SIGTERM. Containers outlive it and are adopted by the next one.
 *
 * @module
 */
import { systemClock } from "../kv/schema/time.ts";
import { type Machine, parseConfig, USAGE, type WorkerConfig } from "./config.ts";
import { createGuard, createNoGuard } from "./guard_client.ts";
import { createLog, type Log } from "./log.ts";
import { type Ended, EXIT, runWorker, type WorkerDeps } from "./worker.ts";

const encoder = new TextEncoder();

/** Whoever reads the log may go; the agent stays. */
function say(line: string): void {
  try {
    Deno.stderr.writeSync(encoder.encode(`${line}\n`));
  } catch (error) {
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
  }
}

const machine: Machine = {
  get hostname() {
    return Deno.hostname();
  },
  addressFor({ hostname }) {
    if (/^(localhost|127\.|\[::1\])/.test(hostname)) return "127.0.0.1";
    const own = Deno.networkInterfaces().find(({ family, address }) =>
      family === "IPv4" && !address.startsWith("127.")
    );
    return own?.address ?? Deno.hostname();
  },
};

type Engine = Pick<WorkerDeps, "createRuntime" | "createGuard" | "createNames" | "createIngress">;

/** Loads the one runtime that is asked for: dockerode is heavy. */
async function loadEngine(config: WorkerConfig, log: Log): Promise<Engine | { missing: string }> {
  const { runtime, name, stateDir } = config;
  if (runtime === "sim") {
    const { createSimEngine, createSimRuntime } = await import("./sim.ts");
    const engine = createSimEngine({
      clock: systemClock,
      random: Math.random,
      hostname: name,
      capacity: { cpus: 4, memoryMiB: 8192 },
    });
    return {
      createRuntime: (nodeId) => createSimRuntime({ engine, nodeId }),
      createGuard: createNoGuard,
    };
  }
  const { findEngine } = await import("./docker/connect.ts");
  const found = await findEngine({
    env: Deno.env,
    exists: (path) => Deno.stat(path).then(() => true, () => false),
    readText: (path) => Deno.readTextFile(path),
  });
  if (!found.ok) return { missing: found.message };
  const { connection } = found;
  // An address that is not this machine's own (a translated one, or the engine is elsewhere) cannot be
  // bound: then on all of them.
  const isOwn = connection.kind === "socket" &&
    Deno.networkInterfaces().some(({ address }) => address === config.address);
  const bindAddress = isOwn ? { bindAddress: config.address } : {};
  const { addressPool: pool } = config;
  const interfaces = () => Deno.networkInterfaces();
  const networks = pool ? { networks: { pool, interfaces } } : {};
  const { createDockerRuntime } = await import("./docker/docker.ts");
  const { createNameService } = await import("./dns/name_service.ts");
  const names = { stateDir, clock: systemClock, random: secureRandom, log };
  const { createNodeIngress } = await import("./ingress/node_ingress.ts");
  const ingress = { stateDir, clock: systemClock, random: Math.random, log };
  const guard = { stateDir, target: connection, clock: systemClock, newId: newKey, log };
  return {
    createRuntime: (nodeId) =>
      createDockerRuntime({ connection, nodeId, ...bindAddress, ...networks }),
    createGuard: () => createGuard(guard),
    createIngress: (node) => createNodeIngress(ingress, node),
    ...(pool
      ? {
        createNames: (nodeId, networks) => createNameService({ ...names, pool, nodeId, networks }),
      }
      : {}),
  };
}

async function run(config: WorkerConfig, signal: AbortSignal): Promise<Ended> {
  const log = createLog({ least: config.logLevel, wallMs: systemClock.wallMs, write: say });
  const deps = { clock: systemClock, random: Math.random, newKey, log };
  const { simNodes, joinToken } = config;
  if (simNodes !== undefined && joinToken !== undefined) {
    const { runHost } = await import("./playground.ts");
    return await runHost({ ...deps, config: { ...config, simNodes, joinToken } }, signal);
  }
  const engine = await loadEngine(config, log);
  if ("missing" in engine) return { code: EXIT.noEngine, message: engine.missing };
  return await runWorker({ ...deps, config, ...engine }, signal);
}

const newKey = () => crypto.randomUUID();
const secureRandom = () => (crypto.getRandomValues(new Uint32Array(1))[0] ?? 0) / 2 ** 32;

async function main(args: string[]): Promise<Ended> {
  const parsed = parseConfig(args, (name) => Deno.env.get(name), machine);
  if (parsed.kind === "help") {
    await Deno.stdout.write(encoder.encode(USAGE));
    return { code: EXIT.done };
  }
  if (parsed.kind === "error") {
    return { code: EXIT.usage, message: `${parsed.message}. See --help` };
  }
  const { config } = parsed;

  await Deno.mkdir(config.stateDir, { recursive: true, mode: 0o700 });
  using lock = await Deno.open(`${config.stateDir}/lock`, {
    create: true,
    write: true,
    mode: 0o600,
  });
  if (!await lock.tryLock(true)) {
    return { code: EXIT.failed, message: `another worker runs on ${config.stateDir}` };
  }
  const stop = new AbortController();
  const onSignal = () => stop.abort();
  const signals = ["SIGINT", "SIGTERM"] as const;
  for (const name of signals) Deno.addSignalListener(name, onSignal);
  try {
    return await run(config, stop.signal);
  } finally {
    for (const name of signals) Deno.removeSignalListener(name, onSignal);
  }
}

if (import.meta.main) {
  const { code, message } = await main(Deno.args);
  if (message !== undefined) say(`worker: ${message}`);
  Deno.exit(code);
}
