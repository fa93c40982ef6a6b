/**
 * Why a task is where it is, or nowhere: told by the filters and scorers that decide it.
 *
 * @module
 */
import type { NodeVerdict, Why } from "../kv/schema/why.ts";
import { isTerminal } from "../kv/schema/task_state.ts";
import { type Filter, filtersFor, firstRefusal, type Group, type Refusal } from "./filters.ts";
import {
  ask,
  type Candidate,
  giveBack,
  type Overlay,
  overlayOf,
  rank,
  type Request,
  requestOf,
} from "./overlay.ts";
import { precedes } from "./place.ts";
import { ownPreference, type Preference, preferencesFor, sharedPreference } from "./rules/rules.ts";
import { scoreOf, type Strategy } from "./scores.ts";
import { STRATEGIES } from "./strategies/table.ts";
import { portTrouble } from "./unbound_ports.ts";
import type { ServiceRecord, TaskRecord, World } from "./world.ts";

/** The longest `why` that a task row takes. */
const WHY_LENGTH = 1024;

interface Tally {
  filter: Filter;
  group: Group;
  count: number;
  nearest: Candidate;
}

/**
 * One sentence on why no node has room: "0 of 5 nodes fit: 3 lack memory (smallest gap: 512 MiB of
 * memory on n2), 1 is down, 1 does not carry label zone=a". Each node counts for its first refusal.
 */
export function whyNowhere(
  overlay: Overlay,
  request: Request,
  among: readonly Candidate[] = overlay.candidates,
): string {
  const total = among.length;
  if (total === 0) return "there are no nodes yet";
  const filters = filtersFor(overlay, request);
  const tallies = new Map<string, Tally>();
  let fitting = 0;
  for (const node of among) {
    const filter = firstRefusal(filters, node, request);
    if (!filter) {
      fitting++;
      continue;
    }
    const group = filter.group(node, request);
    const tally = tallies.get(group.one);
    if (!tally) tallies.set(group.one, { filter, group, count: 1, nearest: node });
    else {
      tally.count++;
      if (isNearer(node, group, tally)) Object.assign(tally, { nearest: node, group });
    }
  }
  const counts = [...tallies.values()]
    .sort((a, b) => b.count - a.count || (a.group.one < b.group.one ? -1 : 1))
    .map((tally) => tallyText(tally, request));
  const nodes = total === 1 ? "1 node fits" : `${total} nodes fit`;
  return clip(`${fitting} of ${nodes}: ${counts.join(", ")}`);
}

function isNearer(node: Candidate, group: Group, { group: best, nearest }: Tally): boolean {
  const [gap, least] = [group.gap ?? 0, best.gap ?? 0];
  return gap === least ? node.record.node.name < nearest.record.node.name : gap < least;
}

function tallyText({ filter, group, count, nearest }: Tally, request: Request): string {
  const gap = filter.gapText?.(nearest, request);
  return `${count} ${count === 1 ? group.one : group.many}` +
    (gap ? ` (smallest gap: ${gap})` : "");
}

function clip(text: string): string {
  return text.length <= WHY_LENGTH ? text : `${text.slice(0, WHY_LENGTH - 1)}…`;
}

/** The strategy that places this service's tasks. */
export function strategyOf(world: World, request: Request): Strategy {
  return STRATEGIES[request.template.placement.strategy ?? world.strategy];
}

/**
 * Explains one task: node by node what refuses it and what would change that, or what the node scores.
 * A task that has a node is judged as if it were placed now, without itself.
 */
export function explain(world: World, record: TaskRecord): Why {
  const { task, state } = record;
  const service = world.services.get(task.serviceId);
  const template = service?.templates.get(task.revision);
  const name = `${service?.service.name ?? task.serviceId}.${task.slot}`;
  const why = { taskId: task.id, name, state };
  if (!service || !template) {
    const strategy = world.strategy;
    return { ...why, summary: "its service or revision is gone", strategy, nodes: [] };
  }
  const request = requestOf(task.serviceId, template);
  const overlay = overlayOf(world);
  const among = task.pin === undefined
    ? overlay.candidates
    : overlay.candidates.filter(({ record: { node } }) => node.id === task.pin);
  const own = overlay.candidates.find((node) => node.record.holding.has(task.id));
  if (own) giveBack(overlay, own, request);
  const judged = judge({ world, overlay, request, among, slot: task.slot });
  const remedy = state === "pending" ? smallestRemedy(judged) : undefined;
  const summary = summaryOf(record, { world, service, overlay, request, among, judged });
  const trouble = isTerminal(state) ? [] : portTrouble(world, service.service.ingressPorts);
  return {
    ...why,
    summary: clip([summary, ...trouble].join("; ")),
    ...(remedy === undefined ? {} : { remedy }),
    strategy: template.placement.strategy ?? world.strategy,
    nodes: judged.map(({ verdict }) => verdict),
  };
}

