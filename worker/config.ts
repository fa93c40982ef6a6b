/**
 * The worker's command line and environment. Pure: both are passed in.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { Labels, Name } from "../kv/schema/common.ts";
import { parseAddress } from "../kv/schema/ip.ts";
import { LOG_LEVELS, type LogLevel } from "../kv/schema/log.ts";
import { DEFAULT_POOL, parsePool, type Pool } from "./dns/pool.ts";

export interface WorkerConfig {
  server: string;
  /** Only needed to join; a secret. */
  joinToken?: string;
  name: string;
  address: string;
  /** Replace what the engine says. */
  cpus?: number;
  memoryMiB?: number;
  gpus?: number;
  labels: Record<string, string>;
  stateDir: string;
  runtime: "docker" | "sim";
  /** Kept for the machine itself: taken off what tasks may use. */
  reserve: { cpus: number; memoryMiB?: number };
  /** Something starts the worker again when it ends: a restart that is asked for is an exit. */
  supervised: boolean;
  /** Host so many simulated nodes in this process, called sim-1, sim-2, … */
  simNodes?: number;
  logLevel: LogLevel;
  /** Of projects' networks and services; absent: containers share the engine's network, without names. */
  addressPool?: Pool;
}

export type ParsedConfig =
  | { kind: "run"; config: WorkerConfig }
  | { kind: "help"; text: string }
  | { kind: "error"; message: string };

/** What the configuration falls back to. */
export interface Machine {
  hostname: string;
  /** An address of this machine as seen from the server; loopback if the server is on it. */
  addressFor(server: URL): string;
}

export const USAGE = `Usage: worker --server URL [--join TOKEN] [options]

Runs containers for a Berth cluster on this machine.

Options (and the environment variables that give them):
  --server URL        the API, like http://10.0.0.1:7070      BERTH_SERVER
  --join TOKEN        join token; needed the first time       BERTH_JOIN_TOKEN
  --name NAME         the node's name (default: host name)    BERTH_NODE_NAME
  --advertise ADDRESS where the other nodes reach this one's  BERTH_ADVERTISE
                      tasks: of a private network, best
                      (default: as seen from the server)
  --address-pool NET  for networks and names of projects on   BERTH_ADDRESS_POOL
                      this machine (default: ${DEFAULT_POOL}),
                      or none: no names
  --cpus N            cores that tasks may use                BERTH_NODE_CPUS
  --memory MIB        memory that tasks may use, in MiB       BERTH_NODE_MEMORY
  --gpus N            GPUs that tasks may use                 BERTH_NODE_GPUS
  --reserve-cpus N    cores to keep from tasks (default 0)    BERTH_RESERVE_CPUS
  --reserve-memory M  memory to keep from tasks, in MiB       BERTH_RESERVE_MEMORY
                      (default: a twentieth; 0 with --memory)
  --label KEY=VALUE   a label of the node; repeatable         BERTH_NODE_LABELS (k=v,k=v)
  --state-dir DIR     identity and state of this node         BERTH_STATE_DIR
                      (default: $XDG_STATE_HOME/berth/NAME)
  --sim               simulated containers, without an engine
  --supervised        exit with 75 when asked to restart, to be started again
  --sim N             host N simulated nodes, sim-1 to sim-N
  --log-level LEVEL   debug, info, warn or error              BERTH_LOG_LEVEL
  --help              this text

Examples:
  worker --server http://10.0.0.1:7070 --join berth_join_… --name n1
  worker --server http://10.0.0.1:7070 --name n1 --label zone=a   (after the first time)
`;

/** Reads arguments, then the environment, then defaults. */
export function parseConfig(
  args: readonly string[],
  env: (name: string) => string | undefined,
  machine: Machine,
): ParsedConfig {
  try {
    return readConfig(args, env, machine);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { kind: "error", message };
  }
}

