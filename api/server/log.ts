/**
 * The server's log: one JSON line per message.
 *
 * @module
 */
import { levelsFrom, type LogLevel } from "../../kv/schema/log_level.ts";
import type { Log } from "../../scheduler/term.ts";

/** Writes what is of the `least` level or above. */
export function createLog(
  { least, wallMs, write }: {
    least: LogLevel;
    wallMs: () => number;
    write: (line: string) => void;
  },
): Log {
  const isWanted = levelsFrom(least);
  return (level, message, fields = {}) => {
    if (!isWanted(level)) return;
    write(JSON.stringify({ at: new Date(wallMs()).toISOString(), level, message, ...fields }));
  };
}
