/**
 * Rollouts: how far a service's newest revision has replaced the one before it. The leader remembers
 * what tasks do not tell; users ask through a row of their own.
 *
 * @module
 */
import { z } from "zod";
import { Id, Timestamp } from "./common.ts";

export const RolloutState = z.enum([
  "progressing",
  "paused",
  "waiting-promote",
  "rolling-back",
  "rolled-back",
  "failed",
  "done",
]).meta({
  id: "RolloutState",
  description: "`failed`: the rollback failed too. `paused`: by a user or by a failure; `why` says",
});
export type RolloutState = z.infer<typeof RolloutState>;

/** The leader's row. Everything else about a rollout is derived from the tasks. */
export const Rollout = z.object({
  /** The service's revision that this is about; of another one the row is history. */
  revision: z.int().min(1),
  state: RolloutState,
  /** The last revision that was rolled out whole: to go back to, and for slots not yet changed. */
  stable: z.int().min(1),
  /** What was in place before it: once it is done, undo goes back to that. Absent of a way back. */
  previous: z.int().min(1).optional(),
  /** The way back: `stable` is what all slots are to have. */
  back: z.boolean(),
  /** A canary, or the second set of blue/green, was found good: the rest may follow. */
  promoted: z.boolean(),
  why: z.string().max(1024).optional(),
  /** The last request that was heeded. */
  handled: Id.optional(),
  at: Timestamp,
});
export type Rollout = z.infer<typeof Rollout>;

/** The users' row: what was asked last. A request about another revision than the newest is void. */
export const RolloutRequest = z.object({
  id: Id,
  revision: z.int().min(1),
  want: z.enum(["run", "pause", "promote"]),
});
export type RolloutRequest = z.infer<typeof RolloutRequest>;

/** What the API answers, as part of a service. */
export const RolloutView = z.object({
  revision: z.int().meta({ description: "The newest revision" }),
  goal: z.int().meta({ description: "The revision that slots change to; another when going back" }),
  stable: z.int().meta({ description: "The last revision that was rolled out whole" }),
  state: RolloutState,
  why: z.string().optional(),
  updated: z.int().meta({ description: "Slots in which a task of `goal` serves" }),
  total: z.int().meta({ description: "Slots that the service wants" }),
  retiring: z.int().meta({ description: "Live tasks of other revisions" }),
  since: Timestamp.optional().meta({ description: "When `state` was entered" }),
}).meta({ id: "Rollout", description: "How far the newest revision has come" });
export type RolloutView = z.infer<typeof RolloutView>;

/** What the API answers for a revision. */
export const RevisionView = z.object({
  revision: z.int(),
  createdAt: Timestamp,
  image: z.string(),
  digest: z.string().optional()
    .meta({ description: "What the image's tag stands for; absent until that is settled" }),
  current: z.boolean().meta({
    description:
      "The revision that slots change to, or have: of a rollout that went back, the one before it",
  }),
  tasks: z.int().meta({ description: "Live tasks of it" }),
  changes: z.array(z.string()).meta({
    description: "What differs from the revision before it; values of variables are not shown",
    examples: [["image nginx:1.26 → nginx:1.27", "env +LEVEL"]],
  }),
}).meta({ id: "Revision", description: "One version of a service's template" });
export type RevisionView = z.infer<typeof RevisionView>;

export const RolloutCommand = z.object({
  action: z.enum(["pause", "resume", "promote", "undo", "restart"]),
  to: z.int().min(1).optional()
    .meta({ description: "With `undo`: the revision to go back to; else the last good one" }),
}).refine((command) => command.to === undefined || command.action === "undo", {
  path: ["to"],
  message: "is for undo only",
}).meta({ id: "RolloutCommand" });
export type RolloutCommand = z.infer<typeof RolloutCommand>;

/** The revision that a service's slots are to have: the newest, unless that is being taken back. */
export function goalOf(service: { revision: number }, rollout: Rollout | undefined): number {
  return rollout?.revision === service.revision && rollout.back ? rollout.stable : service.revision;
}

/** The most tasks of a service for which a restart can be under way. */
export const MAX_TASK_RESTARTS = 1000;

/** The users' row: tasks that are to be replaced. Those that have ended since mean nothing any more. */
export const TaskRestarts = z.object({ tasks: z.array(Id).max(MAX_TASK_RESTARTS) });
export type TaskRestarts = z.infer<typeof TaskRestarts>;
