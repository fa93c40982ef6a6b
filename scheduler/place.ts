/**
 * Placing a group of identical tasks: the result is that of a full scan for each task, without one.
 *
 * 1. Nodes are filtered and scored once. What is own to a node (rules/rules.ts) changes only when it gets
 *    a task, and a node that refuses by itself refuses for good, because nothing is taken away meanwhile.
 * 2. What is shared is the same for all nodes of the same domains. They form a cell with a heap of its own;
 *    each task goes to the best of the cells' best, so that a task costs as much as there are cells.
 * 3. Only a strategy whose scores depend on the slot looks further, and one such strategy together with
 *    preferences or shared rules does scan all nodes for each task.
 *
 * @module
 */
import { type Filter, filtersFor, firstRefusal } from "./filters.ts";
import { ask, type Candidate, type Overlay, rank, type Request, take } from "./overlay.ts";
import { domainOf } from "./rules/domains.ts";
import {
  ownPreference,
  type Preference,
  preferencesFor,
  sharedPreference,
  topologiesOf,
} from "./rules/rules.ts";
import { lotOf, scoreOf, type Strategy } from "./scores.ts";

/**
 * Places one task for each slot, in order, and sets aside in the overlay what they need. Answers the
 * chosen nodes; fewer than there are slots when no node has room for more.
 */
export function place(
  overlay: Overlay,
  request: Request,
  options: { strategy: Strategy; slots: readonly number[] },
): Candidate[] {
  const { strategy, slots } = options;
  if (slots.length === 0) return [];
  const filters = filtersFor(overlay, request);
  const own = filters.map((filter): Check =>
    filter.checkOwn
      ? (node) => filter.checkOwn?.(node, request) ?? true
      : (node) => filter.check(node, request)
  );
  const preferences = preferencesFor(request);
  const fitting: Candidate[] = [];
  for (const node of overlay.candidates) {
    if (!passes(own, node)) continue;
    ask(node, request);
    fitting.push(node);
  }
  const search = { overlay, request, strategy, slots, filters, own, preferences, fitting };
  if (!strategy.some(({ scorer }) => scorer.perSlot)) return draw(search);
  rank(overlay);
  const plain = strategy.length === 1 && preferences.length === 0 &&
    !filters.some((filter) => filter.checkShared);
  return plain ? probe(search) : scan(search);
}

/** Whether any node has room for one such task. */
export function fitsSomewhere(overlay: Overlay, request: Request): boolean {
  const filters = filtersFor(overlay, request);
  return overlay.candidates.some((node) => !firstRefusal(filters, node, request));
}

type Check = (node: Candidate) => boolean;

interface Search {
  overlay: Overlay;
  request: Request;
  strategy: Strategy;
  slots: readonly number[];
  filters: Filter[];
  /** What each filter says of a node by itself. */
  own: Check[];
  preferences: Preference[];
  /** The nodes that pass these checks. */
  fitting: Candidate[];
}

function passes(checks: readonly Check[], node: Candidate): boolean {
  for (const check of checks) if (!check(node)) return false;
  return true;
}

/** Invariant 2. */
function draw(search: Search): Candidate[] {
  const { overlay, request, slots, filters, own } = search;
  const shared = filters.filter((filter) => filter.checkShared);
  // A node's own answer of these depends on whether there is a task anywhere: ask again.
  const fickle = filters.filter((filter) => filter.checkOwn);
  const cells = cellsOf(search);
  for (const cell of cells) {
    for (const node of cell) rate(search, node);
    for (let i = (cell.length >> 1) - 1; i >= 0; i--) sink(cell, i);
  }
  const chosen: Candidate[] = [];
  for (let i = 0; i < slots.length; i++) {
    const cell = bestCell(search, cells, { shared, fickle });
    const best = cell?.[0];
    if (!cell || !best) break;
    take(overlay, best, request);
    chosen.push(best);
    if (passes(own, best)) rate(search, best);
    else removeTop(cell);
    sink(cell, 0);
  }
  return chosen;
}

function rate({ strategy, request, preferences }: Search, node: Candidate): void {
  node.preference = ownPreference(preferences, node, request);
  node.score = scoreOf(strategy, node, request, 0);
}

