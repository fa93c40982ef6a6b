/**
 * The one request that comes by the thousands a second, whatever goes on: an agent's poll that says what it
 * has. It is answered without the chain of middleware, which costs more than all else about it.
 *
 * Only what is just that is taken, by the credential of that very node; anything else goes the long way,
 * which also says what is wrong with it.
 *
 * @module
 */
import type { ApiDeps, Rooms } from "./deps.ts";

export interface QuickPolls {
  /** What makes the answer; undefined: the request is to go the long way. */
  find(request: Request): Promise<(() => Promise<Response>) | undefined>;
}

/** Of the route, for OpenAPI and the metrics. */
export const POLL_PATH = "/v1/nodes/{id}/assignments";
const FORM =
  /^https?:\/\/[^/]+\/v1\/nodes\/([0-9a-z]{26})\/assignments\?since=(\d{1,15})(?:&holdMs=(\d{1,9}))?$/;
const HEADERS = { "content-type": "application/json", "cache-control": "no-store" };

export function createQuickPolls(
  { clock }: Pick<ApiDeps, "clock">,
  { tokens, polls, metrics }: Pick<Rooms, "tokens" | "polls" | "metrics">,
): QuickPolls {
  /** A function of its own, so that what waits holds on to no more of the request than it needs. */
  function held(nodeId: string, since: number, holdMs: string | undefined, signal: AbortSignal) {
    const options = { since, signal, ...(holdMs === undefined ? {} : { holdMs: Number(holdMs) }) };
    return async () =>
      new Response(JSON.stringify(await polls.poll(nodeId, options)), { headers: HEADERS });
  }

  return {
    async find(request) {
      if (request.method !== "GET") return undefined;
      const [, nodeId, since, holdMs] = FORM.exec(request.url) ?? [];
      if (nodeId === undefined) return undefined;
      const startMs = clock.monoMs();
      const header = request.headers.get("authorization") ?? "";
      const token = header.startsWith("Bearer ") ? await tokens.find(header.slice(7)) : undefined;
      if (token?.kind !== "node" || token.nodeId !== nodeId) return undefined;
      const ms = clock.monoMs() - startMs;
      metrics.observe({ method: "GET", route: POLL_PATH, status: 200, ms });
      return held(nodeId, Number(since), holdMs, request.signal);
    },
  };
}
