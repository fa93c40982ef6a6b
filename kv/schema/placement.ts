/**
 * Rules of placement: which nodes may have a service's tasks, and which it would rather have.
 *
 * @module
 */
import { z } from "zod";
import { LABEL_KEY, Labels, Name } from "./common.ts";
import { ConstraintText } from "./constraint.ts";
import { STRATEGY_NAMES } from "./strategies.ts";

/** A strategy of placement, by its name. */
export const StrategyName = z.enum(STRATEGY_NAMES);
export type StrategyName = z.infer<typeof StrategyName>;

const LabelKey = z.string().regex(LABEL_KEY, "must be a label's key");
const LabelValue = z.string().max(1024);

const TaintEffect = z.enum(["no-schedule", "prefer-no-schedule", "no-execute"]);

/** Keeps tasks away from a node, except those that tolerate it. */
export const Taint = z.object({
  key: LabelKey,
  value: LabelValue.optional(),
  effect: TaintEffect.meta({
    description: "`no-schedule`: no new tasks. `prefer-no-schedule`: only if no other node fits. " +
      "`no-execute`: no new tasks, and running ones are moved away as in a drain: within their " +
      "services' disruption budgets until the node's `drain.deadlineMs` has passed",
  }),
}).meta({ id: "Taint", description: "Keeps tasks away from a node unless they tolerate it" });
export type Taint = z.infer<typeof Taint>;

export const Toleration = z.object({
  key: LabelKey.optional().meta({ description: "Every key, when absent" }),
  operator: z.enum(["equal", "exists"]).default("equal"),
  value: LabelValue.optional().meta({
    description: "For `equal`; absent is a taint without value",
  }),
  effect: TaintEffect.optional().meta({ description: "Every effect, when absent" }),
}).superRefine(({ key, operator, value }, context) => {
  if (operator === "equal" && key === undefined) {
    context.addIssue({ code: "custom", path: ["key"], message: "is needed by operator equal" });
  }
  if (operator === "exists" && value !== undefined) {
    context.addIssue({ code: "custom", path: ["value"], message: "does not go with exists" });
  }
}).meta({ id: "Toleration" });
export type Toleration = z.infer<typeof Toleration>;

const Weight = z.int().min(1).max(100).default(50)
  .meta({ description: "How much it counts beside the other preferences" });

/** The topology in which each node is a domain of its own. */
export const NODE_TOPOLOGY = "node";

export const Affinity = z.object({
  to: z.union([
    z.object({ constraint: ConstraintText }),
    z.object({
      service: Name,
      project: Name.optional().meta({ description: "The service's own project, when absent" }),
    }),
  ]),
  topology: LabelKey.default(NODE_TOPOLOGY).meta({
    description:
      "What counts as together: the same `node`, or nodes that share the value of this " +
      "label; a node without the label is by itself",
  }),
  anti: z.boolean().default(false).meta({ description: "Away from it instead of with it" }),
  required: z.boolean().default(false).meta({ description: "Rather wait than do without" }),
  weight: Weight,
}).superRefine(({ to, topology }, context) => {
  if ("constraint" in to && topology !== NODE_TOPOLOGY) {
    const message = "goes with services only: a constraint is about single nodes";
    context.addIssue({ code: "custom", path: ["topology"], message });
  }
}).meta({ id: "Affinity", description: "With or away from nodes or a service's tasks" });
export type Affinity = z.infer<typeof Affinity>;

export const Spread = z.object({
  label: LabelKey.meta({ description: "Nodes that share its value are one domain" }),
  maxSkew: z.int().min(1).max(1000).default(1).meta({
    description:
      "When required: how many more tasks a domain may have than the one with the fewest",
  }),
  required: z.boolean().default(false).meta({
    description:
      "Rather wait than be uneven; nodes without the label get no task. Otherwise they " +
      "come last",
  }),
  weight: Weight,
}).meta({ id: "Spread", description: "Evenly over the values of a node label" });
export type Spread = z.infer<typeof Spread>;

export const Placement = z.object({
  node: z.string().max(63).optional().meta({ description: "Only this node, by name or id" }),
  pool: Name.optional().meta({ description: "Only nodes of this pool" }),
  labels: Labels.default({}).meta({ description: "Only nodes that carry all of these labels" }),
  constraints: z.array(ConstraintText).max(32).default([])
    .meta({ description: "Only nodes that meet all of these" }),
  tolerations: z.array(Toleration).max(32).default([]),
  affinity: z.array(Affinity).max(16).default([]),
  spread: z.array(Spread).max(8).default([]),
  maxPerNode: z.int().min(1).max(200_000).optional()
    .meta({ description: "At most so many tasks of the service on one node" }),
  strategy: StrategyName.optional().meta({ description: "Overrides the cluster's strategy" }),
}).meta({ id: "Placement" });
export type Placement = z.infer<typeof Placement>;