function bestCell(
  { request, preferences }: Search,
  cells: readonly Candidate[][],
  { shared, fickle }: { shared: readonly Filter[]; fickle: readonly Filter[] },
): Candidate[] | undefined {
  if (cells.length === 1 && shared.length === 0 && fickle.length === 0) return cells[0];
  let best: Candidate[] | undefined;
  let least = Infinity;
  for (const cell of cells) {
    while (cell[0] && fickle.some((filter) => cell[0] && !filter.checkOwn?.(cell[0], request))) {
      removeTop(cell);
      sink(cell, 0);
    }
    const top = cell[0];
    if (!top || shared.some((filter) => !filter.checkShared?.(top, request))) continue;
    const preference = top.preference + sharedPreference(preferences, top, request);
    if (preference > least) continue;
    if (best?.[0] && preference === least && !outranks(top, best[0])) continue;
    best = cell;
    least = preference;
  }
  return best;
}

/** The fitting nodes by the domains that they are in. */
function cellsOf({ request, fitting }: Search): Candidate[][] {
  const topologies = request.rules ? topologiesOf(request.rules) : [];
  let cellOf = new Map<Candidate, number>();
  let cells: Candidate[][] = [fitting];
  for (const topology of topologies) {
    const numbers = new Map<number, number>();
    const finer: Candidate[][] = [];
    const { values } = topology;
    const next = new Map<Candidate, number>();
    for (const node of fitting) {
      const domain = Math.min(domainOf(topology, node), values.length); // The alone are as one.
      const key = (cellOf.get(node) ?? 0) * (values.length + 1) + domain;
      let number = numbers.get(key);
      if (number === undefined) {
        numbers.set(key, number = finer.length);
        finer.push([]);
      }
      next.set(node, number);
      finer[number]?.push(node);
    }
    cellOf = next;
    cells = finer;
  }
  return cells;
}

/** Tries the nodes in the order of the slot's lot: about one try while most of them fit. */
function probe({ overlay, request, slots, own, fitting }: Search): Candidate[] {
  const ranked = rank(overlay);
  const open = new Set(fitting);
  const chosen: Candidate[] = [];
  for (const slot of slots) {
    if (open.size === 0) break;
    const { of, start, stride } = lotOf(request, slot, ranked.length);
    let at = start;
    let node = ranked[at];
    while (!node || !open.has(node)) node = ranked[at = (at + stride) % of];
    take(overlay, node, request);
    chosen.push(node);
    if (!passes(own, node)) open.delete(node);
  }
  return chosen;
}

/** Every slot looks at every node. */
function scan({ overlay, request, strategy, slots, filters, preferences, fitting }: Search) {
  const chosen: Candidate[] = [];
  for (const slot of slots) {
    let best: Candidate | undefined;
    for (const node of fitting) {
      if (firstRefusal(filters, node, request)) continue;
      node.preference = ownPreference(preferences, node, request) +
        sharedPreference(preferences, node, request);
      node.score = scoreOf(strategy, node, request, slot);
      if (!best || precedes(node, best)) best = node;
    }
    if (!best) break;
    take(overlay, best, request);
    chosen.push(best);
  }
  return chosen;
}

/** The order among scored candidates. */
export function precedes(a: Candidate, b: Candidate): boolean {
  return a.preference === b.preference ? outranks(a, b) : a.preference < b.preference;
}

/** The order among candidates that are preferred equally. */
function outranks(a: Candidate, b: Candidate): boolean {
  return a.score === b.score ? a.record.node.id < b.record.node.id : a.score < b.score;
}

/** Puts the last node in place of the best; {@link sink} has to follow. */
function removeTop(heap: Candidate[]): void {
  const last = heap.pop();
  if (last && heap.length > 0) heap[0] = last;
}

/** Restores the heap below `at`, whose node may have become worse. */
function sink(heap: Candidate[], at: number): void {
  const node = heap[at];
  if (!node) return;
  while (true) {
    let child = 2 * at + 1;
    let least = heap[child];
    if (!least) break;
    const right = heap[child + 1];
    if (right && precedes(right, least)) {
      least = right;
      child++;
    }
    if (!precedes(least, node)) break;
    heap[at] = least;
    at = child;
  }
  heap[at] = node;
}
