/**
 * Memory, cores, ports and KEY=VALUE pairs, from people and for people. Pure.
 *
 * @module
 */
import type { Parsed } from "../command.ts";
import type { Port } from "../../kv/schema/port.ts";
import type { ServiceView } from "../../kv/schema/service.ts";
import type { TaskView } from "../../kv/schema/task.ts";

const MEBIBYTES: Record<string, number> = { k: 1 / 1024, m: 1, g: 1024, t: 1024 * 1024 };

/** `64m`, `1.5g`, `512MiB` in MiB. A number without a unit is refused: it could mean anything. */
export function parseMemory(text: string): Parsed<number> {
  const match = /^(\d+(?:\.\d+)?)([kmgt])(?:i?b)?$/i.exec(text);
  if (!match) return { ok: false, message: "write a size with its unit, like 64m or 1g" };
  const mebibytes = Number(match[1]) * (MEBIBYTES[(match[2] ?? "").toLowerCase()] ?? 0);
  if (mebibytes < 4) return { ok: false, message: "must be at least 4m" };
  return { ok: true, value: Math.ceil(mebibytes) };
}

/** Cores, down to a thousandth: `0.5`, `2`. */
export function parseCpus(text: string): Parsed<number> {
  const cpus = /^\d*\.?\d+$/.test(text) ? Number(text) : NaN;
  if (!(cpus >= 0.001 && cpus <= 4096)) {
    return { ok: false, message: "write a number of cores from 0.001 to 4096, like 0.5" };
  }
  return { ok: true, value: Math.round(cpus * 1000) / 1000 };
}

export function parseCount(text: string): Parsed<number> {
  return /^\d{1,9}$/.test(text)
    ? { ok: true, value: Number(text) }
    : { ok: false, message: "write a whole number" };
}

/** A regular expression, as JavaScript has them. */
export function parsePattern(text: string): Parsed<RegExp> {
  try {
    return { ok: true, value: new RegExp(text, "u") };
  } catch (error) {
    return { ok: false, message: error instanceof Error ? error.message : String(error) };
  }
}

export function parsePortNumber(text: string): Parsed<number> {
  const port = Number(text);
  return /^\d{1,5}$/.test(text) && port >= 1 && port <= 65535
    ? { ok: true, value: port }
    : { ok: false, message: "write a port from 1 to 65535" };
}

/** A share from 0 to 1. */
export function parseRatio(text: string): Parsed<number> {
  const value = Number(text);
  return /^\d*\.?\d+$/.test(text) && value <= 1
    ? { ok: true, value }
    : { ok: false, message: "write a number from 0 to 1, like 0.2" };
}

/**
 * `80`, `8080:80`, `8000-8009:80`, `5353:53/udp`, and with `@host` at the end for the task's own node
 * alone.
 */
export function parsePort(text: string): Parsed<Port> {
  const match = /^(?:(\d+)(?:-(\d+))?:)?(\d+)(?:\/(tcp|udp))?(@host)?$/.exec(text);
  const [from, to, target] = [match?.[1], match?.[2], match?.[3]].map((port) =>
    port === undefined ? undefined : Number(port)
  );
  const inRange = (port: number | undefined) => port === undefined || (port >= 1 && port <= 65535);
  const host = match?.[5] !== undefined;
  const ordered = to === undefined || (from !== undefined && from <= to && !host);
  if (target === undefined || ![from, to, target].every(inRange) || !ordered) {
    return {
      ok: false,
      message: "write [PORT:]CONTAINER[/udp][@host] with ports from 1 to 65535, like 8080:80 " +
        "or 8000-8009:80",
    };
  }
  return {
    ok: true,
    value: {
      target,
      protocol: match?.[4] === "udp" ? "udp" : "tcp",
      mode: host ? "host" : "ingress",
      ...(from === undefined ? {} : { published: to === undefined ? from : { from, to } }),
    },
  };
}

/** `KEY=VALUE`; the value may be empty and may contain `=`. */
export function parsePair(text: string): Parsed<[string, string]> {
  const at = text.indexOf("=");
  return at > 0
    ? { ok: true, value: [text.slice(0, at), text.slice(at + 1)] }
    : { ok: false, message: "write KEY=VALUE" };
}

