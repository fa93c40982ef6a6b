/**
 * From `ports` and `expose` to the ports of a template. Pure.
 *
 * @module
 */
import type { ServiceSpecInput } from "../../../kv/schema/service.ts";
import { parseShortPort } from "../ports.ts";
import { ComposeError, get, itemsOf, textOf, type Tree } from "../tree.ts";
import { numberAt, textAt } from "./read.ts";

type PortInput = NonNullable<ServiceSpecInput["template"]["ports"]>[number];

const ANYWHERE = ["0.0.0.0", "::"];

export function portsOf(service: Tree): PortInput[] {
  const ports = itemsOf(get(service, "ports")).map(portOf);
  const known = new Set(ports.map(({ target, protocol }) => `${target}/${protocol}`));
  for (const item of itemsOf(get(service, "expose"))) {
    const parsed = parseShortPort(textOf(item) ?? "");
    if (typeof parsed === "string") throw new ComposeError(`expose: ${parsed}`, item.at);
    for (const { target, protocol } of parsed) {
      if (known.has(`${target}/${protocol}`)) continue;
      known.add(`${target}/${protocol}`);
      ports.push({ target, protocol });
    }
  }
  return ports;
}

function portOf(item: Tree): PortInput {
  const published = textAt(item, "published") ?? "";
  const hostIp = textAt(item, "host_ip")?.replace(/^\[(.*)\]$/, "$1");
  const base = {
    target: numberAt(item, "target") ?? 0,
    protocol: textAt(item, "protocol") === "udp" ? "udp" as const : "tcp" as const,
    mode: textAt(item, "mode") === "host" ? "host" as const : "ingress" as const,
    ...(hostIp === undefined || ANYWHERE.includes(hostIp) ? {} : { hostIp }),
  };
  if (published === "") return base;
  const [from, to = from] = published.split("-").map(Number);
  if (from === undefined || to === undefined || !(from >= 1 && to <= 65535 && from <= to)) {
    throw new ComposeError(
      `published: "${published}" is no port: write a number from 1 to 65535, or a range`,
      get(item, "published")?.at,
    );
  }
  return { ...base, published: from === to ? from : { from, to } };
}
