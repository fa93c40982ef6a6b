/**
 * Services for the tests of names, and queries as `dig` makes them.
 *
 * @module
 */
import { Buffer } from "node:buffer";
// @ts-types="@types/dns-packet"
import packet, { type DecodedPacket, type RecordType } from "dns-packet";
import type { Endpoint, ServiceEndpoints } from "../../../kv/schema/endpoint.ts";
import { idOf } from "../../support/ids.ts";

const balancing = {
  ...{ policy: "least-connections", preferLocal: false, proxyProtocol: false } as const,
  ...{ idleMs: 60_000, connectTimeoutMs: 3_000 },
};

export const tcp = (target: number) => ({ target, protocol: "tcp" as const, balancing });
export const udp = (target: number) => ({ target, protocol: "udp" as const, balancing });

/** `api.shop`, with id n and these endpoints. */
export function service(
  n: number,
  fullName: string,
  some: Partial<ServiceEndpoints> = {},
): ServiceEndpoints {
  const [name = "", project = "default"] = fullName.split(".");
  return { id: idOf(n), project, name, aliases: [], ports: [tcp(8080)], endpoints: [], ...some };
}

export function endpoint(n: number, some: Partial<Endpoint> = {}): Endpoint {
  return {
    ...{ taskId: idOf(n), slot: n, nodeId: idOf(1000), address: "198.51.100.1", ports: [] },
    state: "ready",
    ...some,
  };
}

export interface Asked {
  id?: number;
  /** Says that the client takes datagrams of this size. */
  bytes?: number;
}

export function ask(name: string, type: RecordType = "A", { id = 7, bytes }: Asked = {}): Buffer {
  return packet.encode({
    ...{ type: "query", id, flags: packet.RECURSION_DESIRED, questions: [{ type, name }] },
    additionals: bytes === undefined ? [] : [{
      ...{ type: "OPT", name: ".", udpPayloadSize: bytes, extendedRcode: 0, ednsVersion: 0 },
      ...{ flags: 0, flag_do: false, options: [] },
    }],
  });
}

/** A reply in words: its code, its flags, and a line per record. */
export function told(bytes: Uint8Array | undefined): string {
  if (!bytes) return "nothing";
  const reply: DecodedPacket = packet.decode(Buffer.from(bytes));
  const { rcode } = reply as DecodedPacket & { rcode: string };
  const records = (reply.answers ?? []).map((one) => {
    if (one.type === "A") return one.data;
    return one.type === "SRV" ? `${one.data.port} ${one.data.target}` : one.type;
  });
  return [rcode, ...(reply.flag_tc ? ["cut short"] : []), ...records].join(", ");
}
