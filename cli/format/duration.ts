/**
 * Durations for people, and from people. Pure.
 *
 * @module
 */
import type { Parsed } from "../command.ts";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** How long ago, in one or two units: `4s`, `12m`, `3h 20m`, `5d`. */
export function age(ms: number): string {
  const positive = Math.max(0, ms);
  if (positive < MINUTE) return `${Math.floor(positive / SECOND)}s`;
  if (positive < HOUR) return `${Math.floor(positive / MINUTE)}m`;
  if (positive < 10 * HOUR) {
    const minutes = Math.floor((positive % HOUR) / MINUTE);
    return `${Math.floor(positive / HOUR)}h${minutes > 0 ? ` ${minutes}m` : ""}`;
  }
  if (positive < 2 * DAY) return `${Math.floor(positive / HOUR)}h`;
  return `${Math.floor(positive / DAY)}d`;
}

/** A measured time: `340 ms`, `1.24 s`, `12.3 s`, `2m 5s`. */
export function elapsed(ms: number): string {
  if (ms < SECOND) return `${Math.round(ms)} ms`;
  if (ms < 10 * SECOND) return `${(ms / SECOND).toFixed(2)} s`;
  if (ms < MINUTE) return `${(ms / SECOND).toFixed(1)} s`;
  return `${Math.floor(ms / MINUTE)}m ${Math.floor((ms % MINUTE) / SECOND)}s`;
}

const UNITS: Record<string, number> = { ms: 1, s: SECOND, m: MINUTE, h: HOUR, d: DAY };

/** `90s`, `10m`, `1h30m`, `500ms`, `2d` in ms. A number without a unit is refused. */
export function parseDuration(text: string): Parsed<number> {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)];
  if (parts.length === 0 || parts.map((part) => part[0]).join("") !== text) {
    return { ok: false, message: "write a duration like 30s, 10m or 1h30m" };
  }
  const ms = parts.reduce((sum, part) => sum + Number(part[1]) * (UNITS[part[2] ?? ""] ?? 0), 0);
  return { ok: true, value: Math.round(ms) };
}

/** A moment, given what time it is now; in ms since the epoch. */
export type Moment = (nowMs: number) => number;

/** A moment: a duration before now, or an RFC 3339 time. */
export function parseSince(text: string): Parsed<Moment> {
  const ago = parseDuration(text);
  if (ago.ok) return { ok: true, value: (nowMs) => nowMs - ago.value };
  const at = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : NaN;
  return Number.isNaN(at)
    ? { ok: false, message: "write a duration like 10m, or a time like 2026-01-31T12:00:00Z" }
    : { ok: true, value: () => at };
}
