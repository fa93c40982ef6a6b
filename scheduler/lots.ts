/**
 * Placing by lot: each slot has an order of its own among the nodes that are equally good.
 *
 * 1. Nodes of a cell that are preferred equally and score the same but for the lot form a grade. A slot's
 *    task goes to the node of the best grades whose turn comes first; only the node that got it changes
 *    its grade.
 * 2. Of many nodes the first one is soon found by walking the slot's order; of few it is found by asking
 *    each one when its turn is. A task costs at most about the square root of the nodes, and the grades.
 *
 * @module
 */
import { cellsOf, passes, type Search } from "./cells.ts";
import type { Filter } from "./filters.ts";
import { type Candidate, rank, take } from "./overlay.ts";
import { ownPreference, sharedPreference } from "./rules/rules.ts";
import { scoreOf, type Strategy } from "./scores.ts";
import { lotOf } from "./strategies/random.ts";

interface Grade {
  nodes: Set<Candidate>;
  preference: number;
  score: number;
}

/** The grades of a cell, by preference and score. */
type Cell = Map<string, Grade>;

interface Draw extends Search {
  ranked: readonly Candidate[];
  cells: Cell[];
  /** The grade of each node, by its place in the overlay. */
  gradeOf: (Grade | undefined)[];
  /** The scorers that do not depend on the slot, and the one that does. */
  steady: Strategy;
  lot: Strategy;
}

/** As `place`, for a strategy with a scorer that depends on the slot. */
export function drawLots(search: Search): Candidate[] {
  const { overlay, request, strategy, slots, own, filters } = search;
  const draw: Draw = {
    ...search,
    ranked: rank(overlay),
    cells: [],
    gradeOf: [],
    steady: strategy.filter(({ scorer }) => !scorer.perSlot),
    lot: strategy.filter(({ scorer }) => scorer.perSlot),
  };
  const cellOf = new Map<Candidate, Cell>();
  for (const nodes of cellsOf(search)) {
    const cell: Cell = new Map();
    draw.cells.push(cell);
    for (const node of nodes) {
      cellOf.set(node, cell);
      enter(draw, cell, node);
    }
  }
  const fickle = filters.filter((filter) => filter.checkOwn);
  const chosen: Candidate[] = [];
  for (const slot of slots) {
    const node = next(draw, slot, fickle);
    if (!node) break;
    take(overlay, node, request);
    chosen.push(node);
    leave(draw, node);
    const cell = cellOf.get(node);
    if (cell && passes(own, node)) enter(draw, cell, node);
  }
  return chosen;
}

function enter({ preferences, request, steady, gradeOf }: Draw, cell: Cell, node: Candidate): void {
  const preference = ownPreference(preferences, node, request);
  const score = scoreOf(steady, node, request, 0);
  const name = `${preference} ${score}`;
  let grade = cell.get(name);
  if (!grade) cell.set(name, grade = { nodes: new Set(), preference, score });
  grade.nodes.add(node);
  gradeOf[node.index] = grade;
}

function leave({ gradeOf }: Draw, node: Candidate): void {
  gradeOf[node.index]?.nodes.delete(node);
  gradeOf[node.index] = undefined;
}

/** The slot's node. What refuses by itself by now is left out for good, as in `place`. */
function next(draw: Draw, slot: number, fickle: readonly Filter[]): Candidate | undefined {
  while (true) {
    const best = bestGrades(draw);
    const node = best.size === 0 ? undefined : firstOf(draw, slot, best);
    if (!node || fickle.every((filter) => filter.checkOwn?.(node, draw.request))) return node;
    leave(draw, node);
  }
}

/** The grades whose nodes are as good as any. */
function bestGrades({ cells, filters, preferences, request }: Draw): Set<Grade> {
  const shared = filters.filter((filter) => filter.checkShared);
  let best = new Set<Grade>();
  let [least, score] = [Infinity, Infinity];
  for (const cell of cells) {
    const node = anyOf(cell);
    if (!node || shared.some((filter) => !filter.checkShared?.(node, request))) continue;
    const common = sharedPreference(preferences, node, request);
    for (const grade of cell.values()) {
      const preference = common + grade.preference;
      if (preference > least || (preference === least && grade.score > score)) continue;
      if (preference < least || grade.score < score) best = new Set();
      [least, score] = [preference, grade.score];
      best.add(grade);
    }
  }
  return best;
}

/** Some node of the cell; grades that have none left are dropped on the way. */
function anyOf(cell: Cell): Candidate | undefined {
  let found: Candidate | undefined;
  for (const [name, { nodes }] of cell) {
    if (nodes.size === 0) cell.delete(name);
    else found ??= nodes.values().next().value;
  }
  return found;
}

/** The node of these grades whose turn comes first: invariant 2. */
function firstOf(draw: Draw, slot: number, grades: ReadonlySet<Grade>): Candidate | undefined {
  const { request, ranked, gradeOf, lot } = draw;
  let many = 0;
  for (const { nodes } of grades) many += nodes.size;
  if (many * many >= ranked.length) {
    const { of, start, stride } = lotOf(request, slot, ranked.length);
    for (let at = start;; at = (at + stride) % of) {
      const node = ranked[at];
      const grade = node && gradeOf[node.index];
      if (grade && grades.has(grade)) return node;
    }
  }
  let first: Candidate | undefined;
  for (const { nodes } of grades) {
    for (const node of nodes) {
      node.score = scoreOf(lot, node, request, slot);
      if (!first || node.score < first.score) first = node;
    }
  }
  return first;
}
