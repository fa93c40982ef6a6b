/**
 * Published ports: which service the cluster listens for on which port. Users' writes claim and free
 * them, in the commit of the service's row.
 *
 * 1. A port belongs to one service: its key is checked to be absent by the commit that sets it.
 * 2. Many new ports would be more checks than a commit may have. They are guarded by the head, which every
 *    commit that changes ports writes: one check says that none has changed since they were read.
 * 3. What a service holds is in its own row too, and only a commit that checks that row changes it.
 *
 * @module
 */
import { key, prefix } from "./keys.ts";
import { done, type Outcome, refuse } from "./outcome.ts";
import { Id } from "./schema/common.ts";
import {
  hostPortOf,
  type IngressPort,
  isIngress,
  type Port,
  portName,
  type PortRange,
  type Protocol,
} from "./schema/port.ts";
import { nameOf } from "./service_reads.ts";
import { getRows, type Kv, listRows } from "./store.ts";

export interface Claim {
  /** For the service's row. */
  ports: IngressPort[];
  /** Adds the rows, and their guard, to the commit that writes the service's row. */
  addTo(op: Deno.AtomicOperation): Deno.AtomicOperation;
}

/**
 * New ports that are checked one by one: with the other checks of a commit (its row, its idempotency key,
 * the head of its secrets, twice, a route) they are denokv's ten.
 */
const CHECKED_ONE_BY_ONE = 5;

/** Works out which ports a template needs of the cluster; refused when another service has one. */
export async function claimPorts(
  kv: Kv,
  service: { id: string; held: readonly IngressPort[] },
  ports: readonly Port[],
): Promise<Outcome<Claim>> {
  const head = await kv.get(key.portHead());
  const claimed = choosePorts(service, ports, await readOwners(kv, service.id, ports));
  if (!claimed.ok) return claimed;
  const wanted = new Set(claimed.value.map(portName));
  const had = new Set(service.held.map(portName));
  const fresh = claimed.value.filter((port) => !had.has(portName(port)));
  const freed = service.held.filter((port) => !wanted.has(portName(port)));
  return done({
    ports: claimed.value,
    addTo(op) {
      if (fresh.length === 0 && freed.length === 0) return op;
      if (fresh.length > CHECKED_ONE_BY_ONE) op.check(head); // invariant 2
      for (const { protocol, published } of fresh) {
        const portKey = key.port(protocol, published);
        if (fresh.length <= CHECKED_ONE_BY_ONE) op.check({ key: portKey, versionstamp: null });
        op.set(portKey, service.id);
      }
      for (const { protocol, published } of freed) op.delete(key.port(protocol, published));
      return op.set(key.portHead(), service.id);
    },
  });
}

/** Who has which ports of the cluster. */
export interface PortOwners {
  /** Ids of services, by the port's name. */
  ids: ReadonlyMap<string, string>;
  /** How people know the service. */
  nameOf(id: string): string;
}

/**
 * The ports that a service gets of the cluster: those that it asks for by number, and of ranges what it
 * has already or else a free one. Refused when another service has them. Pure.
 */
export function choosePorts(
  { id, held }: { id: string; held: readonly IngressPort[] },
  ports: readonly Port[],
  owners: PortOwners,
): Outcome<IngressPort[]> {
  const taken = refuseTaken(id, ports, owners);
  if (taken) return taken;
  const chosen: IngressPort[] = [];
  for (const port of ports.filter(isIngress)) {
    const { target, protocol, published } = port;
    if (typeof published === "number") chosen.push({ target, protocol, published });
  }
  const own = new Set(chosen.map(portName));
  for (const [i, port] of ports.entries()) {
    if (!isIngress(port) || typeof port.published === "number") continue;
    const { target, protocol, published: range } = port;
    const kept = held.find((one) =>
      one.target === target && one.protocol === protocol && within(range, one.published) &&
      !own.has(portName(one))
    );
    const published = kept?.published ?? freePort({ id, protocol, range, own }, owners);
    if (published === undefined) {
      const message = `${protocol} ports ${range.from} to ${range.to} are all taken`;
      return refuse("port-taken", message, {
        hint: "Widen the range, or free one: `berth endpoints` lists what is published.",
        errors: [{ field: `template.ports.${i}.published`, message }],
      });
    }
    const made = { target, protocol, published };
    own.add(portName(made));
    chosen.push(made);
  }
  return done(chosen);
}

/** The ports that are asked for by number, of the cluster or of a node. */
function numbered(ports: readonly Port[]) {
  return ports.flatMap((port, i) => {
    const published = isIngress(port) ? port.published : hostPortOf(port);
    return typeof published === "number" ? [{ i, protocol: port.protocol, published }] : [];
  });
}

function refuseTaken(id: string, ports: readonly Port[], owners: PortOwners) {
  const errors: { field: string; message: string }[] = [];
  for (const { i, ...port } of numbered(ports)) {
    const owner = owners.ids.get(portName(port));
    if (owner === undefined || owner === id) continue;
    const message = `${portName(port)} is published by ${owners.nameOf(owner)}`;
    errors.push({ field: `template.ports.${i}.published`, message });
  }
  const [first] = errors;
  return first && refuse("port-taken", errors.map(({ message }) => message).join("; "), {
    hint: "Publish another port, or remove it from the service that has it.",
    errors,
  });
}

/** Services begin to look at different places, so that those that are made together do not collide. */
function freePort(
  { id, protocol, range, own }: {
    id: string;
    protocol: Protocol;
    range: PortRange;
    own: ReadonlySet<string>;
  },
  { ids }: PortOwners,
): number | undefined {
  const size = range.to - range.from + 1;
  const first = spread(id) % size;
  for (let i = 0; i < size; i++) {
    const published = range.from + (first + i) % size;
    const name = portName({ protocol, published });
    if (!ids.has(name) && !own.has(name)) return published;
  }
  return undefined;
}

/** As far as these ports are concerned. */
async function readOwners(kv: Kv, id: string, ports: readonly Port[]): Promise<PortOwners> {
  const ids = new Map<string, string>();
  const names = new Map<string, string>();
  const asked = numbered(ports);
  const rows = await getRows(kv, asked.map((p) => key.port(p.protocol, p.published)), Id);
  for (const [at, port] of asked.entries()) {
    const owner = rows[at]?.row;
    if (owner === undefined) continue;
    ids.set(portName(port), owner);
    if (owner !== id) names.set(owner, await nameOf(kv, owner));
  }
  for (const { protocol, published: range } of ports.filter(isIngress)) {
    if (typeof range === "number") continue;
    const start = key.port(protocol, range.from);
    for await (const entry of listRows(kv, prefix.ports(protocol), Id, { start })) {
      const published = Number(entry.key.at(-1));
      if (published > range.to) break;
      ids.set(portName({ protocol, published }), entry.row);
    }
  }
  return { ids, nameOf: (owner) => names.get(owner) ?? owner };
}

function within({ from, to }: PortRange, port: number): boolean {
  return port >= from && port <= to;
}

function spread(text: string): number {
  let hash = 0;
  for (const char of text) hash = (hash * 31 + char.charCodeAt(0)) % 1_000_003;
  return hash;
}
