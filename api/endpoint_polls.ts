/**
 * Long polls of endpoints. Every agent holds one, and a change is told to all of them.
 *
 * 1. A change wakes all polls at once if none has for a while; after that they are woken in step, the more
 *    slowly the more there are: what changes in between is told together.
 * 2. Agents that saw the same get the same bytes, which are made, and compressed, once.
 * 3. A poll registers before it decides to wait, without an await in between: no change is missed.
 *
 * @module
 */
import type { EndpointTable } from "../kv/endpoint_table.ts";
import type { ApiDeps } from "./deps.ts";

export interface EndpointAnswer {
  body: string | Uint8Array<ArrayBuffer>;
  headers: Record<string, string>;
}

interface PollOptions {
  /** Version of the answer that the agent has. */
  since?: number;
  holdMs?: number;
  /** The agent reads compressed answers. */
  gzip: boolean;
  signal: AbortSignal;
}

export interface EndpointPolls {
  poll(options: PollOptions): Promise<EndpointAnswer>;
  held(): number;
  close(): void;
}

const HOLD_MS = 20_000;
/** Between two rounds of answers, for each poll that is held. */
const SPACING_PER_POLL_MS = 0.05;
const MIN_SPACING_MS = 5;
const MAX_SPACING_MS = 500;
/** Answers that are kept for the present version; agents are mostly at one or two older ones. */
const KEPT_ANSWERS = 8;
const COMPRESS_FROM_BYTES = 16 * 1024;
const JSON_TYPE = "application/json";

export function createEndpointPolls(
  deps: Pick<ApiDeps, "clock" | "feed">,
  table: EndpointTable,
): EndpointPolls {
  const { clock, feed } = deps;
  const closing = new AbortController();
  const leaving = new Set<() => void>();
  let answers = new Map<number, Bytes>();
  let answersOf = -1;
  let restUntilMs = 0;
  let resting = false;

  const unsubscribe = table.onChange(() => void tell());

  async function tell(): Promise<void> {
    if (resting) return;
    const restMs = restUntilMs - clock.monoMs();
    if (restMs > 0) {
      resting = true;
      await clock.sleep(restMs, closing.signal);
      resting = false;
    }
    const spacingMs = Math.min(MAX_SPACING_MS, leaving.size * SPACING_PER_POLL_MS);
    restUntilMs = clock.monoMs() + Math.max(MIN_SPACING_MS, spacingMs);
    for (const leave of [...leaving]) leave();
  }

  async function hold(holdMs: number, signal: AbortSignal): Promise<void> {
    const over = new AbortController();
    const leave = () => over.abort();
    leaving.add(leave);
    signal.addEventListener("abort", leave, { once: true });
    if (signal.aborted || closing.signal.aborted) leave();
    try {
      await clock.sleep(holdMs, over.signal);
    } finally {
      signal.removeEventListener("abort", leave);
      leaving.delete(leave);
    }
  }

  /** Invariant 2. */
  async function answer(since: number | undefined, gzip: boolean): Promise<EndpointAnswer> {
    if (answersOf !== table.version()) {
      answersOf = table.version();
      answers = new Map();
    }
    const bytes = answers.get(since ?? -1) ?? { text: table.answer(since) };
    if (answers.size < KEPT_ANSWERS) answers.set(since ?? -1, bytes);
    // The server must not compress it again for each agent.
    const headers = { "content-type": JSON_TYPE, "cache-control": "no-store, no-transform" };
    if (!gzip || bytes.text.length < COMPRESS_FROM_BYTES) return { body: bytes.text, headers };
    bytes.packed ??= pack(bytes.text);
    return { body: await bytes.packed, headers: { ...headers, "content-encoding": "gzip" } };
  }

  return {
    async poll({ since, holdMs = HOLD_MS, gzip, signal }) {
      await table.current();
      // Ahead of this replica: its own feed is behind, or the database is an older one than it was.
      if (since !== undefined && since > table.version()) {
        await feed.pump();
        await table.current();
      }
      const followed = since !== undefined && since >= table.coversFrom() &&
        since <= table.version();
      if (followed && (since >= table.lastChange() || resting)) {
        await hold(Math.min(holdMs, HOLD_MS), signal); // invariant 3
      }
      return await answer(since, gzip);
    },
    held: () => leaving.size,
    close() {
      closing.abort();
      unsubscribe();
      for (const leave of [...leaving]) leave();
    },
  };
}

interface Bytes {
  text: string;
  packed?: Promise<Uint8Array<ArrayBuffer>>;
}

async function pack(text: string): Promise<Uint8Array<ArrayBuffer>> {
  const packed = new Response(text).body?.pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(packed).arrayBuffer());
}