/** The lines of an env file: `KEY=VALUE`, blank lines and `#` comments. */
export function parseEnvFile(text: string): Parsed<[string, string][]> {
  const pairs: [string, string][] = [];
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === "" || line.trimStart().startsWith("#")) continue;
    const pair = parsePair(line.trimStart().replace(/^export\s+/, ""));
    if (!pair.ok) return { ok: false, message: `line ${index + 1}: ${pair.message}` };
    pairs.push(pair.value);
  }
  return { ok: true, value: pairs };
}

/** MiB for people: `64M`, `1.5G`, and `-` for none. */
export function memory(mebibytes: number): string {
  if (mebibytes === 0) return "-";
  if (mebibytes < 1024) return `${mebibytes}M`;
  return `${Number((mebibytes / 1024).toFixed(1))}G`;
}

/**
 * Ports of a running task: `8080→80` where every node listens for its service, else the port of its own
 * node, `32768→80`, with the node's address when `full`.
 */
export function ports(
  task: Pick<TaskView, "observed" | "nodeAddress">,
  full: boolean,
  service?: Pick<ServiceView, "template" | "ingressPorts">,
): string {
  const host = full && task.nodeAddress ? `${task.nodeAddress}:` : "";
  return (task.observed?.ports ?? []).map(({ published, target, protocol }) => {
    const port = service?.template.ports.find((one) =>
      one.target === target && one.protocol === protocol && one.mode === "ingress"
    );
    const everywhere = service && port && publishedAs(port, service);
    const before = everywhere ?? `${host}${published}`;
    return `${before}→${target}${protocol === "udp" ? "/udp" : ""}`;
  }).join(", ");
}

/** Ports of a service: `8080→80` for one that is published, `80` for one that is not. */
export function servicePorts(
  service: Pick<ServiceView, "template" | "ingressPorts">,
) {
  return service.template.ports.map((port) => {
    const published = publishedAs(port, service);
    const before = published === undefined ? "" : `${published}→`;
    return `${before}${port.target}${port.protocol === "udp" ? "/udp" : ""}`;
  }).join(", ");
}

/** The number that a port is published under: its own, or the one it was given of its range. */
function publishedAs(
  { target, protocol, published: wanted }: Port,
  { ingressPorts }: Pick<ServiceView, "ingressPorts">,
): number | undefined {
  if (typeof wanted !== "object") return wanted;
  return ingressPorts.find((one) =>
    one.target === target && one.protocol === protocol && one.published >= wanted.from &&
    one.published <= wanted.to
  )?.published;
}

/** `1 task`, `2 tasks`. */
export function counted(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? "" : "s"}`;
}

/** The address of each published tcp port, as a URL to open. */
export function urls(task: Pick<TaskView, "observed" | "nodeAddress">): string[] {
  return (task.observed?.ports ?? [])
    .filter((port) => port.protocol === "tcp")
    .map((port) => `http://${task.nodeAddress ?? "127.0.0.1"}:${port.published}`);
}

/** An id short enough to type: its last 8 characters. */
export function shortId(id: string): string {
  return id.slice(-8);
}

/** Where a secret or config goes; without a target under its own name. */
export interface FileRef {
  source: string;
  target?: string;
}

/** `NAME` or `NAME:TARGET`. */
export function parseFileRef(text: string): Parsed<FileRef> {
  const [, source, target] = /^([^:]+)(?::(.+))?$/.exec(text) ?? [];
  if (source === undefined) return { ok: false, message: `must be NAME or NAME:TARGET: ${text}` };
  return { ok: true, value: { source, ...(target === undefined ? {} : { target }) } };
}

export type MountInput =
  & { target: string; readOnly?: boolean }
  & ({ type: "volume"; source?: string } | { type: "bind"; source: string });

/** `NAME:TARGET`, `/PATH:TARGET` or `TARGET` alone, each with `:ro` if nobody is to write to it. */
export function parseMount(text: string): Parsed<MountInput> {
  const parts = text.split(":");
  const flags = parts.length > 1 && /^r[ow]$/.test(parts.at(-1) ?? "") ? parts.pop() : undefined;
  const [first = "", second, ...rest] = parts;
  const target = second ?? first;
  if (rest.length > 0 || !target.startsWith("/")) {
    return { ok: false, message: `write SOURCE:TARGET or SOURCE:TARGET:ro, not ${text}` };
  }
  const how = flags === "ro" ? { target, readOnly: true } : { target };
  if (second === undefined) return { ok: true, value: { type: "volume", ...how } };
  return first.startsWith("/")
    ? { ok: true, value: { type: "bind", source: first, ...how } }
    : { ok: true, value: { type: "volume", source: first, ...how } };
}
