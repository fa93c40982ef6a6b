/**
 * The nodes that may get one of a group of like tasks, in cells: what rules say of a node as part of its
 * domains (rules/rules.ts) is the same for all nodes of a cell.
 *
 * @module
 */
import type { Filter } from "./filters.ts";
import type { Candidate, Overlay, Request } from "./overlay.ts";
import { domainOf } from "./rules/domains.ts";
import { type Preference, topologiesOf } from "./rules/rules.ts";
import type { Strategy } from "./scores.ts";

export type Check = (node: Candidate) => boolean;

export interface Search {
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

export function passes(checks: readonly Check[], node: Candidate): boolean {
  for (const check of checks) if (!check(node)) return false;
  return true;
}

/** The fitting nodes by the domains that they are in: what is shared is the same for a whole cell. */
export function cellsOf({ request, fitting }: Search): Candidate[][] {
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
