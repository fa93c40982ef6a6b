/**
 * The filters of placement, in order: which nodes may have a task at all. Each one can say why it
 * refuses a node and what the smallest change would be. Nothing else may decide whether a task fits.
 *
 * @module
 */
import { type Candidate, type Overlay, portHolder, type Request } from "./overlay.ts";
import { affinity } from "./rules/affinity.ts";
import { constraints, pool } from "./rules/constraints.ts";
import { gpus } from "./rules/gpus.ts";
import { resources } from "./rules/resources.ts";
import { compileRules } from "./rules/rules.ts";
import { maxPerNode, spread } from "./rules/spread.ts";
import { taints } from "./rules/taints.ts";
import { locate, volumes } from "./rules/volumes.ts";
import type { World } from "./world.ts";

/** Why a filter refuses a node, and what to do about it. */
export interface Refusal {
  reason: string;
  remedy: string;
  /** How big a change the remedy is: orders remedies over all nodes, smallest first. */
  cost: number;
}

/** What a summary says of the nodes that a filter refuses for the same reason. */
export interface Group {
  /** After "1 " and after "2 ". */
  one: string;
  many: string;
  /** How much is lacking; set where the smallest gap is worth telling. */
  gap?: number;
}

export interface Filter {
  name: string;
  /** The answer does not depend on which tasks are where. */
  fixed?: true;
  /** Whether the request asks for anything that this filter looks at; if not, `check` is true. */
  applies(request: Request): boolean;
  check(node: Candidate, request: Request): boolean;
  /** The parts of `check`, where it looks at the tasks of other nodes; see rules/rules.ts. */
  checkOwn?(node: Candidate, request: Request): boolean;
  checkShared?(node: Candidate, request: Request): boolean;
  /** The next three are only asked about refused nodes. */
  group(node: Candidate, request: Request): Group;
  gapText?(node: Candidate, request: Request): string;
  explain(node: Candidate, request: Request, world: World): Refusal;
}

const ready: Filter = {
  name: "ready",
  fixed: true,
  applies: () => true,
  check: (node) => node.state === "ready" && node.record.spec.availability === "active",
  group(node) {
    const word = readinessOf(node);
    return { one: `is ${word}`, many: `are ${word}` };
  },
  explain(node) {
    const { name } = node.record.node;
    switch (readinessOf(node)) {
      case "down": {
        const why = node.record.status?.state === "down" ? `: ${node.record.status.why}` : "";
        return {
          reason: `${name} is down${why}`,
          remedy: `bring ${name} back: see to its agent and its network`,
          cost: 40,
        };
      }
      case "joining":
        return {
          reason: `${name} is joining: the leader has not seen it yet`,
          remedy: `wait for the agent of ${name} to poll`,
          cost: 5,
        };
      case "cordoned":
        return {
          reason: `${name} is cordoned: it gets no new tasks`,
          remedy: `set the availability of ${name} to active`,
          cost: 20,
        };
      case "draining":
        return {
          reason: `${name} is draining: its tasks are moved away`,
          remedy: `set the availability of ${name} to active`,
          cost: 25,
        };
    }
  },
};

function readinessOf(node: Candidate): "down" | "joining" | "cordoned" | "draining" {
  if (node.state === "down") return "down";
  if (node.record.spec.availability === "drain") return "draining";
  if (node.record.spec.availability === "cordon") return "cordoned";
  return "joining";
}

const node: Filter = {
  name: "node",
  fixed: true,
  applies: ({ template }) => template.placement.node !== undefined,
  check({ record }, { template: { placement } }) {
    return placement.node === undefined || record.node.name === placement.node ||
      record.node.id === placement.node;
  },
  group(_node, { template: { placement } }) {
    return { one: `is not node ${placement.node}`, many: `are not node ${placement.node}` };
  },
  explain({ record }, { template: { placement } }) {
    const { name } = record.node;
    return {
      reason: `${name} is not node ${placement.node}, which the service asks for`,
      remedy: `ask for node ${name}, or for none`,
      cost: 60,
    };
  },
};

const labels: Filter = {
  name: "labels",
  fixed: true,
  applies({ template }) {
    for (const _key in template.placement.labels) return true;
    return false;
  },
  check({ record }, { template: { placement } }) {
    for (const key in placement.labels) {
      if (record.labels[key] !== placement.labels[key]) return false;
    }
    return true;
  },
  group(node, request) {
    const lacking = lackingLabels(node, request).join(", ");
    return { one: `does not carry label ${lacking}`, many: `do not carry label ${lacking}` };
  },
  explain(node, request) {
    const { name } = node.record.node;
    const lacking = lackingLabels(node, request);
    const text = lacking.join(", ");
    return {
      reason: `${name} does not carry label ${text}`,
      remedy: `set label ${text} on ${name} or drop it from the placement`,
      cost: 30 + lacking.length,
    };
  },
};

function lackingLabels({ record }: Candidate, { template: { placement } }: Request): string[] {
  return Object.entries(placement.labels).filter(([key, value]) => record.labels[key] !== value)
    .map(([key, value]) => `${key}=${value}`);
}

const hostports: Filter = {
  name: "hostports",
  applies: (request) => request.ports.length > 0,
  check: (node, request) => request.ports.every((port) => portHolder(node, port) === undefined),
  group(node, request) {
    const ports = takenPorts(node, request).join(", ");
    return { one: `has host port ${ports} taken`, many: `have host port ${ports} taken` };
  },
  explain(node, request, world) {
    const { name } = node.record.node;
    const taken = takenPorts(node, request);
    const held = taken.map((port) => `${port} is held by ${holderName(node, port, world)}`);
    const ports = taken.join(", ");
    return {
      reason: `on ${name}, host port ${held.join(", ")}`,
      remedy: `free host port ${ports} on ${name} or publish another`,
      cost: 15 + taken.length / 100,
    };
  },
};

function takenPorts(node: Candidate, request: Request): string[] {
  return request.ports.filter((port) => portHolder(node, port) !== undefined);
}

function holderName(node: Candidate, port: string, world: World): string {
  const holder = portHolder(node, port);
  if (holder === undefined || holder === "other") return "something outside Berth";
  const task = world.tasks.get(holder.taskId)?.task;
  const service = task && world.services.get(task.serviceId)?.service;
  return task && service ? `task ${service.name}.${task.slot}` : "another task";
}

/** In the order in which they are asked; a node's first refusal is the one that summaries count. */
export const FILTERS: readonly Filter[] = [
  ready,
  node,
  pool,
  volumes,
  labels,
  constraints,
  taints,
  resources,
  gpus,
  hostports,
  maxPerNode,
  affinity,
  spread,
];

/**
 * The filters that have something to say about this request. Its rules are bound to the overlay: until
 * the next call the request is to be asked about the nodes of that one only.
 */
export function filtersFor(overlay: Overlay, request: Request): Filter[] {
  if (request.volumes.length > 0) request.located = locate(overlay, request);
  const fixed = FILTERS.filter((filter) => filter.fixed && filter.applies(request));
  request.rules = compileRules(
    overlay,
    request,
    (node) => firstRefusal(fixed, node, request) === undefined,
  );
  return FILTERS.filter((filter) => filter.applies(request));
}

/** The first filter that refuses the node; undefined when it fits. */
export function firstRefusal(
  filters: readonly Filter[],
  node: Candidate,
  request: Request,
): Filter | undefined {
  for (const filter of filters) if (!filter.check(node, request)) return filter;
  return undefined;
}
