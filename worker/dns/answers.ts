/**
 * From what a name means to the records that are asked for.
 *
 * @module
 */
import type { Endpoint, ServiceEndpoints } from "../../kv/schema/endpoint.ts";
import type { Answer, Query, Reply } from "./message.ts";
import { type Found, fullName, SUFFIX } from "./zone.ts";

/** So short that who asks again sees every change within a second. */
const TTL_S = 1;
/** More tell nobody more, and each costs an address. */
const MAX_TASKS = 128;

/** Where a container reaches what a name stands for. */
export interface Addresses {
  ofService(service: ServiceEndpoints): Promise<readonly string[]>;
  ofTask(service: ServiceEndpoints, task: Endpoint): Promise<string | undefined>;
}

/** `first` in [0, 1) chooses which of several tasks comes first, so that clients spread. */
export async function answerFound(
  { service, tasks, port }: Found,
  { name, type }: Query,
  { addresses, first }: { addresses: Addresses; first: number },
): Promise<Reply> {
  const some = rotated(tasks ?? [], first).slice(0, MAX_TASKS);
  const hosts: Host[] = [];
  if (type === "A" || type === "ANY" || type === "SRV") {
    if (!tasks) hosts.push({ addresses: await addresses.ofService(service) });
    for (const task of some) {
      const address = await addresses.ofTask(service, task);
      if (address !== undefined) hosts.push({ slot: task.slot, addresses: [address] });
    }
  }
  const ports = service.ports.filter(({ target, protocol }) =>
    !port || (port.target === target && port.protocol === protocol)
  );
  const answers: Answer[] = [];
  const additionals: Answer[] = [];
  for (const host of hosts) {
    const target = fullName(service, host.slot);
    if (type === "SRV") {
      // Two tasks may be in one slot for a while: one record, two addresses.
      const known = answers.some((record) =>
        record.type === "SRV" && record.data.target === target
      );
      for (const one of known ? [] : ports) answers.push(srv(name, target, one.target));
      if (ports.length > 0) additionals.push(...host.addresses.map((at) => a(target, at)));
    } else if (!port) answers.push(...host.addresses.map((at) => a(name, at)));
  }
  return answers.length === 0 ? nothing("NOERROR") : { code: "NOERROR", answers, additionals };
}

interface Host {
  slot?: number;
  addresses: readonly string[];
}

/** There is no such name, or it has no such records. */
export function nothing(code: "NOERROR" | "NXDOMAIN"): Reply {
  const authority: Answer = {
    type: "SOA",
    name: SUFFIX,
    ttl: TTL_S,
    data: {
      ...{ mname: `dns.${SUFFIX}`, rname: `nobody.${SUFFIX}`, serial: 1 },
      ...{ refresh: 3600, retry: 600, expire: 86400, minimum: TTL_S },
    },
  };
  return { code, answers: [], authority };
}

function a(name: string, data: string): Answer {
  return { type: "A", name, ttl: TTL_S, data };
}

function srv(name: string, target: string, port: number): Answer {
  return { type: "SRV", name, ttl: TTL_S, data: { priority: 0, weight: 0, port, target } };
}

function rotated<T>(items: readonly T[], share: number): T[] {
  const from = Math.floor(share * items.length);
  return [...items.slice(from), ...items.slice(0, from)];
}
