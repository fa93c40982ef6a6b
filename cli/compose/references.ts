/**
 * What services refer to must be there, and a published port belongs to one of them. Pure.
 *
 * @module
 */
import type { ComposeService } from "./resolve.ts";
import {
  ComposeError,
  entriesOf,
  get,
  itemsOf,
  type Place,
  placeText,
  textOf,
  type Tree,
} from "./tree.ts";

/** Names must stand for something, and a published port for one service. */
export function checkReferences(file: Tree, services: ReadonlyMap<string, ComposeService>): void {
  const published = new Map<string, Claim>();
  for (const { name, tree, at } of services.values()) {
    checkImage({ name, tree, at });
    for (const port of itemsOf(get(tree, "ports"))) claimPort(name, port, published);
    for (const [network, entry] of entriesOf(get(tree, "networks"))) {
      if (network !== "default") defined(file, "networks", network, entry.at, name);
    }
    for (const mount of itemsOf(get(tree, "volumes"))) {
      const source = get(mount, "source");
      if (textOf(get(mount, "type")) !== "volume" || !source) continue;
      defined(file, "volumes", textOf(source) ?? "", source.at, name);
    }
    for (const section of ["secrets", "configs"] as const) {
      for (const item of itemsOf(get(tree, section))) {
        const source = get(item, "source");
        defined(file, section, textOf(source) ?? "", source?.at ?? item.at, name);
      }
    }
  }
}

function checkImage({ name, tree, at }: Pick<ComposeService, "name" | "tree" | "at">): void {
  const image = get(tree, "image");
  if (get(tree, "build") || textOf(image)) return;
  const what = image
    ? `services.${name}.image is empty`
    : `services.${name} has neither image nor build`;
  throw new ComposeError(what, image?.at ?? at, "name its image");
}

function defined(file: Tree, section: string, name: string, at: Place, service: string): void {
  const known = get(file, section);
  if (known?.kind === "map" && known.entries.has(name)) return;
  const kind = section.slice(0, -1);
  throw new ComposeError(
    `services.${service}.${section}: there is no ${kind} ${name} in this file`,
    at,
    `define it at the top: ${section}: {${name}: {}}`,
  );
}

interface Claim {
  owner: string;
  host: boolean;
  at: Place;
}

function claimPort(
  owner: string,
  port: Tree,
  published: Map<string, Claim>,
): void {
  const number = textOf(get(port, "published"));
  if (number === undefined || number === "" || number.includes("-")) return;
  const protocol = textOf(get(port, "protocol")) ?? "tcp";
  const name = `${number}/${protocol}`;
  const host = textOf(get(port, "mode")) === "host";
  const before = published.get(name);
  // On nodes of their own two services may have the same port.
  if (before && !(before.host && host && before.owner !== owner)) {
    throw new ComposeError(
      `services.${owner}.ports: ${name} is published twice, first by ${before.owner} in ` +
        placeText(before.at),
      port.at,
      "publish it once: every node listens on it for one service",
    );
  }
  published.set(name, { owner, host, at: port.at });
}
