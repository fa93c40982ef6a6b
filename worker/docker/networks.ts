/**
 * One network of the engine's per project of this node: what is in it reaches its own kind and, through
 * the machine, everybody else; other projects' containers do not reach in.
 *
 * 1. Name and labels follow from node and project, so a network whose create was lost is adopted.
 * 2. Only networks with this node's label are touched; for want of a subnet, those that other nodes left.
 * 3. Making and removing one do not overlap, and one that was just asked for is not removed: a container
 *    is about to be made in it.
 *
 * @module
 */
import type { Clock } from "../../kv/schema/time.ts";
import { overlaps, type Pool, type Subnet, subnets } from "../dns/pool.ts";
import { LABEL, type Outcome, type ProjectNetwork, type ProjectNetworks } from "../runtime.ts";
import { routeToMachine } from "./host_route.ts";
import { type Answer, ask, type Engine, failure, refused } from "./client.ts";

export interface NetworksDeps {
  docker: Engine;
  nodeId: string;
  pool: Pool;
  clock: Clock;
  /** The machine's addresses, which subnets must not overlap with. */
  interfaces: () => readonly { address: string; netmask: string }[];
}

export interface Networks extends ProjectNetworks {
  /** Makes the project's network exist; `dns`: the name servers for its containers. */
  ensure(
    project: string,
    signal: AbortSignal,
  ): Promise<Outcome<{ network: ProjectNetwork; dns?: string[] }>>;
  /** It turned out not to exist: somebody removed it. */
  forget(project: string): void;
}

/** The parts of the engine's description of a network that are used. */
interface NetworkItem {
  Id: string;
  Name: string;
  Labels?: Record<string, string> | null;
  IPAM?: { Config?: { Subnet?: string; Gateway?: string }[] | null };
}

const GRACE_MS = 60_000;
/** A machine has fewer networks than this in the way. */
const MAX_TRIES = 64;

