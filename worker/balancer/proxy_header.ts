/**
 * The header of the PROXY protocol, version 2: it tells a backend who its client is. Pure.
 *
 * @module
 */
import { parseAddress } from "../../kv/schema/ip.ts";

const SIGNATURE = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a];
const VERSION_PROXY = 0x21;
const VERSION_LOCAL = 0x20;
const TCP_V4 = 0x11;
const TCP_V6 = 0x21;

export interface Peer {
  hostname: string;
  port: number;
}

/** From the client to the address that it connected to. Unreadable addresses give a `LOCAL` header. */
export function proxyHeader(client: Peer, server: Peer): Uint8Array<ArrayBuffer> {
  const [from, to] = [parseAddress(client.hostname), parseAddress(server.hostname)];
  if (!from || !to) return new Uint8Array([...SIGNATURE, VERSION_LOCAL, 0, 0, 0]);
  const v4 = isMapped(from) && isMapped(to);
  const addresses = [from, to].flatMap((address) =>
    (v4 ? address.slice(6) : address).flatMap(pair)
  );
  const body = [...addresses, ...pair(client.port), ...pair(server.port)];
  const family = v4 ? TCP_V4 : TCP_V6;
  return new Uint8Array([...SIGNATURE, VERSION_PROXY, family, ...pair(body.length), ...body]);
}

function isMapped(groups: readonly number[]): boolean {
  return groups[5] === 0xffff && groups.slice(0, 5).every((group) => group === 0);
}

function pair(value: number): [number, number] {
  return [value >> 8, value & 0xff];
}
