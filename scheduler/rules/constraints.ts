/**
 * Constraints and pools: what a node must be like.
 *
 * @module
 */
import { type Constraint, constraintText, parseConstraint } from "../../kv/schema/constraint.ts";
import { type Address, contains, parseAddress } from "../../kv/schema/ip.ts";
import type { Affinity, Placement } from "../../kv/schema/placement.ts";
import type { Filter } from "../filters.ts";
import type { Candidate, Request } from "../overlay.ts";
import type { NodeRecord } from "../world.ts";

/** Names that engines and people use for the same architecture. */
const ARCHITECTURES: Readonly<Record<string, string>> = {
  "x86_64": "amd64",
  "x86-64": "amd64",
  "aarch64": "arm64",
  "armv7l": "arm",
  "i386": "386",
  "i686": "386",
};

/** The constraints of a placement, those that required affinities to nodes amount to among them. */
export function requiredConstraints(placement: Placement): Constraint[] {
  const required = placement.constraints.map(read);
  for (const affinity of placement.affinity) {
    const constraint = affinity.required ? constraintOf(affinity) : undefined;
    if (constraint) required.push(constraint);
  }
  return required;
}

/** What an affinity to nodes asks of a node: for `anti` the opposite of what it says. */
export function constraintOf({ to, anti }: Affinity): Constraint | undefined {
  if (!("constraint" in to)) return undefined;
  const constraint = read(to.constraint);
  return { ...constraint, equal: constraint.equal !== anti };
}

function read(text: string): Constraint {
  const parsed = parseConstraint(text);
  if (!parsed.ok) throw new Error(`constraint ${text}: ${parsed.message}`);
  return parsed.constraint;
}

/** Whether the node meets the constraint. What it does not have is unequal to everything. */
export function meets(record: NodeRecord, constraint: Constraint): boolean {
  return isEqual(record, constraint) === constraint.equal;
}

function isEqual(record: NodeRecord, { attribute, label = "", value, network }: Constraint) {
  const { node, spec } = record;
  switch (attribute) {
    case "node.id":
      return same(node.id, value);
    case "node.name":
      return same(node.name, value);
    case "node.hostname":
      return same(node.hostname ?? node.name, value);
    case "node.pool":
      return same(spec.pool, value);
    case "node.platform.os":
      return same(node.os, value);
    case "node.platform.arch":
      return architecture(node.arch) === architecture(value);
    case "node.labels":
      return same(record.labels[label], value);
    case "engine.labels":
      return same(node.engineLabels[label], value);
    case "node.ip": {
      const address = addressOf(node.address);
      return network !== undefined && address !== undefined && contains(network, address);
    }
  }
}

/** The address of a node that has given one; a host name is none. */
function addressOf(text: string): Address | undefined {
  return parseAddress(text.replace(/^\[(.*)\]$/, "$1"));
}

function same(actual: string | undefined, value: string): boolean {
  if (actual === undefined || actual === value) return actual === value;
  return actual.length === value.length && actual.toLowerCase() === value.toLowerCase();
}

function architecture(name: string): string {
  const lower = name.toLowerCase();
  return ARCHITECTURES[lower] ?? lower;
}

/** The constraints that the node does not meet. */
function failing({ record }: Candidate, request: Request): Constraint[] {
  return request.constraints.filter((constraint) => !meets(record, constraint));
}

export const constraints: Filter = {
  name: "constraints",
  fixed: true,
  applies: (request) => request.constraints.length > 0,
  check({ record }, request) {
    for (const constraint of request.constraints) if (!meets(record, constraint)) return false;
    return true;
  },
  group(node, request) {
    const text = failing(node, request).map(constraintText).join(" and ");
    return { one: `does not meet ${text}`, many: `do not meet ${text}` };
  },
  explain(node, request) {
    const failed = failing(node, request);
    const remedies = failed.map((constraint) => remedyFor(node, constraint));
    return {
      reason: failed.map((constraint) => shortfall(node, constraint)).join("; "),
      remedy: remedies.map(({ text }) => text).join(" and ") +
        (failed.length === 1 ? " or drop the constraint" : " or drop these constraints"),
      cost: remedies.reduce((sum, { cost }) => sum + cost, 0),
    };
  },
};

function shortfall({ record }: Candidate, constraint: Constraint): string {
  const { name } = record.node;
  const actual = actualOf(record, constraint);
  return `${name} does not meet ${constraintText(constraint)}: ` +
    (actual === undefined ? "it has no such label" : `it has ${actual}`);
}

function actualOf({ node, spec, labels }: NodeRecord, { attribute, label = "" }: Constraint) {
  switch (attribute) {
    case "node.id":
      return node.id;
    case "node.name":
      return node.name;
    case "node.hostname":
      return node.hostname ?? node.name;
    case "node.pool":
      return spec.pool;
    case "node.platform.os":
      return node.os;
    case "node.platform.arch":
      return node.arch;
    case "node.ip":
      return node.address;
    case "node.labels":
      return labels[label];
    case "engine.labels":
      return node.engineLabels[label];
  }
}

function remedyFor({ record }: Candidate, constraint: Constraint): { text: string; cost: number } {
  const { name } = record.node;
  const { attribute, label, equal, value } = constraint;
  if (attribute === "node.labels") {
    const text = equal
      ? `set label ${label}=${value} on ${name}`
      : `change label ${label} of ${name}`;
    return { text, cost: 31 };
  }
  if (attribute === "node.pool") {
    const text = equal ? `put ${name} into pool ${value}` : `put ${name} into another pool`;
    return { text, cost: 35 };
  }
  const wanted = equal ? "with" : "without";
  return {
    text: `add a node ${wanted} ${attribute}${label ? `.${label}` : ""} ${value}`,
    cost: 60,
  };
}

export const pool: Filter = {
  name: "pool",
  fixed: true,
  applies: ({ template }) => template.placement.pool !== undefined,
  check: ({ record }, { template }) => record.spec.pool === template.placement.pool,
  group(_node, { template: { placement } }) {
    return { one: `is not in pool ${placement.pool}`, many: `are not in pool ${placement.pool}` };
  },
  explain({ record }, { template: { placement } }) {
    const { name } = record.node;
    return {
      reason: `${name} is in pool ${record.spec.pool}, not in ${placement.pool}`,
      remedy: `put ${name} into pool ${placement.pool} or ask for no pool`,
      cost: 35,
    };
  },
};
