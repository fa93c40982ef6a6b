/**
 * The balancer's data path beside haproxy's, and beside no balancer at all: requests on connections that
 * stay, and requests on a new connection each. Interleaved in one run, so that whatever else the machine
 * does meets all of them.
 *
 * And the ingress: Caddy as an agent configures it, beside the same Caddy with upstreams written by hand.
 *
 * Needs wrk, haproxy and caddy. The backend is haproxy too, answering by itself: it costs little, and the same
 * for everybody.
 *
 * @module
 */
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/traffic.ts";
import { ingressRatio } from "./balance_ingress.ts";
import { type Load, type Measured, wrk } from "../support/wrk.ts";
import {
  type Bench,
  type BenchOptions,
  type BenchResult,
  intFlag,
  median,
  round,
} from "./harness.ts";

export const balance: Bench = {
  name: "balance",
  summary: "through the balancer, beside haproxy (--peer haproxy), and through the ingress",
  goals: "requestRatio ≥ 0.8, connectRatio ≥ 0.65, p99Ratio ≤ 3, ingressRatio ≥ 0.95",
  run,
};

const BACKENDS = 2;
/** As the worker's task runs it. */
const WORKER_FLAGS = "--v8-flags=--max-semi-space-size=1,--no-memory-reducer";

type Way = "direct" | "haproxy" | "berth";

async function run(options: BenchOptions): Promise<BenchResult> {
  const peer = options.flags.peer ?? "haproxy";
  if (peer !== "haproxy") throw new Error(`--peer: must be haproxy, is ${peer}`);
  const seconds = intFlag(options, "seconds", 1);
  const rounds = intFlag(options, "rounds", 20);
  const clients = intFlag(options, "clients", 32);
  await requireTools();
  const dir = await Deno.makeTempDir({ prefix: "berth-bench-" });
  const processes: Deno.ChildProcess[] = [];
  try {
    const backends = Array.from({ length: BACKENDS }, freePort);
    const ports: Record<Way, number> = {
      direct: backends[0] ?? 0,
      haproxy: freePort(),
      berth: freePort(),
    };
    processes.push(await haproxy(dir, "backend", backendConfig(backends)));
    processes.push(await haproxy(dir, "peer", peerConfig(ports.haproxy, backends)));
    processes.push(berth(ports.berth, backends));
    for (const port of [...backends, ports.haproxy, ports.berth]) await answers(port);
    const { figures, samples } = await compare(ports, { options, seconds, rounds, clients });
    // A round of it has both ways, which differ by little: it takes longer.
    const long = { dir, options, seconds: 3 * seconds, rounds: Math.ceil(rounds / 2), clients };
    const ingress = await ingressRatio(backends, long);
    return { figures: { ...figures, ...ingress }, samples };
  } finally {
    for (const process of processes) {
      process.kill("SIGTERM");
      await process.status;
    }
    await Deno.remove(dir, { recursive: true });
  }
}

async function compare(
  ports: Record<Way, number>,
  { options, seconds, rounds, clients }: {
    options: BenchOptions;
    seconds: number;
    rounds: number;
    clients: number;
  },
): Promise<BenchResult> {
  const ways: Way[] = ["direct", "haproxy", "berth"];
  const samples: Record<Load, Record<Way, Measured[]>> = {
    requests: { direct: [], haproxy: [], berth: [] },
    connections: { direct: [], haproxy: [], berth: [] },
  };
  for (const way of ways) await wrk(ports[way], "requests", { seconds: 1, clients });
  for (let i = 0; i < rounds; i++) {
    for (const load of ["requests", "connections"] as const) {
      // Each begins in turn.
      for (let at = 0; at < ways.length; at++) {
        const way = ways[(i + at) % ways.length] ?? "direct";
        const measured = await wrk(ports[way], load, { seconds, clients });
        samples[load][way].push(measured);
        options.say(
          `  ${load} ${way}: ${Math.round(measured.perSecond)}/s, p99 ${measured.p99Ms} ms`,
        );
      }
    }
  }
  const perSecond = (load: Load, way: Way) =>
    Math.round(median(samples[load][way].map((one) => one.perSecond)));
  const ratio = (load: Load, field: "perSecond" | "p99Ms") =>
    round(
      median(
        samples[load].berth.map((one, i) =>
          one[field] / (samples[load].haproxy[i]?.[field] ?? NaN)
        ),
      ),
      2,
    );
  const errors = Object.values(samples).flatMap(({ berth }) => berth)
    .reduce((sum, one) => sum + one.errors, 0);
  return {
    figures: {
      requestRatio: ratio("requests", "perSecond"),
      connectRatio: ratio("connections", "perSecond"),
      p99Ratio: ratio("requests", "p99Ms"),
      connectP99Ratio: ratio("connections", "p99Ms"),
      requestsPerSecond: perSecond("requests", "berth"),
      peerRequestsPerSecond: perSecond("requests", "haproxy"),
      directRequestsPerSecond: perSecond("requests", "direct"),
      connectionsPerSecond: perSecond("connections", "berth"),
      peerConnectionsPerSecond: perSecond("connections", "haproxy"),
      directConnectionsPerSecond: perSecond("connections", "direct"),
      errors,
    },
    samples: rounds,
  };
}

async function requireTools(): Promise<void> {
  for (const tool of ["wrk", "haproxy", "caddy"]) {
    const found = await new Deno.Command("sh", { args: ["-c", `command -v ${tool}`] }).output();
    if (!found.success) throw new Error(`${tool} is missing: apt-get install wrk haproxy caddy`);
  }
}

const COMMON = `global
  maxconn 4000
defaults
  timeout connect 3s
  timeout client 1h
  timeout server 1h
`;

function backendConfig(ports: readonly number[]): string {
  const binds = ports.map((port) => `  bind 127.0.0.1:${port}`).join("\n");
  return `${COMMON.replace("global", "global\n  nbthread 1")}
frontend backend
  mode http
${binds}
  http-request return status 200 content-type text/plain string "hello, this is a short page\\n"
`;
}

function peerConfig(port: number, backends: readonly number[]): string {
  const servers = backends.map((at, i) => `  server s${i} 127.0.0.1:${at}`).join("\n");
  return `${COMMON}
listen peer
  mode tcp
  bind 127.0.0.1:${port}
  balance leastconn
${servers}
`;
}

async function haproxy(dir: string, name: string, config: string): Promise<Deno.ChildProcess> {
  const path = `${dir}/${name}.cfg`;
  await Deno.writeTextFile(path, config);
  return new Deno.Command("haproxy", { args: ["-db", "-f", path], stdout: "null", stderr: "null" })
    .spawn();
}

/** The worker's balancer in a process of its own, with a table that stands still. */
function berth(port: number, backends: readonly number[]): Deno.ChildProcess {
  const script = new URL("balance_node.ts", import.meta.url).pathname;
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-q", WORKER_FLAGS, "-P=worker", script, String(port), ...backends.map(String)],
    stdout: "null",
    stderr: "inherit",
  }).spawn();
}

async function answers(port: number): Promise<void> {
  await eventually(async () => {
    try {
      const response = await fetch(`http://127.0.0.1:${port}/`, {
        headers: { connection: "close" },
      });
      await response.body?.cancel();
      return response.ok;
    } catch {
      return false;
    }
  }, { what: `port ${port} to answer`, timeoutMs: 20_000 });
}
