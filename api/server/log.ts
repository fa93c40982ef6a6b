/**
 * The server's log: one JSON line per message.
 *
 * @module
 */
import { logOf, type LogOptions } from "../../kv/schema/log.ts";
import type { Log } from "../../scheduler/term.ts";

export function createLog(options: LogOptions): Log {
  return logOf(
    options,
    (at, level, message, fields) => JSON.stringify({ at, level, message, ...fields }),
  );
}
