/**
 * Taints keep tasks away from nodes, tolerations let them in all the same.
 *
 * @module
 */
import type { Taint, Toleration } from "../../kv/schema/placement.ts";
import type { Filter } from "../filters.ts";
import type { Candidate, Request } from "../overlay.ts";
import type { NodeRecord } from "../world.ts";
import type { Preference } from "./rules.ts";

/** What a taint of effect `prefer-no-schedule` counts beside the weights of other preferences. */
const TAINT_WEIGHT = 100;

/** Whether any of the tolerations is for this taint. */
export function tolerates(tolerations: readonly Toleration[], taint: Taint): boolean {
  return tolerations.some(({ key, operator, value, effect }) =>
    (effect === undefined || effect === taint.effect) &&
    (key === undefined || key === taint.key) &&
    (operator === "exists" || (value ?? "") === (taint.value ?? ""))
  );
}

/** Whether the taint also moves running tasks away. */
export function evicts({ effect }: Taint): boolean {
  return effect === "no-execute";
}

/** The taints by which a running task has to leave the node. */
export function evicting({ spec }: NodeRecord, tolerations: readonly Toleration[]): Taint[] {
  return spec.taints.filter((taint) => evicts(taint) && !tolerates(tolerations, taint));
}

/** As on the command line: `gpu=yes:no-schedule`. */
export function taintText({ key, value, effect }: Taint): string {
  return `${key}${value === undefined ? "" : `=${value}`}:${effect}`;
}

function untolerated({ record }: Candidate, { template }: Request): Taint[] {
  const { tolerations } = template.placement;
  return record.spec.taints.filter((taint) => !tolerates(tolerations, taint));
}

function refusing(node: Candidate, request: Request): Taint[] {
  return untolerated(node, request).filter(({ effect }) => effect !== "prefer-no-schedule");
}

export const taints: Filter = {
  name: "taints",
  fixed: true,
  applies: () => true,
  check: (node, request) =>
    node.record.spec.taints.length === 0 || refusing(node, request).length === 0,
  group(node, request) {
    const text = refusing(node, request).map(taintText).join(", ");
    return { one: `has taint ${text}`, many: `have taint ${text}` };
  },
  explain(node, request) {
    const { name } = node.record.node;
    const text = refusing(node, request).map(taintText).join(", ");
    return {
      reason: `${name} has taint ${text}, which the service does not tolerate`,
      remedy: `tolerate ${text} or remove it from ${name}`,
      cost: 28 + refusing(node, request).length,
    };
  },
};

export const taintPreference: Preference = {
  name: "taints",
  applies({ rules }) {
    if (!rules) return false;
    return rules.overlay.softTaints ??= rules.overlay.candidates.some(({ record }) =>
      record.spec.taints.some(({ effect }) => effect === "prefer-no-schedule")
    );
  },
  own(node, request) {
    if (node.record.spec.taints.length === 0) return 0;
    const disliked = untolerated(node, request)
      .filter(({ effect }) => effect === "prefer-no-schedule");
    return TAINT_WEIGHT * disliked.length;
  },
};
