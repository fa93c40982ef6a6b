/**
 * Explanations of placement: made by the same filters and scorers that decide it.
 *
 * @module
 */
import { z } from "zod";
import { Id } from "./common.ts";
import { TaskState } from "./task_state.ts";

export const NodeVerdict = z.object({
  nodeId: Id,
  node: z.string(),
  fits: z.boolean(),
  refusals: z.array(z.object({
    filter: z.string(),
    reason: z.string(),
    remedy: z.string().meta({ description: "The smallest change that lifts this refusal" }),
  })),
  scores: z.record(z.string(), z.number()).optional()
    .meta({ description: "Per scorer, lower is better; absent when refused" }),
  score: z.number().optional(),
  preference: z.number().optional().meta({
    description: "What the service's preferences have against the node; compared before the score",
  }),
}).meta({ id: "NodeVerdict" });
export type NodeVerdict = z.infer<typeof NodeVerdict>;

export const Why = z.object({
  taskId: Id,
  name: z.string(),
  state: TaskState,
  summary: z.string().meta({ description: "One sentence" }),
  remedy: z.string().optional()
    .meta({ description: "The smallest change that would place it, when it waits" }),
  strategy: z.string(),
  nodes: z.array(NodeVerdict),
}).meta({ id: "Why", description: "Why a task is where it is, or nowhere" });
export type Why = z.infer<typeof Why>;
