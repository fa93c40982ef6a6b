/**
 * The agent's log: one line of text per event.
 *
 * @module
 */
import { type LogLevel, logOf, type LogOptions } from "../kv/schema/log.ts";

export type LogFields = Record<string, string | number | boolean | undefined>;

/** Says what happened, to what. Never give it a secret. */
export type Log = (level: LogLevel, message: string, fields?: LogFields) => void;

/** Writes `TIME LEVEL message key=value …` lines. */
export function createLog(options: LogOptions): Log {
  return logOf<LogFields>(options, (at, level, message, fields = {}) => {
    const pairs = Object.entries(fields).filter(([, value]) => value !== undefined)
      .map(([key, value]) => ` ${key}=${quoted(String(value))}`);
    return `${at} ${level.toUpperCase().padEnd(5)} ${message}${pairs.join("")}`;
  });
}

function quoted(value: string): string {
  return /^[\w.:/@+-]+$/.test(value) ? value : JSON.stringify(value);
}
