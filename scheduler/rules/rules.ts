/**
 * The rules of a request that look at other tasks, ready to be asked about the nodes of one overlay, and
 * the preferences that order nodes before a strategy does.
 *
 * Both are asked in two parts. What is *own* to a node can only change when that node gets a task; what is
 * *shared* is the same for all nodes of the same domains and changes with any of them. That is what lets
 * `place` keep one heap for each combination of domains.
 *
 * @module
 */
import type { Candidate, Overlay, Request } from "../overlay.ts";
import type { World } from "../world.ts";
import { affinityPreference, type AffinityRule, affinityRules } from "./affinity.ts";
import type { Topology } from "./domains.ts";
import { spreadPreference, type SpreadRule, spreadRules } from "./spread.ts";
import { taintPreference } from "./taints.ts";

export interface Rules {
  overlay: Overlay;
  affinities: AffinityRule[];
  spreads: SpreadRule[];
  /** Whether the node could have the task if it were empty. */
  admissible: (node: Candidate) => boolean;
}

/** Whole numbers, lower is better, compared before the score of the strategy. */
export interface Preference {
  name: string;
  applies(request: Request): boolean;
  own?(node: Candidate, request: Request): number;
  shared?(node: Candidate, request: Request): number;
}

/** Their sum comes before the strategy's score. */
const PREFERENCES: readonly Preference[] = [taintPreference, affinityPreference, spreadPreference];

export function compileRules(
  overlay: Overlay,
  request: Request,
  admissible: Rules["admissible"],
): Rules {
  return {
    overlay,
    affinities: affinityRules(overlay, request),
    spreads: spreadRules(overlay, request),
    admissible,
  };
}

/** The preferences that the request has. */
export function preferencesFor(request: Request): Preference[] {
  return PREFERENCES.filter((preference) => preference.applies(request));
}

export function ownPreference(
  preferences: readonly Preference[],
  node: Candidate,
  request: Request,
): number {
  let sum = 0;
  for (const preference of preferences) sum += preference.own?.(node, request) ?? 0;
  return sum;
}

export function sharedPreference(
  preferences: readonly Preference[],
  node: Candidate,
  request: Request,
): number {
  let sum = 0;
  for (const preference of preferences) sum += preference.shared?.(node, request) ?? 0;
  return sum;
}

/** The topologies whose shared domains matter to the request. */
export function topologiesOf({ affinities, spreads }: Rules): Topology[] {
  const found = new Set<Topology>();
  for (const { counter } of [...affinities, ...spreads]) {
    if (counter && counter.topology.values.length > 0) found.add(counter.topology);
  }
  return [...found];
}

/**
 * Whether the newest template keeps other services away from its tasks, so that they have to look out for
 * it: kept as an index of the world.
 */
export function repels(world: World, serviceId: string): boolean {
  const record = world.services.get(serviceId);
  const template = record?.templates.get(record.service.revision);
  return template?.placement.affinity.some(({ to, anti, required }) =>
    anti && required && "service" in to
  ) ?? false;
}
