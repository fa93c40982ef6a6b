/**
 * Server-sent events, read from the change log.
 *
 * 1. The log is the buffer: a stream reads its next page only when the client took the last one. A slow
 *    client therefore costs its connection and nothing else, and never loses or repeats an event.
 * 2. A stream remembers the head of the log before it reads, so a record that is committed
 *    between reading and waiting ends the wait at once.
 * 3. However a stream ends (client gone, server closing), its waiter and timer end with it.
 *
 * @module
 */
import { type LogEntry, logHead, readLog } from "../kv/log.ts";
import type { EventView } from "../kv/schema/event.ts";
import type { ApiDeps } from "./deps.ts";

/** A place in the log: after event `index` of record `seq`. */
export interface LogPosition {
  seq: number;
  /** -1 is before the first event of the record. */
  index: number;
}

export const EVENT_ID = /^(0|[1-9][0-9]{0,14})(\.(0|[1-9][0-9]{0,5}))?$/;

/** Reads `seq.index`, or `seq` for the whole record. */
export function parseEventId(id: string): LogPosition | undefined {
  const [, seq, , index] = EVENT_ID.exec(id) ?? [];
  if (seq === undefined) return undefined;
  return { seq: Number(seq), index: index === undefined ? Number.MAX_SAFE_INTEGER : Number(index) };
}

/** The events of records that come after a position, in order. */
export function eventsAfter(entries: readonly LogEntry[], position: LogPosition): EventView[] {
  return entries.flatMap(({ seq, record }) =>
    record.events.flatMap((event, index) =>
      seq < position.seq || (seq === position.seq && index <= position.index)
        ? []
        : [{ ...event, id: `${seq}.${index}`, at: record.at }]
    )
  );
}

export interface EventStreams {
  /** A body of server-sent events after `from`, or from now on. */
  open(from: LogPosition | undefined, signal: AbortSignal): Promise<ReadableStream<Uint8Array>>;
  /** Streams that are open now. */
  count(): number;
  close(): void;
}

const HEARTBEAT_MS = 15_000;
const RECORDS_PER_PAGE = 50;
const RETRY_MS = 1000;

export function createEventStreams(
  { kv, clock, feed }: Pick<ApiDeps, "kv" | "clock" | "feed">,
): EventStreams {
  const waiters = new Set<() => void>();
  const closing = new AbortController();
  let open = 0;
  const unsubscribe = feed.subscribe(() => {
    for (const wake of [...waiters]) wake();
  });

  /** True when the log grew past `head`; false after the heartbeat time, or at the end. */
  async function grown(head: number, signal: AbortSignal): Promise<boolean> {
    const waking = new AbortController();
    const wake = () => waking.abort();
    waiters.add(wake);
    signal.addEventListener("abort", wake, { once: true });
    if (feed.head() > head || signal.aborted) wake(); // (2)
    await clock.sleep(HEARTBEAT_MS, waking.signal);
    signal.removeEventListener("abort", wake);
    waiters.delete(wake);
    return waking.signal.aborted;
  }

  return {
    async open(from, request) {
      const ended = new AbortController();
      const signal = AbortSignal.any([request, closing.signal, ended.signal]);
      const now = Math.max(feed.head(), await logHead(kv));
      // An id that is ahead of the log is of another database, or of one since restored.
      let position = from && from.seq <= now ? from : { seq: now, index: Number.MAX_SAFE_INTEGER };
      const encoder = new TextEncoder();
      open++;
      signal.addEventListener("abort", () => open--, { once: true });

      async function nextText(): Promise<string | undefined> {
        while (!signal.aborted) {
          const head = feed.head();
          const afterSeq = Math.max(0, position.seq - 1);
          const entries = await readLog(kv, { afterSeq, limit: RECORDS_PER_PAGE });
          const events = eventsAfter(entries, position);
          const last = entries.at(-1);
          if (last) position = { seq: last.seq, index: Number.MAX_SAFE_INTEGER };
          if (events.length > 0) return events.map(formatEvent).join("");
          if (entries.length === RECORDS_PER_PAGE) continue;
          if (!await grown(Math.max(head, position.seq), signal)) return ": still here\n\n";
        }
        return undefined;
      }

      return new ReadableStream<Uint8Array>({
        start(controller) {
          controller.enqueue(encoder.encode(`retry: ${RETRY_MS}\n\n`));
        },
        // Invariant 1: called only when there is room.
        async pull(controller) {
          const text = await nextText();
          if (text === undefined) controller.close();
          else controller.enqueue(encoder.encode(text));
        },
        cancel: () => ended.abort(),
      }, { highWaterMark: 1 });
    },
    count: () => open,
    close() {
      unsubscribe();
      closing.abort();
    },
  };
}

function formatEvent(event: EventView): string {
  return `id: ${event.id}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;
}
