/**
 * The addresses that an agent may use on its machine: a network of IPv4, of which the lower half is for
 * the subnets of projects' networks, the upper half for addresses that stand for services. Pure.
 *
 * @module
 */

export interface Pool {
  /** As it was given. */
  text: string;
  first: number;
  bits: number;
}

export interface Subnet {
  /** In CIDR notation. */
  subnet: string;
  /** The machine's own address in it. */
  gateway: string;
}

export const DEFAULT_POOL = "10.213.0.0/16";
/** A project's network on one node: 509 containers. */
const SUBNET_BITS = 23;
const MAX_POOL_BITS = 22;

/** Reads a network in CIDR notation; what is wrong with it, otherwise. */
export function parsePool(text: string): Pool | { problem: string } {
  const slash = text.indexOf("/");
  const first = parseIpv4(slash === -1 ? text : text.slice(0, slash));
  const bits = /^\d{1,2}$/.test(text.slice(slash + 1)) ? Number(text.slice(slash + 1)) : NaN;
  if (slash === -1 || first === undefined || !(bits <= 32)) {
    return { problem: `must be a network of IPv4, like ${DEFAULT_POOL}: ${text}` };
  }
  if (bits < 8 || bits > MAX_POOL_BITS) {
    return { problem: `must have 8 to ${MAX_POOL_BITS} network bits: ${text}` };
  }
  if (first % 2 ** (32 - bits) !== 0) {
    return { problem: `must begin where its network does: ${text}` };
  }
  return { text, first, bits };
}

/** The subnets for projects' networks, in the order in which they are tried for `key`. */
export function* subnets({ first, bits }: Pool, key: string): Generator<Subnet> {
  const count = 2 ** (SUBNET_BITS - bits - 1);
  const start = hash(key) % count;
  for (let i = 0; i < count; i++) {
    const base = first + ((start + i) % count) * 2 ** (32 - SUBNET_BITS);
    yield { subnet: `${formatIpv4(base)}/${SUBNET_BITS}`, gateway: formatIpv4(base + 1) };
  }
}

/** The upper half, in CIDR notation. */
export function virtualNetwork({ first, bits }: Pool): string {
  return `${formatIpv4(first + 2 ** (31 - bits))}/${bits + 1}`;
}

/**
 * Addresses of the upper half, in the order in which they are tried for `key`: nearly always the first
 * is free, so a name keeps its address even when nobody remembered it.
 */
export function* virtualAddresses({ first, bits }: Pool, key: string): Generator<string> {
  const half = 2 ** (31 - bits);
  const start = hash(key) % half;
  for (let i = 0; i < half; i++) yield formatIpv4(first + half + (start + i) % half);
}

/** Whether an address and the network of its interface overlap with a subnet. */
export function overlaps(subnet: string, other: { address: string; netmask: string }): boolean {
  const [base = "", bits = ""] = subnet.split("/");
  const mine = parseIpv4(base);
  const theirs = parseIpv4(other.address);
  const mask = parseIpv4(other.netmask);
  if (mine === undefined || theirs === undefined || mask === undefined) return false;
  const size = 2 ** (32 - Number(bits));
  const otherSize = 2 ** 32 - mask;
  const otherFirst = theirs - (theirs % otherSize);
  return mine < otherFirst + otherSize && otherFirst < mine + size;
}

function parseIpv4(text: string): number | undefined {
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) < 256)) {
    return undefined;
  }
  return parts.reduce((sum, part) => sum * 256 + Number(part), 0);
}

function formatIpv4(value: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join(".");
}

/** FNV-1a: spreads keys that differ little. */
function hash(key: string): number {
  let value = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(key)) {
    value = Math.imul(value ^ byte, 0x01000193) >>> 0;
  }
  return value;
}
