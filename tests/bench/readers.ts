/**
 * A load generator (generator.ts): reads over and over, on kept-alive connections, each sending its next
 * request when it has the last one's answer; at the end says how that went.
 *
 * @module
 */
import { takeOrders } from "./generator.ts";
import { quantile, round } from "./harness.ts";
import { connectWire, requestOf } from "./wire.ts";

export interface ReadLoad {
  url: string;
  token: string;
  /** Requests, in the order in which each connection asks them, again and again. */
  paths: string[];
  connections: number;
  /** Not counted, at first. */
  warmUpMs: number;
  ms: number;
}

export interface ReadFigures {
  readsPerSecond: number;
  p50Ms: number;
  p99Ms: number;
  maxMs: number;
  /** Answers other than 200. */
  refused: number;
}

async function read(load: ReadLoad): Promise<ReadFigures> {
  const { url, token, paths, connections } = load;
  const requests = paths.map((path) => requestOf(url + path, token));
  const beginMs = performance.now() + load.warmUpMs;
  const endMs = beginMs + load.ms;
  const took: number[] = [];
  let refused = 0;
  await Promise.all(Array.from({ length: connections }, async (_, c) => {
    const wire = await connectWire(url);
    let next = Math.floor(c * requests.length / connections);
    for (let sentMs = performance.now(); sentMs < endMs;) {
      const { status } = await wire.send(requests[next] ?? new Uint8Array());
      next = (next + 1) % requests.length;
      const nowMs = performance.now();
      if (status !== 200) refused++;
      if (sentMs >= beginMs) took.push(nowMs - sentMs);
      sentMs = nowMs;
    }
    wire.close();
  }));
  return {
    readsPerSecond: Math.round(took.length / (load.ms / 1000)),
    p50Ms: round(quantile(took, 0.5), 2),
    p99Ms: round(quantile(took, 0.99), 2),
    maxMs: round(quantile(took, 1), 1),
    refused,
  };
}

if (import.meta.main) {
  const { config } = await takeOrders<ReadLoad>();
  console.log(JSON.stringify(await read(config)));
  Deno.exit(0);
}
