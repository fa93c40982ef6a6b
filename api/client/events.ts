/**
 * The log of what happened.
 *
 * @module
 */
import { type EventFilter, EventsPage, EventView } from "../../kv/schema/event.ts";
import type { CallOptions, Requests } from "./request.ts";

export function eventCalls({ call, stream }: Requests) {
  return {
    listEvents: (
      query: { after?: string; cursor?: string; limit?: number; last?: number } & EventFilter = {},
      o: CallOptions = {},
    ) => call("GET", "/v1/events", EventsPage, { ...o, query: { ...query } }),
    /** Server-sent events after `lastEventId`. Ends when the connection does; then call again. */
    async *followEvents(
      o: { lastEventId?: string; signal: AbortSignal },
    ): AsyncGenerator<EventView> {
      for await (const data of serverSentEvents(stream("/v1/events", o))) {
        const parsed = EventView.safeParse(JSON.parse(data));
        if (parsed.success) yield parsed.data;
      }
    },
  };
}

/** The `data` of each server-sent event of a stream. */
async function* serverSentEvents(texts: AsyncIterable<string>): AsyncGenerator<string> {
  let rest = "";
  for await (const text of texts) {
    const blocks = (rest + text).split("\n\n");
    rest = blocks.pop() ?? "";
    for (const block of blocks) {
      const data = block.split("\n").filter((line) => line.startsWith("data:"))
        .map((line) => line.slice(5).trimStart()).join("\n");
      if (data !== "") yield data;
    }
  }
}
