/**
 * How a service changes from one revision to the next, and how it goes back. Names and defaults are
 * those of Compose's `deploy.update_config` and `rollback_config`, which are Swarm's.
 *
 * @module
 */
import { z } from "zod";
import { DurationMs } from "./common.ts";

const Parallelism = z.int().min(0).max(200_000).default(1)
  .meta({ description: "Slots that change at the same time; 0: all at once" });
const DelayMs = DurationMs.default(0)
  .meta({ description: "How long a new task serves before the next slot is changed" });
const MonitorMs = DurationMs.default(5000)
  .meta({ description: "A new task that breaks this soon after it served counts as failed" });
const MaxFailureRatio = z.number().min(0).max(1).default(0)
  .meta({ description: "Share of the slots that may fail before `failureAction` is taken" });

export const UpdateStrategy = z.enum(["rolling", "canary", "bluegreen"]);
export type UpdateStrategy = z.infer<typeof UpdateStrategy>;

export const UpdateOrder = z.enum(["stop-first", "start-first"]);
export type UpdateOrder = z.infer<typeof UpdateOrder>;

export const FailureAction = z.enum(["pause", "continue", "rollback"]);
export type FailureAction = z.infer<typeof FailureAction>;

export const UpdateConfig = z.object({
  strategy: UpdateStrategy.default("rolling").meta({
    description: "`rolling`: slot by slot. `canary`: some first, the others once promoted. " +
      "`bluegreen`: a full second set beside the first, then all at once",
  }),
  parallelism: Parallelism,
  delayMs: DelayMs,
  order: UpdateOrder.default("stop-first")
    .meta({ description: "`bluegreen` always starts first" }),
  monitorMs: MonitorMs,
  maxFailureRatio: MaxFailureRatio,
  failureAction: FailureAction.default("pause"),
  progressDeadlineMs: DurationMs.default(600_000)
    .meta({ description: "Without progress for so long, `failureAction` is taken; 0: never" }),
  drainMs: DurationMs.default(1000).meta({
    description:
      "How long a task with ports that is to stop goes on without new connections; and " +
      "before that, when starting first, beside its successor that serves already",
  }),
  canary: z.int().min(1).max(200_000).default(1)
    .meta({ description: "Slots that a canary changes first" }),
  promote: z.enum(["auto", "manual"]).default("auto")
    .meta({ description: "Whether `bluegreen` turns over by itself; a canary never does" }),
}).meta({ id: "UpdateConfig", description: "How a new revision replaces the one before it" });
export type UpdateConfig = z.infer<typeof UpdateConfig>;

export const RollbackConfig = z.object({
  parallelism: Parallelism,
  delayMs: DelayMs,
  order: UpdateOrder.default("stop-first").meta({
    description:
      "Kept for Compose: a rollback always starts first, so that it stops no task that " +
      "serves before its successor does",
  }),
  monitorMs: MonitorMs,
  maxFailureRatio: MaxFailureRatio,
  failureAction: FailureAction.exclude(["rollback"]).default("pause"),
}).meta({ id: "RollbackConfig", description: "How a failed revision is taken back" });
export type RollbackConfig = z.infer<typeof RollbackConfig>;