function readConfig(
  args: readonly string[],
  env: (name: string) => string | undefined,
  machine: Machine,
): ParsedConfig {
  const { values } = parseArgs({
    args: splitSim(args),
    strict: true,
    options: {
      server: { type: "string" },
      join: { type: "string" },
      name: { type: "string" },
      advertise: { type: "string" },
      cpus: { type: "string" },
      memory: { type: "string" },
      gpus: { type: "string" },
      label: { type: "string", multiple: true },
      "state-dir": { type: "string" },
      "reserve-cpus": { type: "string" },
      "reserve-memory": { type: "string" },
      supervised: { type: "boolean" },
      sim: { type: "boolean" },
      "sim-nodes": { type: "string" },
      "log-level": { type: "string" },
      "address-pool": { type: "string" },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help) return { kind: "help", text: USAGE };
  const given = (flag: string | undefined, variable: string) =>
    flag ?? (env(variable) || undefined);

  const server = readServer(given(values.server, "BERTH_SERVER"));
  const name = readName(given(values.name, "BERTH_NODE_NAME"), machine.hostname);
  const joinToken = given(values.join, "BERTH_JOIN_TOKEN");
  const cpus = readNumber("--cpus", given(values.cpus, "BERTH_NODE_CPUS"), { whole: false });
  const memoryMiB = readNumber("--memory", given(values.memory, "BERTH_NODE_MEMORY"), {
    whole: true,
  });
  const gpus = readNumber("--gpus", given(values.gpus, "BERTH_NODE_GPUS"), {
    whole: true,
    zero: true,
  });
  const reserveCpus = readNumber(
    "--reserve-cpus",
    given(values["reserve-cpus"], "BERTH_RESERVE_CPUS"),
    { whole: false, zero: true },
  );
  const reserveMemoryMiB = readNumber(
    "--reserve-memory",
    given(values["reserve-memory"], "BERTH_RESERVE_MEMORY"),
    { whole: true, zero: true },
  );
  const simNodes = readNumber("--sim", values["sim-nodes"], { whole: true });
  if (simNodes !== undefined && joinToken === undefined) {
    throw new Error("--sim N needs a join token: pass --join TOKEN or set BERTH_JOIN_TOKEN");
  }
  const addressPool = readPool(given(values["address-pool"], "BERTH_ADDRESS_POOL"));
  const labels = values.label ?? env("BERTH_NODE_LABELS")?.split(",").filter((l) => l !== "") ?? [];
  return {
    kind: "run",
    config: {
      server: server.href,
      ...(joinToken === undefined ? {} : { joinToken }),
      name,
      address: readAdvertised(given(values.advertise, "BERTH_ADVERTISE")) ??
        machine.addressFor(server),
      ...(cpus === undefined ? {} : { cpus }),
      ...(memoryMiB === undefined ? {} : { memoryMiB }),
      ...(gpus === undefined ? {} : { gpus }),
      labels: readLabels(labels),
      stateDir: given(values["state-dir"], "BERTH_STATE_DIR") ?? `${stateHome(env)}/berth/${name}`,
      runtime: values.sim ? "sim" : "docker",
      reserve: {
        cpus: reserveCpus ?? 0,
        ...(reserveMemoryMiB === undefined ? {} : { memoryMiB: reserveMemoryMiB }),
      },
      supervised: values.supervised === true,
      ...(simNodes === undefined ? {} : { simNodes }),
      logLevel: readLogLevel(given(values["log-level"], "BERTH_LOG_LEVEL")),
      ...(addressPool === undefined ? {} : { addressPool }),
    },
  };
}

/** `--sim 100` and `--sim=100` in the words of the parser, which knows no optional values. */
function splitSim(args: readonly string[]): string[] {
  return args.flatMap((arg, i) => {
    const own = /^--sim=(.*)$/.exec(arg)?.[1];
    if (own !== undefined) return ["--sim", "--sim-nodes", own];
    return args[i - 1] === "--sim" && /^\d+$/.test(arg) ? ["--sim-nodes", arg] : [arg];
  });
}

function readServer(text: string | undefined): URL {
  if (text === undefined) {
    throw new Error("no server is given: pass --server URL or set BERTH_SERVER");
  }
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== "http:" && url?.protocol !== "https:") {
    throw new Error(`--server must be an http or https URL: ${text}`);
  }
  return url;
}

function readName(text: string | undefined, hostname: string): string {
  if (text === undefined) {
    const label = hostname.toLowerCase().split(".")[0] ?? "";
    return label.replace(/[^a-z0-9-]/g, "-").replace(/^-+/, "").slice(0, 63).replace(/-+$/, "") ||
      "node";
  }
  if (!Name.safeParse(text).success) {
    throw new Error(`--name must be a DNS label (a-z, 0-9, -; at most 63 characters): ${text}`);
  }
  return text;
}

const HOST_NAME = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/i;
const EVERYWHERE = ["0.0.0.0", "::"];

function readAdvertised(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const numeric = /^[\d.]+$/.test(text);
  const named = parseAddress(text) !== undefined || (!numeric && HOST_NAME.test(text));
  if (named && !EVERYWHERE.includes(text)) return text;
  throw new Error(
    `--advertise must be one address or host name at which other machines reach this one: ${text}`,
  );
}

function readNumber(
  flag: string,
  text: string | undefined,
  { whole, zero = false }: { whole: boolean; zero?: boolean },
): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (text.trim() === "" || !(zero ? value >= 0 : value > 0) || !Number.isFinite(value)) {
    throw new Error(`${flag} must be a number ${zero ? "from 0" : "above 0"}: ${text}`);
  }
  if (whole && !Number.isInteger(value)) throw new Error(`${flag} must be a whole number: ${text}`);
  return value;
}

function readLabels(pairs: readonly string[]): Record<string, string> {
  const labels: Record<string, string> = {};
  for (const pair of pairs) {
    const equals = pair.indexOf("=");
    if (equals < 1) throw new Error(`--label must look like KEY=VALUE: ${pair}`);
    labels[pair.slice(0, equals)] = pair.slice(equals + 1);
  }
  const checked = Labels.safeParse(labels);
  if (!checked.success) throw new Error(`--label: ${checked.error.issues[0]?.message}`);
  return labels;
}

function readPool(text = DEFAULT_POOL): Pool | undefined {
  if (text === "none") return undefined;
  const pool = parsePool(text);
  if ("problem" in pool) throw new Error(`--address-pool ${pool.problem}`);
  return pool;
}

function readLogLevel(text = "info"): LogLevel {
  const level = LOG_LEVELS.find((one) => one === text);
  if (!level) throw new Error(`--log-level must be one of ${LOG_LEVELS.join(", ")}: ${text}`);
  return level;
}

function stateHome(env: (name: string) => string | undefined): string {
  const home = env("HOME");
  const dir = env("XDG_STATE_HOME") || (home && `${home}/.local/state`);
  if (!dir) throw new Error("neither HOME nor XDG_STATE_HOME is set: pass --state-dir DIR");
  return dir;
}
