/**
 * What clients see of a service, put together from rows. Pure.
 *
 * @module
 */
import type { Endpoint, EndpointState, ServiceEndpoints } from "./schema/endpoint.ts";
import { balancingOf, type Port } from "./schema/port.ts";
import type { Rollout } from "./schema/rollout.ts";
import type { Service } from "./schema/service.ts";
import { type BoundPort, isReady, type Observed, stateOf, type Task } from "./schema/task.ts";
import { isTerminal } from "./schema/task_state.ts";
import { sameValue } from "./same.ts";

/** What of a service's row matters to clients. */
export type KnownService =
  & Pick<
    Service,
    | "id"
    | "project"
    | "name"
    | "balance"
    | "ingressPorts"
    | "revision"
    | "aliases"
    | "routes"
    | "certificates"
  >
  & { turn?: Turn };

/** Two whole sets of tasks side by side, of which one serves: blue/green. */
export interface Turn {
  /** What the rollout brings, or goes back to. */
  revision: number;
  /** Its tasks serve, and those of other revisions no more. */
  over: boolean;
  /** So many of its tasks must be ready for that. */
  from: number;
}

/** The turn that a service's rollout is at; undefined when all its tasks serve alike. */
export function turnOf(
  { update, mode }: Pick<Service, "update" | "mode">,
  rollout: Rollout | undefined,
): Turn | undefined {
  if (update.strategy !== "bluegreen" || !rollout) return undefined;
  const { revision, stable, promoted, back } = rollout;
  const first = revision === stable;
  // Where the first set has gone already, both serve until it is whole again.
  if (back && (first || promoted) && mode.type === "replicated") {
    return { revision: stable, over: true, from: mode.replicas };
  }
  return first || (back && promoted) ? undefined : { revision, over: promoted, from: 1 };
}

/** What of a node's rows matters. */
export interface KnownNode {
  address: string;
  down: boolean;
}

/** What of a task's rows matters. There are tens of thousands of these. */
export interface KnownTask {
  id: string;
  slot: number;
  revision: number;
  nodeId: string;
  state: EndpointState;
  bound: readonly BoundPort[];
}

/** The task as clients see it; nothing for one that has no place or has ended. */
export function knownTask(task: Task, observed: Observed | undefined): KnownTask | undefined {
  const state = stateOf(task, observed);
  if (task.nodeId === undefined || isTerminal(state)) return undefined;
  const { id, slot, revision, nodeId, desired, disconnected } = task;
  const endpoint: EndpointState = desired === "stop"
    ? "draining"
    : disconnected
    ? "unreachable"
    : isReady(state, observed)
    ? "ready"
    : "starting";
  return { id, slot, revision, nodeId, state: endpoint, bound: observed?.ports ?? [] };
}

export interface Scene {
  service: KnownService;
  /** The ports of each revision that a task has, and of the wanted one. */
  portsOf(revision: number): readonly Port[];
  tasks: Iterable<KnownTask>;
  node(nodeId: string): KnownNode | undefined;
}

export function serviceEndpoints({ service, portsOf, tasks, node }: Scene): ServiceEndpoints {
  const wanted = portsOf(service.revision);
  const ports = wanted.flatMap((port): ServiceEndpoints["ports"] => {
    const { target, protocol } = port;
    const balancing = balancingOf(protocol, service.balance, port.balance);
    if (port.mode === "host" || port.published === undefined) {
      return [{ target, protocol, balancing }];
    }
    const published = allocated(service, port);
    const at = port.hostIp === undefined ? {} : { hostIp: port.hostIp };
    return published === undefined ? [] : [{ target, protocol, published, ...at, balancing }];
  });
  const inside = new Map<number, number[]>();
  const endpoints: Endpoint[] = [];
  const all = [...tasks];
  const stands = standing(service.turn, all);
  for (const task of all) {
    const at = node(task.nodeId);
    if (!at) continue;
    const own = inside.get(task.revision) ?? targetsIn(portsOf(task.revision), wanted);
    inside.set(task.revision, own);
    endpoints.push({
      taskId: task.id,
      slot: task.slot,
      nodeId: task.nodeId,
      address: at.address,
      ports: wanted.flatMap(({ target, protocol }, i) => {
        const bound = task.bound.find((b) => b.target === own[i] && b.protocol === protocol);
        return bound ? [{ target, protocol, port: bound.published }] : [];
      }),
      state: at.down && task.state !== "draining" ? "unreachable" : stands(task),
    });
  }
  endpoints.sort((a, b) => a.slot - b.slot || (a.taskId < b.taskId ? -1 : 1));
  const { id, project, name, routes = [], certificates } = service;
  return {
    ...{ id, project, name, aliases: service.aliases ?? [], ports, endpoints },
    ...(routes.length > 0 ? { routes } : {}),
    ...(certificates ? { certificates } : {}),
  };
}

/**
 * The state of each task as the turn has it: the second set waits while any of the first is ready, and the
 * first gets nothing new once it is the second's turn and enough of that are ready.
 */
function standing(
  turn: Turn | undefined,
  tasks: readonly KnownTask[],
): (task: KnownTask) => EndpointState {
  if (!turn) return ({ state }) => state;
  const { revision, over, from } = turn;
  const ready = tasks.filter((task) => task.state === "ready");
  const second = ready.filter((task) => task.revision === revision).length;
  const waits = !over && ready.length > second;
  const served = over && second >= from;
  return ({ state, revision: own }) => {
    if (state !== "ready") return state;
    if (own === revision) return waits ? "starting" : state;
    return served ? "draining" : state;
  };
}

/** The number that the service holds for one of its ports. */
function allocated(
  { ingressPorts }: Pick<KnownService, "ingressPorts">,
  { target, protocol, published }: Port,
): number | undefined {
  const fits = (number: number) =>
    typeof published === "object"
      ? number >= published.from && number <= published.to
      : number === published;
  return ingressPorts.find((held) =>
    held.target === target && held.protocol === protocol && fits(held.published)
  )?.published;
}

/**
 * The ports inside a task of another revision that stand for those of the wanted one: what it published
 * under the same number, or else the same target. So a published port may change its target in a
 * rollout, and old and new tasks serve side by side.
 */
function targetsIn(own: readonly Port[], wanted: readonly Port[]): number[] {
  return wanted.map(({ published, target, protocol }) => {
    const same = published === undefined
      ? undefined
      : own.find((port) => port.protocol === protocol && sameValue(port.published, published));
    return same?.target ?? target;
  });
}