interface Judged {
  node: Candidate;
  verdict: NodeVerdict;
  refusals: Refusal[];
}

interface Question {
  world: World;
  /** All nodes: rules look at others than those that are asked about, too. */
  overlay: Overlay;
  request: Request;
  among: readonly Candidate[];
}

/** Each of these nodes: those that fit first, by preference, then the others by name. */
function judge({ world, overlay, request, among, slot }: Question & { slot: number }): Judged[] {
  const strategy = strategyOf(world, request);
  const filters = filtersFor(overlay, request);
  const preferences = preferencesFor(request);
  rank(overlay);
  return among.map((node): Judged => {
    const { id: nodeId, name } = node.record.node;
    const refused = filters.filter((filter) => !filter.check(node, request))
      .map((filter) => ({ filter, refusal: filter.explain(node, request, world) }));
    const verdict: NodeVerdict = {
      nodeId,
      node: name,
      fits: refused.length === 0,
      refusals: refused.map(({ filter, refusal: { reason, remedy } }) => ({
        filter: filter.name,
        reason,
        remedy,
      })),
    };
    if (verdict.fits) {
      ask(node, request);
      node.score = scoreOf(strategy, node, request, slot);
      verdict.score = node.score;
      verdict.scores = Object.fromEntries([
        ...preferences.map((preference) => [preference.name, against([preference], node, request)]),
        ...strategy.map(({ scorer }) => [scorer.name, scorer.score(node, request, slot)]),
      ]);
      node.preference = against(preferences, node, request);
      if (preferences.length > 0) verdict.preference = node.preference;
    }
    return { node, verdict, refusals: refused.map(({ refusal }) => refusal) };
  }).sort((a, b) => {
    if (a.verdict.fits !== b.verdict.fits) return a.verdict.fits ? -1 : 1;
    if (a.verdict.fits) return precedes(a.node, b.node) ? -1 : 1;
    return a.verdict.node < b.verdict.node ? -1 : 1;
  });
}

/** What the preferences have against the node. */
function against(preferences: Preference[], node: Candidate, request: Request): number {
  return ownPreference(preferences, node, request) + sharedPreference(preferences, node, request);
}

/** The smallest change over all nodes; undefined when one fits already. */
function smallestRemedy(judged: readonly Judged[]): string | undefined {
  if (judged.length === 0) {
    return "join a node: `berth node join-token` prints the line to run on it";
  }
  let best: Judged | undefined;
  for (const candidate of judged) {
    if (candidate.verdict.fits) return undefined;
    if (!best || costOf(candidate) < costOf(best)) best = candidate;
  }
  return best?.refusals.map(({ remedy }) => remedy).join("; and ");
}

function costOf({ refusals }: Judged): number {
  return refusals.reduce((sum, { cost }) => sum + cost, 0);
}

interface Scene extends Question {
  service: ServiceRecord;
  judged: readonly Judged[];
}

function summaryOf({ task, state, observed }: TaskRecord, scene: Scene): string {
  const { world, overlay, request, among, judged } = scene;
  const fitting = judged.filter(({ verdict }) => verdict.fits);
  if (state === "pending") {
    if (task.nominated !== undefined && task.why && fitting.length === 0) return task.why;
    return fitting.length === 0
      ? whyNowhere(overlay, request, among)
      : `fits on ${fitting[0]?.verdict.node}: it will be placed at the next planning`;
  }
  const node = task.nodeId === undefined ? undefined : world.nodes.get(task.nodeId)?.node.name;
  const where = task.nodeId === undefined ? "" : ` on ${node ?? "a node that was removed"}`;
  const said = observed?.message ?? task.why;
  if (isTerminal(state)) return `${state}${where}${said ? `: ${said}` : ""}`;
  if (task.desired === "stop") return `stopping${where}${task.why ? `: ${task.why}` : ""}`;
  // What is under way, or in its way, matters more than what the node was chosen for.
  if (state !== "running" && observed?.message) return `${state}${where}: ${observed.message}`;
  const strategy = request.template.placement.strategy ?? world.strategy;
  const rank = fitting.findIndex(({ verdict }) => verdict.nodeId === task.nodeId) + 1;
  const fit = `${fitting.length} of ${judged.length} nodes fit now`;
  return rank === 0
    ? `${state}${where}; it would not be placed there now (${fit})`
    : `${state}${where}, number ${rank} by ${strategy} as things are now (${fit})`;
}
