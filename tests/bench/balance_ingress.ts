/**
 * The ingress' part of the benchmark: one Caddy with the configuration that an agent makes of a route, and
 * one with the same upstreams in the fewest words. Interleaved, as the rest.
 *
 * @module
 */
import { Route } from "../../kv/schema/route.ts";
import { caddyConfig } from "../../worker/ingress/caddy_config.ts";
import { eventually } from "../support/eventually.ts";
import { freePort, serviceOf } from "../support/traffic.ts";
import { type BenchOptions, median, round } from "./harness.ts";
import { type Measured, wrk } from "../support/wrk.ts";

export interface IngressOptions {
  dir: string;
  options: BenchOptions;
  seconds: number;
  rounds: number;
  clients: number;
}

type Way = "berth" | "hand";

const HOST = "localhost";

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
  const samples: Record<Way, Measured[]> = { berth: [], hand: [] };
  try {
    const ways: Way[] = ["hand", "berth"];
    for (const way of ways) {
      processes.push(await caddy(`${dir}/${way}`, { admin: { disabled: true }, ...configs[way] }));
      await answers(ports[way]);
      await wrk(ports[way], "requests", { seconds: 1, clients, host: HOST });
    }
    for (let i = 0; i < rounds; i++) {
      for (const way of i % 2 === 0 ? ways : [...ways].reverse()) {
        const measured = await wrk(ports[way], "requests", { seconds, clients, host: HOST });
        samples[way].push(measured);
        options.say(`  ingress ${way}: ${Math.round(measured.perSecond)}/s`);
      }
    }
  } finally {
    for (const process of processes) {
      process.kill("SIGTERM");
      await process.status;
    }
  }
  const perSecond = (way: Way) => samples[way].map((one) => one.perSecond);
  const ratios = perSecond("berth").map((one, i) => one / (samples.hand[i]?.perSecond ?? NaN));
  return {
    ingressRatio: round(median(ratios), 2),
    ingressRequestsPerSecond: Math.round(median(perSecond("berth"))),
    handRequestsPerSecond: Math.round(median(perSecond("hand"))),
    ingressErrors: samples.berth.reduce((sum, one) => sum + one.errors, 0),
  };
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
