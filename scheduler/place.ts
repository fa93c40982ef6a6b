/**
 * Placing a group of identical tasks. All nodes are filtered and scored once; then the best one gets a
 * task, and only that node is asked again, because nothing else has changed. The result is that of a
 * full scan for each task.
 *
 * @module
 */
import { type Filter, filtersFor, firstRefusal } from "./filters.ts";
import { ask, type Candidate, type Overlay, type Request, take } from "./overlay.ts";
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
  const filters = filtersFor(request);
  const fitting: Candidate[] = [];
  for (const node of overlay.candidates) {
    if (firstRefusal(filters, node, request)) continue;
    ask(node, request);
    fitting.push(node);
  }
  const search = { overlay, request, strategy, slots, filters, fitting };
  return strategy.some(({ scorer }) => scorer.perSlot) ? scan(search) : draw(search);
}

/** Whether any node has room for one such task. */
export function fitsSomewhere(overlay: Overlay, request: Request): boolean {
  const filters = filtersFor(request);
  return overlay.candidates.some((node) => !firstRefusal(filters, node, request));
}

interface Search {
  overlay: Overlay;
  request: Request;
  strategy: Strategy;
  slots: readonly number[];
  filters: Filter[];
  fitting: Candidate[];
}

/** Scores depend on the node alone: a heap keeps the best on top. */
function draw({ overlay, request, strategy, slots, filters, fitting: heap }: Search): Candidate[] {
  const chosen: Candidate[] = [];
  for (const node of heap) node.score = scoreOf(strategy, node, request, 0);
  for (let i = (heap.length >> 1) - 1; i >= 0; i--) sink(heap, i);
  for (let i = 0; i < slots.length; i++) {
    const best = heap[0];
    if (!best) break;
    take(overlay, best, request);
    chosen.push(best);
    if (firstRefusal(filters, best, request)) {
      const last = heap.pop();
      if (last && heap.length > 0) heap[0] = last;
    } else best.score = scoreOf(strategy, best, request, 0);
    sink(heap, 0);
  }
  return chosen;
}

/** Scores depend on the slot as well: every slot looks at every node. */
function scan({ overlay, request, strategy, slots, filters, fitting }: Search): Candidate[] {
  const chosen: Candidate[] = [];
  for (const slot of slots) {
    let best: Candidate | undefined;
    let least = Infinity;
    for (const node of fitting) {
      const score = scoreOf(strategy, node, request, slot);
      if (score > least) continue;
      if (best && score === least && best.record.node.id < node.record.node.id) continue;
      best = node;
      least = score;
    }
    if (!best) break;
    take(overlay, best, request);
    chosen.push(best);
    if (firstRefusal(filters, best, request)) fitting.splice(fitting.indexOf(best), 1);
  }
  return chosen;
}

/** The order of preference among scored candidates. */
export function precedes(a: Candidate, b: Candidate): boolean {
  return a.score === b.score ? a.record.node.id < b.record.node.id : a.score < b.score;
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