export function createNetworks(
  { docker, nodeId, pool, clock, interfaces }: NetworksDeps,
): Networks {
  const known = new Map<string, ProjectNetwork>();
  const askedMs = new Map<string, number>();
  let serve: Parameters<ProjectNetworks["onUse"]>[0] = () => Promise.resolve(undefined);
  let turn: Promise<unknown> = Promise.resolve();
  /** One after the other: invariant 3. */
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const mine = turn.then(work, work);
    turn = mine.catch(() => {});
    return mine;
  };

  const labels = [`${LABEL.node}=${nodeId}`]; // invariant 2

  const containers = (signal: AbortSignal, narrower: readonly string[] = []) =>
    ask("list", signal, (abortSignal) =>
      docker.listContainers({
        all: true,
        filters: { label: [...labels, ...narrower] },
        abortSignal,
      }));

  async function list(signal: AbortSignal): Promise<Outcome<ProjectNetwork[]>> {
    const answer = await ask(
      "list of networks",
      signal,
      (abortSignal) => docker.listNetworks({ filters: { label: labels }, abortSignal }),
    );
    if (!answer.ok) return failure(answer);
    const found = (answer.value as NetworkItem[]).flatMap((item): ProjectNetwork[] => {
      const project = item.Labels?.[LABEL.project];
      const [{ Subnet: subnet, Gateway: gateway } = {}] = item.IPAM?.Config ?? [];
      return project !== undefined && subnet !== undefined && gateway !== undefined
        ? [{ id: item.Id, name: item.Name, project, subnet, gateway }]
        : [];
    });
    known.clear();
    for (const network of found) known.set(network.project, network);
    return { ok: true, value: found };
  }

  async function make(project: string, signal: AbortSignal): Promise<Outcome<ProjectNetwork>> {
    // Many containers may have waited for the same turn: the first of them found it or made it.
    const meanwhile = known.get(project);
    if (meanwhile) return { ok: true, value: meanwhile };
    const listed = await list(signal); // invariant 1
    if (!listed.ok) return listed;
    const existing = known.get(project);
    if (existing) return { ok: true, value: existing };
    const made = await makeFree(project, signal);
    if (made) return made;
    await reclaim(signal);
    return await makeFree(project, signal) ?? refused(
      `no subnet of ${pool.text} is free for the network of project ${project}: ` +
        "give the worker another --address-pool",
    );
  }

  /** Of the first subnet that is free; undefined when none is. */
  async function makeFree(
    project: string,
    signal: AbortSignal,
  ): Promise<Outcome<ProjectNetwork> | undefined> {
    const taken = interfaces();
    let tries = 0;
    for (const subnet of subnets(pool, `${nodeId} ${project}`)) {
      if (taken.some((own) => overlaps(subnet.subnet, own))) continue;
      if (++tries > MAX_TRIES) break;
      const made = await create(project, subnet, signal);
      if (made.ok) {
        known.set(project, made.value);
        return made;
      }
      const inTheWay = made.status === 403 || /overlaps/i.test(made.message);
      if (!inTheWay) return failure(made);
    }
    return undefined;
  }

  /**
   * Removes what nodes that were here before left behind. The engine keeps what a container runs in, and
   * a node that lives makes its network anew when it needs it.
   */
  async function reclaim(signal: AbortSignal): Promise<void> {
    const all = await ask(
      "list of networks",
      signal,
      (abortSignal) => docker.listNetworks({ filters: { label: [LABEL.node] }, abortSignal }),
    );
    for (const { Id, Labels } of all.ok ? all.value as NetworkItem[] : []) {
      if (Labels?.[LABEL.node] === nodeId) continue;
      await ask(
        "remove of a network",
        signal,
        (abortSignal) => docker.getNetwork(Id).remove({ abortSignal }),
      );
    }
  }

  async function create(
    project: string,
    { subnet, gateway }: Subnet,
    signal: AbortSignal,
  ): Promise<Answer<ProjectNetwork>> {
    const name = networkName(project, nodeId);
    const made = await ask("create of a network", signal, (abortSignal) =>
      docker.createNetwork(
        {
          Name: name,
          CheckDuplicate: true,
          Driver: "bridge",
          IPAM: { Config: [{ Subnet: subnet, Gateway: gateway }] },
          Labels: { [LABEL.node]: nodeId, [LABEL.project]: project },
          abortSignal,
        } as Parameters<Engine["createNetwork"]>[0],
      ));
    return made.ok
      ? { ok: true, value: { id: made.value.id, name, project, subnet, gateway } }
      : made;
  }

  async function prune(signal: AbortSignal, graceMs: number): Promise<Outcome<string[]>> {
    const listed = await list(signal);
    if (!listed.ok || listed.value.length === 0) {
      return listed.ok ? { ok: true, value: [] } : listed;
    }
    const present = await containers(signal);
    if (!present.ok) return failure(present);
    const used = new Set(present.value.map(({ Labels }) => Labels[LABEL.project]));
    const removed: string[] = [];
    for (const { id, project } of listed.value) {
      const asked = askedMs.get(project);
      const expected = asked !== undefined && clock.monoMs() - asked < graceMs; // invariant 3
      if (used.has(project) || expected) continue;
      const gone = await ask(
        "remove of a network",
        signal,
        (abortSignal) => docker.getNetwork(id).remove({ abortSignal }),
      );
      if (!gone.ok && gone.status !== 404) continue;
      known.delete(project);
      askedMs.delete(project);
      removed.push(project);
    }
    return { ok: true, value: removed };
  }

  return {
    list: (signal) => inTurn(() => list(signal)),
    async ensure(project, signal) {
      askedMs.set(project, clock.monoMs());
      const there = known.get(project);
      const made: Outcome<ProjectNetwork> = there
        ? { ok: true, value: there }
        : await inTurn(() => make(project, signal));
      if (!made.ok) return made;
      const network = made.value;
      const dns = await serve(network);
      return { ok: true, value: { network, ...(dns ? { dns } : {}) } };
    },
    async addresses(project, signal) {
      const found = await containers(signal, [`${LABEL.project}=${project}`]);
      if (!found.ok) return failure(found);
      const name = networkName(project, nodeId);
      const addresses = found.value.flatMap(({ Labels, NetworkSettings }) => {
        const address = NetworkSettings.Networks[name]?.IPAddress;
        return address ? [[Labels[LABEL.task] ?? "", address] as const] : [];
      });
      return { ok: true, value: new Map(addresses) };
    },
    takeAddresses: (network, signal) => routeToMachine(docker, { network, nodeId }, signal),
    onUse(listener) {
      serve = listener;
    },
    forget: (project) => known.delete(project),
    prune: (signal, { graceMs = GRACE_MS } = {}) => inTurn(() => prune(signal, graceMs)),
  };
}

/** Readable first; several nodes may share an engine. */
export function networkName(project: string, nodeId: string): string {
  return `berth-${project}-${nodeId}`;
}
