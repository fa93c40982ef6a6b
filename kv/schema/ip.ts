/**
 * Addresses and networks, of IPv4 and IPv6. An IPv4 address is the IPv6 address that it maps to, so that
 * both compare as one.
 *
 * @module
 */

/** Eight groups of 16 bits. */
export type Address = readonly number[];

export interface Network {
  address: Address;
  /** Leading bits of the 128 that count; an address alone has all of them. */
  bits: number;
}

const MAPPED = 96;

/** Reads an address such as `10.0.0.1`, `2001:db8::1` or `::ffff:10.0.0.1`. */
export function parseAddress(text: string): Address | undefined {
  if (!text.includes(":")) {
    const low = parseV4(text);
    return low && [0, 0, 0, 0, 0, 0xffff, ...low];
  }
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const head = parseGroups(halves[0] ?? "");
  const tail = halves.length === 2 ? parseGroups(halves[1] ?? "") : [];
  if (!head || !tail) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  return [...head, ...new Array<number>(missing).fill(0), ...tail];
}

/** Reads an address or a network in CIDR notation. */
export function parseNetwork(text: string): Network | undefined {
  const slash = text.indexOf("/");
  const base = slash === -1 ? text : text.slice(0, slash);
  const address = parseAddress(base);
  if (!address) return undefined;
  if (slash === -1) return { address, bits: 128 };
  const given = text.slice(slash + 1);
  if (!/^\d{1,3}$/.test(given)) return undefined;
  const bits = Number(given) + (base.includes(":") ? 0 : MAPPED);
  return bits <= 128 ? { address, bits } : undefined;
}

export function contains({ address, bits }: Network, other: Address): boolean {
  for (let group = 0; group < 8; group++) {
    const left = bits - 16 * group;
    if (left <= 0) return true;
    const mask = left >= 16 ? 0xffff : 0xffff & ~(0xffff >> left);
    if (((address[group] ?? 0) & mask) !== ((other[group] ?? 0) & mask)) return false;
  }
  return true;
}

function parseV4(text: string): number[] | undefined {
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part))) {
    return undefined;
  }
  const [a = 0, b = 0, c = 0, d = 0] = parts.map(Number);
  return Math.max(a, b, c, d) > 255 ? undefined : [a * 256 + b, c * 256 + d];
}

/** Groups between colons; the last one may be an IPv4 address. */
function parseGroups(text: string): number[] | undefined {
  if (text === "") return [];
  const groups: number[] = [];
  const parts = text.split(":");
  for (const [i, part] of parts.entries()) {
    if (part.includes(".")) {
      const low = i === parts.length - 1 ? parseV4(part) : undefined;
      if (!low) return undefined;
      groups.push(...low);
    } else if (/^[0-9A-Fa-f]{1,4}$/.test(part)) groups.push(parseInt(part, 16));
    else return undefined;
  }
  return groups;
}
