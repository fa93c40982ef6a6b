/**
 * The ingress' part of the benchmark: one Caddy with the configuration that an agent makes of a route, and
 * one with the same upstreams in the fewest words. What they differ in is less than what a machine's speed
 * varies by from one second to the next, so they are loaded in short turns. Of two that are alike, the
 * ratio of 5 s each is still off by up to 3 %; the processor's time that a request costs them, by 1 %.
 *
 * @module
 */
import { systemClock } from "../../kv/schema/time.ts";
import { Route } from "../../kv/schema/route.ts";
import { caddyConfig } from "../../worker/ingress/caddy_config.ts";
import { eventually } from "../support/eventually.ts";
import { freePort, serviceOf } from "../support/traffic.ts";
import { type BenchOptions, median, round } from "./harness.ts";
import { cpuSeconds } from "./processes.ts";
import { type Measured, startWrk, wrk } from "../support/wrk.ts";

export interface IngressOptions {
  dir: string;
  options: BenchOptions;
  seconds: number;
  rounds: number;
  clients: number;
}

type Way = "berth" | "hand";

interface Caddy {
  way: Way;
  port: number;
  process: Deno.ChildProcess;
}

/** What one of them did in a round. */
interface Taken {
  perSecond: number;
  /** Of the processor's time, for each request. */
  cpuUs: number;
  errors: number;
}

const HOST = "localhost";
/** Long beside what a turn costs, short beside what else the machine does. */
const TURN_MS = 100;
const INTERRUPT_EVERY_MS = 50;
const INTERRUPTS = 100;

export async function ingressRatio(
  backends: readonly number[],
  { dir, options, seconds, rounds, clients }: IngressOptions,
): Promise<Record<string, number>> {
  const configs = { hand: handConfig, berth: berthConfig };
  const caddys: Caddy[] = [];
  const taken: Record<Way, Taken>[] = [];
  try {
    for (const way of ["hand", "berth"] as const) {
      const port = freePort();
      const config = { admin: { disabled: true }, ...configs[way](port, backends) };
      caddys.push({ way, port, process: await caddy(`${dir}/${way}`, config) });
      await answers(port);
      await wrk(port, "requests", { seconds: 1, clients, host: HOST });
    }
    for (let i = 0; i < rounds; i++) {
      const order = i % 2 === 0 ? caddys : [...caddys].reverse();
      const { hand, berth } = await inTurns(order, { seconds, clients });
      taken.push({ hand, berth });
      const say = ({ perSecond, cpuUs }: Taken) =>
        `${Math.round(perSecond)}/s (${round(cpuUs)} µs)`;
      options.say(`  ingress berth: ${say(berth)}, hand: ${say(hand)}`);
    }
  } finally {
    for (const { process } of caddys) {
      process.kill("SIGTERM");
      await process.status;
    }
  }
  const ratio = (field: "perSecond" | "cpuUs", digits: number) =>
    round(median(taken.map(({ berth, hand }) => berth[field] / hand[field])), digits);
  const perSecond = (way: Way) => Math.round(median(taken.map((one) => one[way].perSecond)));
  return {
    ingressRatio: ratio("perSecond", 2),
    ingressCpuRatio: ratio("cpuUs", 3),
    ingressRequestsPerSecond: perSecond("berth"),
    handRequestsPerSecond: perSecond("hand"),
    ingressErrors: taken.reduce((sum, { berth }) => sum + berth.errors, 0),
  };
}

/** Each has so many seconds, in turns: while one is loaded, the load of the other stands still. */
async function inTurns(
  caddys: readonly Caddy[],
  { seconds, clients }: { seconds: number; clients: number },
): Promise<Record<Way, Taken>> {
  const loads = [];
  for (const { way, port, process: { pid } } of caddys) {
    const before = await cpuSeconds([pid]);
    const load = { seconds: 60 + 2 * seconds, clients, host: HOST };
    const started = startWrk(port, "requests", load);
    started.signal("SIGSTOP");
    loads.push({ ...{ way, pid, before, ms: 0 }, ...started });
  }
  while (loads.some(({ ms }) => ms < seconds * 1000)) {
    for (const load of loads) {
      const beganMs = performance.now();
      load.signal("SIGCONT");
      await systemClock.sleep(TURN_MS);
      load.signal("SIGSTOP");
      load.ms += performance.now() - beganMs;
    }
  }
  const nothing = { perSecond: NaN, cpuUs: NaN, errors: 0 };
  const taken: Record<Way, Taken> = { hand: nothing, berth: nothing };
  for (const { way, pid, before, ms, signal, done } of loads) {
    // It takes notice of its end every 100 ms only, and works on until then: that counts as well.
    const beganMs = performance.now();
    signal("SIGCONT");
    const { requests, errors } = await interrupted(done, signal);
    const allMs = ms + performance.now() - beganMs;
    const cpuUs = (await cpuSeconds([pid]) - before) * 1e6 / requests;
    taken[way] = { perSecond: requests / (allMs / 1000), cpuUs, errors };
  }
  return taken;
}

/**
 * The first signal ends the measuring, in whatever thread it comes; only in the main one does it end the
 * wait for the time that was asked for, and that one may not run yet.
 */
async function interrupted(
  done: Promise<Measured>,
  signal: (name: Deno.Signal) => void,
): Promise<Measured> {
  for (let tries = 0; tries < INTERRUPTS; tries++) {
    signal("SIGINT");
    const measured = await Promise.race([done, systemClock.sleep(INTERRUPT_EVERY_MS)]);
    if (measured) return measured;
  }
  throw new Error("wrk does not end when it is asked to");
}

function berthConfig(port: number, backends: readonly number[]) {
  const places = backends.map((at, i) => ({ task: i + 1, port: at }));
  const routes = [Route.parse({ host: HOST, tls: "plain" })];
  const { admin: _, ...config } = caddyConfig({
    services: [{ ...serviceOf({ places }), routes }],
    settings: { httpPort: port, httpsPort: freePort() },
    certificate: () => undefined,
    generation: 0,
    recent: false,
  });
  return config;
}

function handConfig(port: number, backends: readonly number[]) {
  const upstreams = backends.map((at) => ({ dial: `127.0.0.1:${at}` }));
  const routes = [{ handle: [{ handler: "reverse_proxy", upstreams }] }];
  const server = { listen: [`:${port}`], automatic_https: { disable: true }, routes };
  return { apps: { http: { servers: { hand: server } } } };
}

async function caddy(dir: string, config: object): Promise<Deno.ChildProcess> {
  await Deno.mkdir(dir);
  await Deno.writeTextFile(`${dir}/caddy.json`, JSON.stringify(config));
  return new Deno.Command("caddy", {
    args: ["run", "--config", `${dir}/caddy.json`],
    env: { XDG_DATA_HOME: dir, XDG_CONFIG_HOME: dir },
    stdout: "null",
    stderr: "null",
  }).spawn();
}

async function answers(port: number): Promise<void> {
  await eventually(async () => {
    const response = await fetch(`http://${HOST}:${port}/`).catch(() => undefined);
    await response?.body?.cancel();
    return response?.ok;
  }, { what: `Caddy to answer on port ${port}`, timeoutMs: 20_000 });
}
