/**
 * Answers to reads of one object, kept as text while what they were made from is the same: reading the same
 * again costs neither the chain of middleware nor the making of a view. When it has changed, the answer is
 * made anew, again without the chain.
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
import { done, type Outcome } from "../kv/outcome.ts";
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
  /** The answer to a request that was answered before; undefined where only the long way can tell. */
  find(request: Request): Promise<Response | undefined>;
  /** Answers with what `read` finds, and keeps the answer; throws what the outcome refuses. */
  make<T>(
    c: Context<ApiEnv>,
    read: (sources: Sources) => Promise<Outcome<T>>,
    headersOf?: (value: T) => Record<string, string>,
  ): Promise<never>;
}

interface Made {
  text: string;
  headers: Headers;
  /** Whether it would be made alike now; absent: nobody knows. */
  holds?: () => boolean;
}

type Make = () => Promise<Outcome<Made>>;

interface Kept extends Made {
  route: string;
  make: Make;
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

  function maker<T>(
    read: (sources: Sources) => Promise<Outcome<T>>,
    headersOf: (value: T) => Record<string, string>,
  ): Make {
    return async () => {
      const live = liveTasks?.();
      const rows = trackRows?.(); // invariant 3
      const seen = live && trackLive(live, liveTasks);
      const found = await read({ kv: rows?.kv ?? kv, ...(seen ? { live: seen.live } : {}) });
      if (!found.ok) return found;
      const headers = new Headers({ ...HEADERS, ...headersOf(found.value) });
      const made = { text: JSON.stringify(found.value), headers };
      if (!rows) return done(made);
      return done({ ...made, holds: () => rows.unchanged() && (seen?.unchanged() ?? true) });
    };
  }

  function keep(url: string, answer: Kept): Response {
    const { text, headers, holds } = answer;
    if (holds && text.length <= MAX_CHARS) kept.set(url, answer);
    else kept.delete(url);
    return new Response(text, { headers });
  }

  /** What was answered before, made anew; what can be answered no more goes the long way. */
  async function remake(url: string, { route, make }: Kept): Promise<Response | undefined> {
    const made = await make();
    if (made.ok) return keep(url, { ...made.value, route, make });
    kept.delete(url);
    return undefined;
  }

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
      const { text, headers, route } = known;
      const response = known.holds?.() ? new Response(text, { headers }) : await remake(url, known);
      if (!response) return undefined;
      metrics.observe({ method: "GET", route, status: 200, ms: clock.monoMs() - startMs });
      return response;
    },
    async make(c, read, headersOf = () => ({})) {
      const make = maker(read, headersOf);
      const made = valueOf(await make());
      return keep(c.req.raw.url, { ...made, route: c.get("route"), make }) as never;
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
