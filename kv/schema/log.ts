/**
 * What the logs of Berth's processes share: levels, and which are written.
 *
 * @module
 */

export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;
export type LogLevel = typeof LOG_LEVELS[number];

export interface LogOptions {
  /** The lowest level that is written. */
  least: LogLevel;
  wallMs: () => number;
  write: (line: string) => void;
}

/** Writes each message of a level that is wanted as the line that `lineOf` makes of it. `at`: ISO time. */
export function logOf<Fields>(
  { least, wallMs, write }: LogOptions,
  lineOf: (at: string, level: LogLevel, message: string, fields: Fields | undefined) => string,
): (level: LogLevel, message: string, fields?: Fields) => void {
  const threshold = LOG_LEVELS.indexOf(least);
  return (level, message, fields) => {
    if (LOG_LEVELS.indexOf(level) < threshold) return;
    write(lineOf(new Date(wallMs()).toISOString(), level, message, fields));
  };
}
