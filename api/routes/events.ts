/**
 * Events: what happened, to what, and why.
 *
 * @module
 */
import { createRoute } from "@hono/zod-openapi";
import { z } from "zod";
import { lastLog, oldestLog, readLog } from "../../kv/log.ts";
import type { Page } from "../../kv/page.ts";
import { type EventFilter, EventsPage, type EventView, isAbout } from "../../kv/schema/event.ts";
import type { Kv } from "../../kv/store.ts";
import type { ApiApp, Rooms } from "../deps.ts";
import { EVENT_ID, eventsAfter, type LogPosition, parseEventId } from "../event_stream.ts";
import { guarded } from "../guard.ts";
import { access, json, LimitQuery, problems } from "../spec.ts";
import { Id } from "../../kv/schema/common.ts";

const EventId = z.string().regex(EVENT_ID, "must be the id of an event, like 42.0")
  .meta({ examples: ["42.0"] });

const events = createRoute({
  method: "get",
  path: "/v1/events",
  operationId: "listEvents",
  tags: ["events"],
  summary: "List events, or follow them",
  description:
    "Oldest first. With `Accept: text/event-stream` (or `follow=true`) the answer is a " +
    "stream of server-sent events: from now on, or after `after` or `Last-Event-ID`. Events older " +
    "than the log's retention are gone; a stream from an id that is gone starts with the oldest kept.",
  ...access("admin"),
  request: {
    query: z.object({
      after: EventId.optional().meta({ description: "Only events after this id" }),
      cursor: EventId.optional().meta({ description: "`next` of the previous page" }),
      last: z.coerce.number().pipe(z.int().min(1).max(500)).optional().meta({
        description: "Only the newest so many",
        type: "integer",
        minimum: 1,
        maximum: 500,
      }),
      limit: LimitQuery,
      service: z.string().max(200).optional()
        .meta({ description: "Only about this service, by id or project/name; not of a stream" }),
      task: Id.optional().meta({ description: "Only about this task, by id; not of a stream" }),
      slot: z.coerce.number().pipe(z.int().min(1)).optional()
        .meta({ description: "Only about this slot; not of a stream", type: "integer" }),
      node: z.string().max(200).optional()
        .meta({ description: "Only about this node, by id or name; not of a stream" }),
      follow: z.enum(["true", "false"]).optional().meta({ description: "Stream, as by Accept" }),
    }),
    headers: z.object({
      "last-event-id": EventId.optional().meta({ description: "Continue a stream after this id" }),
    }),
  },
  responses: {
    200: {
      description: "One page of events, or the stream",
      content: {
        ...json("", EventsPage).content,
        "text/event-stream": { schema: z.string() },
      },
    },
    ...problems(400, 401, 403, 503),
  },
});

/** Records read at a time. One may hold hundreds of events, so a page reads few at once. */
const RECORDS = 16;

async function newest(kv: Kv, count: number, filter: EventFilter = {}): Promise<EventView[]> {
  for (let records = RECORDS;; records *= 4) {
    const entries = await lastLog(kv, records);
    const found = eventsAfter(entries, START).filter((event) => isAbout(event, filter));
    if (found.length >= count || entries.length < records) return found.slice(-count);
  }
}

async function pageAfter(
  kv: Kv,
  from: LogPosition,
  { limit, filter }: { limit: number; filter: EventFilter },
): Promise<Page<EventView>> {
  const items: EventView[] = [];
  let position = from;
  while (true) {
    const afterSeq = Math.max(0, position.seq - 1);
    const entries = await readLog(kv, { afterSeq, limit: RECORDS });
    items.push(...eventsAfter(entries, position).filter((event) => isAbout(event, filter)));
    const last = items[limit - 1];
    if (items.length > limit && last) return { items: items.slice(0, limit), next: last.id };
    const end = entries.at(-1);
    if (!end || entries.length < RECORDS) return { items };
    position = { seq: end.seq, index: Number.MAX_SAFE_INTEGER };
  }
}

const START: LogPosition = { seq: 0, index: 0 };

export function eventRoutes(app: ApiApp, rooms: Rooms): void {
  const { kv } = rooms.deps;

  app.openapi(guarded(rooms, events), async (c) => {
    const query = c.req.valid("query");
    const from = c.req.valid("header")["last-event-id"] ?? query.cursor ?? query.after;
    const position = from === undefined ? undefined : parseEventId(from);
    const streams = c.req.header("accept")?.includes("text/event-stream") ?? false;
    if (streams || query.follow === "true") {
      const headers = { "content-type": "text/event-stream", "cache-control": "no-store" };
      // A HEAD request has no body that anyone would close.
      if (c.req.method === "HEAD") return new Response(null, { headers });
      const [oldest] = query.last === undefined || position ? [] : await newest(kv, query.last);
      const start = oldest ? before(oldest.id) : position;
      return new Response(await rooms.streams.open(start, c.req.raw.signal), { headers });
    }
    const { service, task, slot, node, limit } = query;
    const filter = { service, task, slot, node };
    const first = await oldestLog(kv);
    const page = query.last !== undefined && !position
      ? { items: await newest(kv, query.last, filter) }
      : await pageAfter(kv, position ?? START, { limit, filter });
    if (!first) return c.json(page, 200);
    return c.json({ ...page, oldest: { at: first.record.at, first: first.seq === 1 } }, 200);
  });
}

/** The position just before an event. */
function before(id: string): LogPosition | undefined {
  const position = parseEventId(id);
  return position && { seq: position.seq, index: position.index - 1 };
}
