/**
 * The server's log: one JSON line per message.
 *
 * @module
 */
import type { Log } from "../../scheduler/term.ts";

export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;
export type LogLevel = typeof LOG_LEVELS[number];

/** Writes what is of the `least` level or above. */
export function createLog(
  { least, wallMs, write }: {
    least: LogLevel;
    wallMs: () => number;
    write: (line: string) => void;
  },
): Log {
  const threshold = LOG_LEVELS.indexOf(least);
  return (level, message, fields = {}) => {
    if (LOG_LEVELS.indexOf(level) < threshold) return;
    write(JSON.stringify({ at: new Date(wallMs()).toISOString(), level, message, ...fields }));
  };
}
