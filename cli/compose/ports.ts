/**
 * Ports in Compose's short notation, `[HOST:][PUBLISHED:]TARGET[/PROTOCOL]`, ranges included. Pure.
 *
 * @module
 */
import { ComposeError, map, type Place, scalar, type Tree } from "./tree.ts";

export interface ShortPort {
  target: number;
  /** A number, or a range of which any is meant. */
  published?: string;
  protocol: "tcp" | "udp";
  hostIp?: string;
}

const MAX_RANGE = 64;
const EXAMPLE = "write [PUBLISHED:]TARGET[/udp], like 8080:80";

/** A range of targets with a range of published ports of the same length is one port for each. */
export function parseShortPort(text: string): ShortPort[] | string {
  const match =
    /^(?:(?:(\[[0-9a-fA-F:]+\]|[^:]*):)?(\d*(?:-\d+)?):)?(\d+)(?:-(\d+))?(?:\/(tcp|udp))?$/
      .exec(text);
  if (!match) return `"${text}" is no port`;
  const [, hostIp, published = "", first = "", last] = match;
  const [from, to] = [Number(first), Number(last ?? first)];
  const [publishedFrom = "", publishedTo = publishedFrom] = published.split("-");
  const wrong = [
    from,
    to,
    ...[publishedFrom, publishedTo].filter((port) => port !== "").map(Number),
  ]
    .find((port) => port < 1 || port > 65535);
  if (wrong !== undefined) return `${wrong} is no port: ports are from 1 to 65535`;
  if (to < from || Number(publishedTo) < Number(publishedFrom)) {
    return `"${text}" ends before it begins`;
  }
  const count = to - from + 1;
  if (count > MAX_RANGE) {
    return `"${text}" has ${count} ports, and ${MAX_RANGE} is the most: give the service ` +
      "network_mode: host instead";
  }
  const offered = published === "" ? 0 : Number(publishedTo) - Number(publishedFrom) + 1;
  if (count > 1 && offered !== 0 && offered !== count) {
    return `"${text}" has ${offered} published ports for ${count} of the container`;
  }
  return Array.from({ length: count }, (_, i): ShortPort => ({
    target: from + i,
    protocol: match[5] === "udp" ? "udp" : "tcp",
    ...(offered === 0
      ? {}
      : { published: count > 1 ? String(Number(publishedFrom) + i) : published }),
    ...(hostIp === undefined || hostIp === "" ? {} : { hostIp }),
  }));
}

/** The same as long notation. */
export function longPorts(text: string, at: Place): Tree[] {
  const parsed = parseShortPort(text);
  if (typeof parsed === "string") throw new ComposeError(parsed, at, EXAMPLE);
  return parsed.map((port) =>
    map([
      ["mode", scalar("ingress", at)],
      ["target", scalar(port.target, at)],
      ...(port.published === undefined
        ? []
        : [["published", scalar(port.published, at)] as [string, Tree]]),
      ["protocol", scalar(port.protocol, at)],
      ...(port.hostIp === undefined
        ? []
        : [["host_ip", scalar(port.hostIp, at)] as [string, Tree]]),
    ], at)
  );
}
