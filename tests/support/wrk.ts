/**
 * wrk, and what it says.
 *
 * @module
 */
import { exists } from "./engine.ts";

export interface Measured {
  requests: number;
  perSecond: number;
  p99Ms: number;
  /** Connections that failed or were reset, answers that did not come or were no good ones. */
  errors: number;
  /** All that it said. */
  text: string;
}

/** On connections that stay, or on a new connection each. */
export type Load = "requests" | "connections";

export interface WrkOptions {
  seconds: number;
  clients: number;
  host?: string;
}

const WRK = "/usr/bin/wrk";
/** Why there is no wrk. */
export const missingWrk = await exists(WRK) ? undefined : `no ${WRK}: apt-get install wrk`;

/** Runs it to its end. */
export async function wrk(port: number, load: Load, options: WrkOptions): Promise<Measured> {
  return await startWrk(port, load, options).done;
}

/** SIGINT ends it before its time; what it measured until then counts. */
export function startWrk(
  port: number,
  load: Load,
  { seconds, clients, host }: WrkOptions,
): { done: Promise<Measured>; signal(name: Deno.Signal): void } {
  const child = new Deno.Command(WRK, {
    args: [
      ...["-t1", `-c${clients}`, `-d${seconds}s`, "--latency"],
      ...(host === undefined ? [] : ["-H", `Host: ${host}`]),
      ...(load === "connections" ? ["-H", "Connection: close"] : []),
      `http://127.0.0.1:${port}/`,
    ],
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const measured = async () => read(new TextDecoder().decode((await child.output()).stdout));
  const signal = (name: Deno.Signal) => {
    try {
      child.kill(name);
    } catch (error) {
      // It ended a moment ago, and what it said is on the way.
      if (!(error instanceof TypeError)) throw error;
    }
  };
  return { done: measured(), signal };
}

const IN_MS: Record<string, number> = { us: 0.001, ms: 1, s: 1000 };

function read(text: string): Measured {
  const [, value = "", unit = ""] = /99%\s+([\d.]+)(us|ms|s)/.exec(text) ?? [];
  const failed = /connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(text)?.slice(1) ?? [];
  const wrong = Number(/Non-2xx or 3xx responses: (\d+)/.exec(text)?.[1] ?? 0);
  return {
    requests: Number(/(\d+) requests in/.exec(text)?.[1]),
    perSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(text)?.[1]),
    p99Ms: Math.round(Number(value) * (IN_MS[unit] ?? NaN) * 1000) / 1000,
    errors: failed.reduce((sum, count) => sum + Number(count), wrong),
    text,
  };
}
