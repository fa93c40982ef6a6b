/**
 * Placing a group of identical tasks: the result is that of a full scan for each task, without one.
 *
 * 1. Nodes are filtered and scored once. What is own to a node (rules/rules.ts) changes only when it gets
 *    a task, and a node that refuses by itself refuses for good, because nothing is taken away meanwhile.
 * 2. What is shared is the same for all nodes of the same domains. They form a cell with a heap of its own;
 *    each task goes to the best of the cells' best, so that a task costs as much as there are cells.
 * 3. A strategy whose scores depend on the slot has no heap: lots.ts draws among a cell's best.
 * 4. A volume that is nowhere yet is where the first of the tasks goes: that one is placed by itself.
 *
 * @module
 */
import { cellsOf, type Check, passes, type Search } from "./cells.ts";
import { type Filter, filtersFor, firstRefusal } from "./filters.ts";
import { drawLots } from "./lots.ts";
import { ask, type Candidate, isSomewhere, type Overlay, type Request, take } from "./overlay.ts";
import { ownPreference, preferencesFor, sharedPreference } from "./rules/rules.ts";
import { isUndecided } from "./rules/volumes.ts";
import { scoreOf, type Strategy } from "./scores.ts";

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
  if (slots.length > 1 && isUndecided(overlay, request)) {
    const first = place(overlay, request, { strategy, slots: slots.slice(0, 1) });
    if (first.length === 0) return first;
    return [...first, ...place(overlay, request, { strategy, slots: slots.slice(1) })];
  }
  const filters = filtersFor(overlay, request);
  const own = filters.map((filter): Check =>
    filter.checkOwn
      ? (node) => filter.checkOwn?.(node, request) ?? true
      : (node) => filter.check(node, request)
  );
  const preferences = preferencesFor(request);
  const fitting: Candidate[] = [];
  const somewhere = isSomewhere(overlay, request);
  for (const node of overlay.candidates) {
    if (!passes(own, node)) continue;
    if (somewhere) ask(node, request);
    else node.mine = 0;
    fitting.push(node);
  }
  const search = { overlay, request, strategy, slots, filters, own, preferences, fitting };
  return strategy.some(({ scorer }) => scorer.perSlot) ? drawLots(search) : draw(search);
}

/** Whether any node has room for one such task. */
export function fitsSomewhere(overlay: Overlay, request: Request): boolean {
  const filters = filtersFor(overlay, request);
  return overlay.candidates.some((node) => !firstRefusal(filters, node, request));
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
