/**
 * Affinity and anti-affinity: with or away from a service's tasks, or nodes.
 *
 * 1. Together means in one domain of the rule's topology (domains.ts).
 * 2. A required affinity to a service that has no task anywhere refuses every node, unless it is the
 *    service itself: its first task may go anywhere.
 * 3. A required anti-affinity holds in both directions: who is placed later keeps away as well.
 * 4. A preferred affinity asks whether there is a task, a preferred anti-affinity how many: the one does
 *    not pile tasks up, the other spreads them.
 *
 * @module
 */
import { type Constraint, constraintText } from "../../kv/schema/constraint.ts";
import { type Affinity, NODE_TOPOLOGY } from "../../kv/schema/placement.ts";
import type { Filter, Group } from "../filters.ts";
import type { Candidate, Overlay, Request } from "../overlay.ts";
import type { ServiceRecord } from "../world.ts";
import { constraintOf, meets } from "./constraints.ts";
import {
  countAt,
  type Counter,
  counterOf,
  domainOf,
  domainText,
  isAlone,
  presentIn,
} from "./domains.ts";
import type { Preference } from "./rules.ts";

export interface AffinityRule {
  /** To nodes: what is asked of them. */
  constraint?: Constraint;
  /** To a service: its tasks; absent while there is no such service. */
  counter?: Counter;
  topology: string;
  anti: boolean;
  required: boolean;
  weight: number;
  /** The service is the one that asks. */
  self: boolean;
  /** Its name, for people. */
  target: string;
  /** The rule is the other service's: invariant 3. */
  theirs: boolean;
}

/** Required affinities to nodes are among the constraints. */
export function affinityRules(overlay: Overlay, request: Request): AffinityRule[] {
  const own = overlay.world.services.get(request.serviceId);
  const rules: AffinityRule[] = [];
  for (const affinity of request.template.placement.affinity) {
    const constraint = constraintOf(affinity);
    if (!constraint) rules.push(serviceRule(overlay, own, affinity));
    else if (!affinity.required) {
      const { topology, required, weight } = affinity;
      const target = constraintText(constraint);
      const flags = { anti: false, self: false, theirs: false };
      rules.push({ constraint, topology, required, weight, target, ...flags });
    }
  }
  for (const id of overlay.world.repellers) {
    if (id !== request.serviceId && own) rules.push(...rulesAgainst(overlay, id, own));
  }
  return rules;
}

function serviceRule(
  overlay: Overlay,
  own: ServiceRecord | undefined,
  { to, topology, anti, required, weight }: Affinity,
): AffinityRule {
  const name = "service" in to ? to.service : "";
  const home = own?.service.project ?? "";
  const project = ("service" in to ? to.project : undefined) ?? home;
  const id = overlay.world.names.get(`${project}/${name}`);
  return {
    ...(id === undefined ? {} : { counter: counterOf(overlay, id, topology) }),
    topology,
    anti,
    required,
    weight,
    self: id !== undefined && id === own?.service.id,
    target: project === home ? name : `${project}/${name}`,
    theirs: false,
  };
}

/** The rules by which another service keeps `own` away. */
function rulesAgainst(overlay: Overlay, id: string, own: ServiceRecord): AffinityRule[] {
  const other = overlay.world.services.get(id);
  const template = other?.templates.get(other.service.revision);
  if (!other || !template) return [];
  const rules: AffinityRule[] = [];
  for (const { to, topology, anti, required, weight } of template.placement.affinity) {
    if (!anti || !required || !("service" in to) || to.service !== own.service.name) continue;
    if ((to.project ?? other.service.project) !== own.service.project) continue;
    const counter = counterOf(overlay, id, topology);
    const target = other.service.name;
    rules.push({ counter, topology, anti, required, weight, self: false, target, theirs: true });
  }
  return rules;
}

/** Whether only the node's own tasks count. */
function isOwn({ counter }: AffinityRule, node: Candidate): boolean {
  return counter === undefined || isAlone(counter.topology, node);
}

