/**
 * How much a log of Berth's processes says.
 *
 * @module
 */

export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;
export type LogLevel = typeof LOG_LEVELS[number];

/** Whether a message of a level is to be written where `least` is the lowest that is. */
export function levelsFrom(least: LogLevel): (level: LogLevel) => boolean {
  const threshold = LOG_LEVELS.indexOf(least);
  return (level) => LOG_LEVELS.indexOf(level) >= threshold;
}
