/**
 * The agent's log: one line of text per event.
 *
 * @module
 */
import { levelsFrom, type LogLevel } from "../kv/schema/log_level.ts";

export type LogFields = Record<string, string | number | boolean | undefined>;

/** Says what happened, to what. Never give it a secret. */
export type Log = (level: LogLevel, message: string, fields?: LogFields) => void;

/** Writes `TIME LEVEL message key=value …` lines of `least` level or above. */
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
    const pairs = Object.entries(fields).filter(([, value]) => value !== undefined)
      .map(([key, value]) => ` ${key}=${quoted(String(value))}`);
    const time = new Date(wallMs()).toISOString();
    write(`${time} ${level.toUpperCase().padEnd(5)} ${message}${pairs.join("")}`);
  };
}

function quoted(value: string): string {
  return /^[\w.:/@+-]+$/.test(value) ? value : JSON.stringify(value);
}