function admits({ counter, anti, self }: AffinityRule, node: Candidate): boolean {
  if (!counter) return anti;
  if (anti) return countAt(counter, node) === 0;
  return presentIn(counter, domainOf(counter.topology, node)) > 0 || (self && counter.total === 0); // Invariant 2.
}

function cost({ constraint, counter, anti, weight }: AffinityRule, node: Candidate): number {
  if (constraint) return meets(node.record, constraint) ? 0 : weight;
  const tasks = counter ? countAt(counter, node) : 0;
  return weight * (anti ? tasks : tasks > 0 ? 0 : 1); // Invariant 4.
}

function violated(node: Candidate, { rules }: Request): AffinityRule[] {
  return rules?.affinities.filter((rule) => rule.required && !admits(rule, node)) ?? [];
}

function allAdmit(node: Candidate, { rules }: Request, own: boolean): boolean {
  for (const rule of rules?.affinities ?? []) {
    if (rule.required && isOwn(rule, node) === own && !admits(rule, node)) return false;
  }
  return true;
}

export const affinity: Filter = {
  name: "affinity",
  applies: ({ rules }) => rules?.affinities.some(({ required }) => required) ?? false,
  check: (node, request) => allAdmit(node, request, true) && allAdmit(node, request, false),
  checkOwn: (node, request) => allAdmit(node, request, true),
  checkShared: (node, request) => allAdmit(node, request, false),
  group(node, request) {
    const groups = violated(node, request).map(groupOf);
    const text = (form: "one" | "many") => groups.map((group) => group[form]).join(" and ");
    return { one: text("one"), many: text("many") };
  },
  explain(node, request) {
    const rules = violated(node, request);
    return {
      reason: rules.map((rule) => reason(node, rule)).join("; "),
      remedy: rules.map((rule) => remedy(node, rule)).join(" and "),
      cost: 45 * rules.length,
    };
  },
};

function groupOf({ anti, theirs, target, topology }: AffinityRule): Group {
  const [its, their] = topology === NODE_TOPOLOGY
    ? ["", ""]
    : [` in its ${topology}`, ` in their ${topology}`];
  if (!anti) {
    return { one: `has no task of ${target}${its}`, many: `have no task of ${target}${their}` };
  }
  const wish = theirs ? ", which keeps away" : "";
  return {
    one: `has a task of ${target}${its}${wish}`,
    many: `have a task of ${target}${their}${wish}`,
  };
}

function reason(node: Candidate, { counter, anti, theirs, target }: AffinityRule): string {
  if (!counter) return `there is no service ${target}, which the service asks to be with`;
  const where = domainText(counter.topology, node);
  if (anti) {
    const who = theirs ? `which keeps away from the service` : `from which the service keeps away`;
    return `${where} has a task of ${target}, ${who}`;
  }
  const anywhere = counter.total === 0 ? "; it has none anywhere" : "";
  return `${where} has no task of ${target}, with which the service asks to be${anywhere}`;
}

function remedy(node: Candidate, { counter, anti, theirs, target }: AffinityRule): string {
  if (!counter) return `create service ${target} or drop the affinity`;
  const where = domainText(counter.topology, node);
  if (!anti) return `place a task of ${target} on ${where} or drop the affinity`;
  const whose = theirs ? ` of ${target}` : "";
  return `move ${target} away from ${where} or drop the anti-affinity${whose}`;
}

export const affinityPreference: Preference = {
  name: "affinity",
  applies: ({ rules }) => rules?.affinities.some(({ required }) => !required) ?? false,
  own: (node, request) => sum(node, request, true),
  shared: (node, request) => sum(node, request, false),
};

function sum(node: Candidate, { rules }: Request, own: boolean): number {
  let total = 0;
  for (const rule of rules?.affinities ?? []) {
    if (!rule.required && isOwn(rule, node) === own) total += cost(rule, node);
  }
  return total;
}
