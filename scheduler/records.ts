/**
 * The events of a commit as records of the log: one record mostly, more where long names and reasons make
 * them too large for a value of the database.
 *
 * @module
 */
import type { Event } from "../kv/schema/event.ts";

/** KV takes values of 64 KiB; a record is its events and little else. */
const MAX_BYTES = 60 * 1024;
/** Beside its characters: names of fields, tags and lengths. */
const BYTES_PER_EVENT = 16;
const BYTES_PER_FIELD = 6;

/** In their order; no records for no events. */
export function recordsOf(events: readonly Event[]): Event[][] {
  const records: Event[][] = [];
  let bytes = Infinity;
  for (const event of events) {
    const more = bytesOf(event);
    bytes += more;
    if (bytes > MAX_BYTES) {
      records.push([]);
      bytes = more;
    }
    records.at(-1)?.push(event);
  }
  return records;
}

/** What an event takes up in the database, at the most. */
function bytesOf(event: Event): number {
  let bytes = BYTES_PER_EVENT;
  for (const [field, value] of Object.entries(event)) {
    bytes += BYTES_PER_FIELD + field.length;
    if (typeof value === "string") bytes += value.length * (BEYOND_LATIN_1.test(value) ? 2 : 1);
    else bytes += 8;
  }
  return bytes;
}

/** A string with such a character is stored in two bytes for each. */
const BEYOND_LATIN_1 = /[\u0100-\uffff]/;
