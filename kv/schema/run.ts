/**
 * Runs: the tasks of a cron service, and those that a user asked for with `berth job run`. A run has a
 * slot of its own; its tasks are the tries to get it done.
 *
 * @module
 */
import { z } from "zod";
import { DurationMs, Id, Timestamp } from "./common.ts";
import { isTimeZone, scheduleProblem } from "./schedule.ts";
import { TaskState } from "./task_state.ts";

/** The most completions that a job may ask for; the slots above are those of its runs on request. */
export const MAX_COMPLETIONS = 200_000;

export const CronMode = z.object({
  type: z.literal("cron"),
  schedule: z.string().max(256).superRefine((schedule, context) => {
    const message = scheduleProblem(schedule);
    if (message !== undefined) context.addIssue({ code: "custom", message });
  }).meta({
    description: "Five fields, or six with seconds first, or @hourly, @daily, @weekly, …",
    examples: ["0 3 * * *"],
  }),
  timeZone: z.string().max(64).refine(isTimeZone, "must be an IANA time zone, like Europe/Berlin")
    .default("UTC").meta({ description: "IANA time zone that the schedule is in" }),
  concurrency: z.enum(["allow", "forbid", "replace"]).default("forbid").meta({
    description: "When a run is due while an earlier scheduled one goes on: run both, skip the " +
      "new one, or stop the earlier one",
  }),
  catchUpMs: DurationMs.default(0).meta({
    description: "How late the last missed run may still be made up for; earlier ones never are",
  }),
  retries: z.int().min(0).max(1000).default(0)
    .meta({ description: "Replacements of failed tasks, for each run" }),
  deadlineMs: DurationMs.min(1).optional()
    .meta({ description: "A run that takes longer is stopped, and has failed" }),
  history: z.object({
    succeeded: z.int().min(0).max(100).default(3),
    failed: z.int().min(0).max(100).default(1),
  }).prefault({}).meta({ description: "How many ended runs to keep" }),
});
export type CronMode = z.infer<typeof CronMode>;

/** What a user changes for one run: the rest is the service's template. */
export const RunRequest = z.object({
  command: z.array(z.string().max(32 * 1024)).max(1024).optional()
    .meta({ description: "Replaces the command of the template" }),
  env: z.record(
    z.string().regex(/^[^=\0]{1,256}$/, "must be a variable name without '='"),
    z.string().max(32 * 1024),
  ).default({}).meta({ description: "Added to the template's environment" }),
}).meta({ id: "RunRequest", description: "A run of a job or cron service, now" });
export type RunRequest = z.infer<typeof RunRequest>;
export type RunRequestInput = z.input<typeof RunRequest>;

/** The stored row of a run that a user asked for. Immutable; gone with the run's last task. */
export const Run = RunRequest.extend({ id: Id, serviceId: Id, at: Timestamp });
export type Run = z.infer<typeof Run>;

/** The leader's row: how far it has come with the runs of a service. */
export const RunCursor = z.object({
  slot: z.int().min(0).meta({ description: "The highest slot that a run was given" }),
  lastScheduledAt: Timestamp.optional()
    .meta({ description: "No time of the schedule up to this one is run again" }),
});
export type RunCursor = z.infer<typeof RunCursor>;

/**
 * The leader's row: for how long a job (slot 0) or a run has been going on, as a duration. It is saved
 * now and then, so a change of leader makes a deadline later, never earlier.
 */
export const Elapsed = z.object({ revision: z.int().min(1), elapsedMs: z.number().min(0) });
export type Elapsed = z.infer<typeof Elapsed>;

/** What the API answers for a run. */
export const RunView = z.object({
  id: Id.meta({ description: "Of the request, or of the first task of a scheduled run" }),
  serviceId: Id,
  trigger: z.enum(["schedule", "request"]),
  scheduledAt: Timestamp.optional(),
  requestedAt: Timestamp.optional(),
  command: z.array(z.string()).optional(),
  env: z.record(z.string(), z.string()).optional(),
  slot: z.int().optional().meta({ description: "Absent until the leader has taken it up" }),
  taskId: Id.optional().meta({ description: "The newest task of the run" }),
  tries: z.int().meta({ description: "Tasks so far" }),
  state: TaskState.meta({ description: "Of the newest task" }),
  ended: z.boolean().meta({ description: "No further try follows" }),
  exitCode: z.int().optional(),
  why: z.string().optional(),
}).meta({ id: "Run", description: "One run of a job or cron service" });
export type RunView = z.infer<typeof RunView>;
