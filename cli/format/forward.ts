/**
 * What people write of ports to forward and of requests. Pure.
 *
 * @module
 */
import type { Parsed } from "../command.ts";

export interface PortPair {
  /** 0: any that is free. */
  local: number;
  remote: number;
}

/** `8080:80`, or `80` for the same on both sides. */
export function parseForward(text: string): Parsed<PortPair> {
  const match = /^(?:(\d{1,5}):)?(\d{1,5})$/.exec(text);
  const remote = Number(match?.[2]);
  const local = match?.[1] === undefined ? remote : Number(match[1]);
  return match && remote >= 1 && remote <= 65535 && local <= 65535
    ? { ok: true, value: { local, remote } }
    : { ok: false, message: "write [LOCAL:]REMOTE with ports from 1 to 65535, like 8080:80" };
}

/** `name: value`. */
export function parseHeader(text: string): Parsed<[string, string]> {
  const match = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*)$/.exec(text);
  return match?.[1] !== undefined
    ? { ok: true, value: [match[1], match[2] ?? ""] }
    : { ok: false, message: "write name: value" };
}

/** `web/path?query`: what is before the first slash, and the rest from it on. */
export function splitTarget(text: string): { ref: string; path: string } {
  const at = text.search(/[/?]/);
  if (at === -1) return { ref: text, path: "/" };
  const rest = text.slice(at);
  return { ref: text.slice(0, at), path: rest.startsWith("/") ? rest : `/${rest}` };
}
