/**
 * Spreading a service: evenly over the values of a label, and no more than so many tasks a node.
 *
 * A required spread compares with the domain that has the fewest tasks, among those with a node that
 * could have the task if it were empty: a full domain holds the others back, one that is down or excluded
 * by constraints does not.
 *
 * @module
 */
import type { Filter } from "../filters.ts";
import type { Candidate, Overlay, Request } from "../overlay.ts";
import {
  countAt,
  type Counter,
  counterOf,
  domainOf,
  domainText,
  isAlone,
  presentIn,
  tasksOf,
} from "./domains.ts";
import type { Preference, Rules } from "./rules.ts";

export interface SpreadRule {
  counter: Counter;
  label: string;
  maxSkew: number;
  required: boolean;
  weight: number;
  /** The domains to compare with, by number, once needed. */
  domains?: number[];
  /** The one with the fewest tasks, and the version of the counter for which that is true. */
  fewest?: { domain: number; version: number };
}

/** Puts nodes without the label behind all others. */
const UNLABELLED = 1e9;

export function spreadRules(overlay: Overlay, { serviceId, template }: Request): SpreadRule[] {
  return template.placement.spread.map(({ label, maxSkew, required, weight }) => {
    const counter = counterOf(overlay, serviceId, label);
    return { counter, label, maxSkew, required, weight };
  });
}

/** The domain with the fewest tasks, the first one by number; undefined when there is none. */
function fewestOf(rule: SpreadRule, rules: Rules): number | undefined {
  const { counter, counter: { version } } = rule;
  if (rule.fewest?.version === version) return rule.fewest.domain;
  const domains = rule.domains ??= eligibleDomains(rule, rules);
  let domain: number | undefined;
  for (const other of domains) {
    if (domain === undefined || presentIn(counter, other) < presentIn(counter, domain)) {
      domain = other;
    }
  }
  if (domain !== undefined) rule.fewest = { domain, version };
  return domain;
}

function eligibleDomains({ counter: { topology } }: SpreadRule, rules: Rules): number[] {
  const found = new Set<number>();
  for (const node of rules.overlay.candidates) {
    const domain = domainOf(topology, node);
    if (domain >= topology.values.length || found.has(domain)) continue;
    if (rules.admissible(node)) found.add(domain);
    if (found.size === topology.values.length) break;
  }
  return [...found].sort((a, b) => a - b);
}

/** By how much one more task in the node's domain would exceed what is allowed. */
function excess(rule: SpreadRule, node: Candidate, rules: Rules): number {
  const fewest = fewestOf(rule, rules);
  if (fewest === undefined) return 0;
  const least = presentIn(rule.counter, fewest);
  return countAt(rule.counter, node) + 1 - least - rule.maxSkew;
}

function eachRequired(
  { rules }: Request,
  test: (rule: SpreadRule, rules: Rules) => boolean,
): boolean {
  for (const rule of rules?.spreads ?? []) {
    if (rules && rule.required && !test(rule, rules)) return false;
  }
  return true;
}

const checkOwn: Filter["check"] = (node, request) =>
  eachRequired(request, ({ counter }) => !isAlone(counter.topology, node));

const checkShared: Filter["check"] = (node, request) =>
  eachRequired(request, (rule, rules) => excess(rule, node, rules) <= 0);

export const spread: Filter = {
  name: "spread",
  applies: ({ template }) => template.placement.spread.some(({ required }) => required),
  check: (node, request) => checkOwn(node, request) && checkShared(node, request),
  checkOwn,
  checkShared,
  group(node, request) {
    const rule = refusing(node, request);
    if (!rule) return { one: "", many: "" };
    const { label, counter } = rule;
    return isAlone(counter.topology, node)
      ? { one: `does not carry label ${label}`, many: `do not carry label ${label}` }
      : { one: `has enough in its ${label}`, many: `have enough in their ${label}` };
  },
  explain(node, request) {
    const { name } = node.record.node;
    const rule = refusing(node, request);
    const { rules } = request;
    if (!rule || !rules) return { reason: "", remedy: "", cost: 0 };
    const { label, counter, maxSkew } = rule;
    if (isAlone(counter.topology, node)) {
      return {
        reason: `${name} does not carry label ${label}, over which the service is spread`,
        remedy: `set label ${label} on ${name} or make the spread a preference`,
        cost: 32,
      };
    }
    const fewest = fewestOf(rule, rules) ?? 0;
    const least = `${label} ${counter.topology.values[fewest] ?? ""}`;
    const [here, there] = [countAt(counter, node), presentIn(counter, fewest)];
    return {
      reason: `${domainText(counter.topology, node)} has ${count(here)} of the service, ${least} ` +
        `has ${there}: one more would exceed the skew of ${maxSkew}`,
      remedy: `make room in ${least} or allow a skew of ${maxSkew + excess(rule, node, rules)}`,
      cost: 33,
    };
  },
};

/** The first required spread that refuses the node. */
function refusing(node: Candidate, { rules }: Request): SpreadRule | undefined {
  if (!rules) return undefined;
  return rules.spreads.find((rule) =>
    rule.required &&
    (isAlone(rule.counter.topology, node) || excess(rule, node, rules) > 0)
  );
}

export const spreadPreference: Preference = {
  name: "spread",
  applies: ({ template }) => template.placement.spread.some(({ required }) => !required),
  shared(node, { rules }) {
    let sum = 0;
    for (const { required, weight, counter } of rules?.spreads ?? []) {
      if (required) continue;
      sum += isAlone(counter.topology, node) ? UNLABELLED : weight * countAt(counter, node);
    }
    return sum;
  },
};

export const maxPerNode: Filter = {
  name: "maxpernode",
  applies: ({ template }) => template.placement.maxPerNode !== undefined,
  check: (node, { serviceId, template }) =>
    tasksOf(node, serviceId) < (template.placement.maxPerNode ?? Infinity),
  group(_node, { template }) {
    const most = template.placement.maxPerNode ?? 0;
    return { one: `has ${count(most)} of the service`, many: `have ${count(most)} of the service` };
  },
  explain(node, { serviceId, template }) {
    const { name } = node.record.node;
    const most = template.placement.maxPerNode ?? 0;
    const tasks = tasksOf(node, serviceId);
    return {
      reason: `${name} has ${count(tasks)} of the service, and maxPerNode is ${most}`,
      remedy: `add a node or raise maxPerNode to ${tasks + 1}`,
      cost: 42,
    };
  },
};

function count(tasks: number): string {
  return tasks === 1 ? "1 task" : `${tasks} tasks`;
}
