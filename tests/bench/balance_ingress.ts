/**
 * The ingress' part of the benchmark: one Caddy with the configuration that an agent makes of a route, and
 * one with the same upstreams in the fewest words. What they differ in is less than what a machine's speed
 * varies by from one second to the next, so they are loaded in short turns.
 *
 * @module
 */
import { systemClock } from "../../kv/schema/time.ts";
import { Route } from "../../kv/schema/route.ts";
import { caddyConfig } from "../../worker/ingress/caddy_config.ts";
import { eventually } from "../support/eventually.ts";
import { freePort, serviceOf } from "../support/traffic.ts";
import { type BenchOptions, median, round } from "./harness.ts";
import { type Measured, startWrk, wrk } from "../support/wrk.ts";

export interface IngressOptions {
  dir: string;
  options: BenchOptions;
  seconds: number;
  rounds: number;
  clients: number;
}

type Way = "berth" | "hand";

const HOST = "localhost";
/** Long beside what a turn costs, short beside what else the machine does. */
const TURN_MS = 100;
const INTERRUPT_EVERY_MS = 50;
const INTERRUPTS = 100;

export async function ingressRatio(
  backends: readonly number[],
  { dir, options, seconds, rounds, clients }: IngressOptions,
): Promise<Record<string, number>> {
  const ports: Record<Way, number> = { berth: freePort(), hand: freePort() };
  const configs = {
    berth: berthConfig(ports.berth, backends),
    hand: handConfig(ports.hand, backends),
  };
  const processes: Deno.ChildProcess[] = [];
  const rates: Record<Way, number>[] = [];
  let errors = 0;
  try {
    const ways: Way[] = ["hand", "berth"];
    for (const way of ways) {
      processes.push(await caddy(`${dir}/${way}`, { admin: { disabled: true }, ...configs[way] }));
      await answers(ports[way]);
      await wrk(ports[way], "requests", { seconds: 1, clients, host: HOST });
    }
    for (let i = 0; i < rounds; i++) {
      const order = i % 2 === 0 ? ways : [...ways].reverse();
      const measured = await inTurns(order, ports, { seconds, clients });
      rates.push(measured.perSecond);
      errors += measured.errors;
      const { berth, hand } = measured.perSecond;
      options.say(`  ingress berth: ${Math.round(berth)}/s, hand: ${Math.round(hand)}/s`);
    }
  } finally {
    for (const process of processes) {
      process.kill("SIGTERM");
      await process.status;
    }
  }
  const perSecond = (way: Way) => Math.round(median(rates.map((one) => one[way])));
  return {
    ingressRatio: round(median(rates.map(({ berth, hand }) => berth / hand)), 2),
    ingressRequestsPerSecond: perSecond("berth"),
    handRequestsPerSecond: perSecond("hand"),
    ingressErrors: errors,
  };
}

/** Each has so many seconds, in turns: while one is loaded, the load of the other stands still. */
async function inTurns(
  order: readonly Way[],
  ports: Record<Way, number>,
  { seconds, clients }: { seconds: number; clients: number },
): Promise<{ perSecond: Record<Way, number>; errors: number }> {
  const loads = order.map((way) => ({
    ...{ way, ms: 0 },
    ...startWrk(ports[way], "requests", { seconds: 60 + 2 * seconds, clients, host: HOST }),
  }));
  for (const load of loads) load.signal("SIGSTOP");
  while (loads.some(({ ms }) => ms < seconds * 1000)) {
    for (const load of loads) {
      const beganMs = performance.now();
      load.signal("SIGCONT");
      await systemClock.sleep(TURN_MS);
      load.signal("SIGSTOP");
      load.ms += performance.now() - beganMs;
    }
  }
  const perSecond: Record<Way, number> = { berth: 0, hand: 0 };
  let errors = 0;
  for (const { way, ms, signal, done } of loads) {
    signal("SIGCONT");
    const measured = await interrupted(done, signal);
    perSecond[way] = measured.requests / (ms / 1000);
    if (way === "berth") errors += measured.errors;
  }
  return { perSecond, errors };
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
