/**
 * wrk, and what it says.
 *
 * @module
 */
import { round } from "./harness.ts";

export interface Measured {
  perSecond: number;
  p99Ms: number;
  errors: number;
}

/** On connections that stay, or on a new connection each. */
export type Load = "requests" | "connections";

export async function wrk(
  port: number,
  load: Load,
  { seconds, clients, host }: { seconds: number; clients: number; host?: string },
): Promise<Measured> {
  const { stdout } = await new Deno.Command("wrk", {
    args: [
      ...["-t1", `-c${clients}`, `-d${seconds}s`, "--latency"],
      ...(host === undefined ? [] : ["-H", `Host: ${host}`]),
      ...(load === "connections" ? ["-H", "Connection: close"] : []),
      `http://127.0.0.1:${port}/`,
    ],
  }).output();
  const text = new TextDecoder().decode(stdout);
  const [, value = "", unit = ""] = /99%\s+([\d.]+)(us|ms|s)/.exec(text) ?? [];
  const toMs: Record<string, number> = { us: 0.001, ms: 1, s: 1000 };
  const errors = /connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(text)?.slice(1) ?? [];
  const wrong = Number(/Non-2xx or 3xx responses: (\d+)/.exec(text)?.[1] ?? 0);
  return {
    perSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(text)?.[1]),
    p99Ms: round(Number(value) * (toMs[unit] ?? NaN)),
    errors: errors.reduce((sum, count) => sum + Number(count), wrong),
  };
}
