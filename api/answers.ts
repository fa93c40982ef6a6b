/**
 * Answers to reads of one object, kept as text while what they were made from is the same: reading the same
 * again costs neither the chain of middleware nor the making of a view.
 *
 * 1. An answer is kept only where every change goes through this process: the rows tell of theirs
 *    (kv/cached.ts), the leader's memory by its marks (kv/schema/tasks_known.ts).
 * 2. It is given to whoever may read it: the token is looked at each time, and what has none that an
 *    admin's answer is for goes the long way, which says why not.
 * 3. What is known of the sources is what was known before they were read.
 *
 * @module
 */
import type { Context } from "hono";
import { Lru } from "../kv/lru.ts";
import type { Outcome } from "../kv/outcome.ts";
import type { LiveTasks } from "../kv/schema/tasks_known.ts";
import type { Kv } from "../kv/store.ts";
import type { ApiDeps, ApiEnv, Rooms } from "./deps.ts";
import { valueOf } from "./problems.ts";

/** Where a view is read from. */
export interface Sources {
  kv: Kv;
  live?: LiveTasks;
}

export interface Answers {
  /** The answer that is kept for this request, while it holds. */
  find(request: Request): Promise<Response | undefined>;
  /** Answers with what `read` finds, and keeps the answer; throws what the outcome refuses. */
  make<T>(
    c: Context<ApiEnv>,
    read: (sources: Sources) => Promise<Outcome<T>>,
    headersOf?: (value: T) => Record<string, string>,
  ): Promise<never>;
}

interface Kept {
  text: string;
  headers: Record<string, string>;
  route: string;
  holds: () => boolean;
}

/** A few KiB each at the most. */
const KEPT = 4000;
const MAX_CHARS = 16 * 1024;
const HEADERS = { "content-type": "application/json", "cache-control": "no-store" };

export function createAnswers(
  { kv, clock, liveTasks, trackRows }: Pick<ApiDeps, "kv" | "clock" | "liveTasks" | "trackRows">,
  { tokens, metrics }: Pick<Rooms, "tokens" | "metrics">,
): Answers {
  const kept = new Lru<string, Kept>(KEPT);

  return {
    async find(request) {
      if (request.method !== "GET") return undefined;
      const { url } = request;
      const known = kept.get(url);
      if (!known) return undefined;
      const startMs = clock.monoMs();
      const header = request.headers.get("authorization") ?? "";
      const token = header.startsWith("Bearer ") ? await tokens.find(header.slice(7)) : undefined;
      if (token?.kind !== "admin") return undefined; // invariant 2
      if (!known.holds()) {
        kept.delete(url);
        return undefined;
      }
      const { text, headers, route } = known;
      metrics.observe({ method: "GET", route, status: 200, ms: clock.monoMs() - startMs });
      return new Response(text, { headers });
    },
    async make(c, read, headersOf = () => ({})) {
      const live = liveTasks?.();
      const rows = trackRows?.(); // invariant 3
      const seen = live && trackLive(live, liveTasks);
      const value = valueOf(
        await read({ kv: rows?.kv ?? kv, ...(seen ? { live: seen.live } : {}) }),
      );
      const text = JSON.stringify(value);
      const headers = { ...HEADERS, ...headersOf(value) };
      if (rows && text.length <= MAX_CHARS) {
        const holds = () => rows.unchanged() && (seen?.unchanged() ?? true);
        kept.set(c.req.raw.url, { text, headers, route: c.get("route"), holds });
      }
      return new Response(text, { headers }) as never;
    },
  };
}

/** Invariant 1, for the leader's memory: what was asked of it, by the mark that it had then. */
function trackLive(live: LiveTasks, now: ApiDeps["liveTasks"]) {
  const services = new Map<string, object | undefined>();
  const nodes = new Map<string, object | undefined>();
  const tracked: LiveTasks = {
    ...live,
    ofService(id) {
      services.set(id, live.markOfService(id));
      return live.ofService(id);
    },
    onNode(id) {
      nodes.set(id, live.markOfNode(id));
      return live.onNode(id);
    },
  };
  function unchanged(): boolean {
    const current = now?.();
    if (!current) return services.size + nodes.size === 0;
    for (const [id, mark] of services) if (current.markOfService(id) !== mark) return false;
    for (const [id, mark] of nodes) if (current.markOfNode(id) !== mark) return false;
    return true;
  }
  return { live: tracked, unchanged };
}
