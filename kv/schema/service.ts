/**
 * Services: what a user asks for. A service has a mode and a template; each change of the template
 * is a new, immutable revision. Changing the mode's numbers or stopping a service is not.
 *
 * @module
 */
import { z } from "zod";
import { Alias, DurationMs, Id, Labels, Name, Timestamp } from "./common.ts";
import { ContainerOptions } from "./container.ts";
import { HealthCheck, ReadinessCheck } from "./health.ts";
import { Placement, StrategyName } from "./placement.ts";
import { BalanceOptions, IngressPort, Port, Ports } from "./port.ts";
import { ImagePin } from "./registry.ts";
import { Pin, Resolved } from "./resolved.ts";
import { RolloutView } from "./rollout.ts";
import { routeIssues, Routes } from "./route.ts";
import { CronMode, MAX_COMPLETIONS } from "./run.ts";
import { ConfigRef, DataName, SecretRef } from "./sealed.ts";
import { checkFiles } from "./task_files.ts";
import { Mount } from "./volume.ts";
import { RollbackConfig, UpdateConfig } from "./update.ts";

/** CPU share in cores, three decimals; memory in MiB. */
export const Resources = z.object({
  cpus: z.number().min(0).max(4096).default(0)
    .meta({ description: "Cores, fractions allowed" }),
  memoryMiB: z.int().min(0).max(64 * 1024 * 1024).default(0),
}).meta({ id: "Resources" });
export type Resources = z.infer<typeof Resources>;

export const RestartPolicy = z.object({
  condition: z.enum(["any", "on-failure", "none"]).default("any")
    .meta({ description: "`any` is `on-failure` for jobs: a success ends their tasks" }),
  maxAttempts: z.int().min(0).max(1000).default(5).meta({
    description: "Restarts in place within `windowMs` before the leader replaces the task",
  }),
  windowMs: DurationMs.default(300_000),
  delayMs: DurationMs.default(0).meta({ description: "Before the first restart" }),
  maxDelayMs: DurationMs.default(60_000).meta({ description: "Cap of the doubling back-off" }),
}).meta({ id: "RestartPolicy" });
export type RestartPolicy = z.infer<typeof RestartPolicy>;

export { Placement, Port, StrategyName };

const Argv = z.array(z.string().max(32 * 1024)).max(1024);

/** Everything a container is made from. A change of any of it is a new revision. */
export const TaskTemplate = z.object({
  image: z.string().min(1).max(512)
    .regex(/^[A-Za-z0-9][A-Za-z0-9._/:@-]*$/, "must be an image reference, like nginx:1.27")
    .meta({ examples: ["nginx:1.27"] }),
  pullPolicy: z.enum(["missing", "always", "never"]).default("missing"),
  entrypoint: Argv.optional(),
  command: Argv.optional().meta({ description: "Replaces the image's CMD" }),
  env: z.record(
    z.string().regex(/^[^=\0]{1,256}$/, "must be a variable name without '='"),
    z.string().max(32 * 1024),
  ).default({}),
  labels: Labels.default({}).meta({ description: "Labels of the container" }),
  workingDir: z.string().max(4096).optional(),
  user: z.string().max(256).optional(),
  tty: z.boolean().default(false),
  init: z.boolean().default(false),
  ports: Ports.default([]),
  secrets: z.array(SecretRef).max(64).default([]),
  configs: z.array(ConfigRef).max(64).default([]),
  mounts: z.array(Mount).max(32).default([]),
  reserve: Resources.default({ cpus: 0, memoryMiB: 0 })
    .meta({ description: "What the scheduler sets aside on the node" }),
  limit: Resources.default({ cpus: 0, memoryMiB: 0 })
    .meta({ description: "What the engine enforces; 0 is no limit" }),
  stopGraceMs: DurationMs.default(10_000),
  stopSignal: z.string().regex(/^(SIG)?[A-Z0-9+-]{1,16}$/, "must be a signal, like SIGTERM")
    .optional(),
  restart: RestartPolicy.prefault({}),
  health: HealthCheck.optional(),
  readiness: ReadinessCheck.optional(),
  container: ContainerOptions.optional(),
  placement: Placement.prefault({}),
}).superRefine(checkFiles).meta({
  id: "TaskTemplate",
  description: "What a task's container is made from",
});
export type TaskTemplate = z.infer<typeof TaskTemplate>;

export const Mode = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("replicated"),
    replicas: z.int().min(0).max(200_000).default(1),
  }),
  z.object({ type: z.literal("global") })
    .meta({ description: "One task on each node that fits" }),
  z.object({
    type: z.literal("job"),
    completions: z.int().min(1).max(MAX_COMPLETIONS).default(1),
    parallelism: z.int().min(1).max(200_000).default(1),
    retries: z.int().min(0).max(1000).default(0)
      .meta({ description: "Replacements of failed tasks, over the whole job" }),
    deadlineMs: DurationMs.min(1).optional().meta({
      description: "From its first task on; then what still runs is stopped and the job has failed",
    }),
    removeAfterMs: DurationMs.optional()
      .meta({ description: "Remove the service this long after it finished" }),
  }),
  CronMode,
]).meta({ id: "Mode", description: "How many tasks, and for how long" });
export type Mode = z.infer<typeof Mode>;

/** What becomes of a task whose node falls silent, and of one that is cut off and lives on. */
export const Disconnect = z.object({
  replaceAfterMs: DurationMs.default(0).meta({
    description: "How long after its node went down a task is replaced",
  }),
  stopAfterMs: DurationMs.min(1000).optional().meta({
    description: "A node that is cut off for this long stops the task by itself; absent: never",
  }),
  reconcile: z.enum(["keep-new", "keep-old"]).default("keep-new").meta({
    description: "Which one stays when the node comes back after the task was replaced",
  }),
}).meta({ id: "Disconnect", description: "What happens when a task's node is cut off" });
export type Disconnect = z.infer<typeof Disconnect>;

/** What voluntary disruptions (not failures) leave running. */
export const Disruption = z.object({
  maxUnavailable: z.int().min(0).max(200_000).default(1).meta({
    description: "How many of its tasks may be down at once for the cluster's own reasons",
  }),
}).meta({ id: "Disruption" });
export type Disruption = z.infer<typeof Disruption>;

const SpecFields = z.object({
  name: Name,
  project: Name.default("default"),
  aliases: z.array(Alias).max(32).optional()
    .meta({ description: "Further names by which the project's services reach it" }),
  labels: Labels.default({}),
  mode: Mode.default({ type: "replicated", replicas: 1 }),
  template: TaskTemplate,
  priority: z.int().min(-1000).max(1000).default(0).meta({
    description: "When room is short, tasks of lower priority are stopped for those of higher",
  }),
  disruption: Disruption.prefault({}),
  balance: BalanceOptions.optional().meta({ description: "For all its ports; see also there" }),
  routes: Routes.optional()
    .meta({ description: "What the ingress proxy passes on to it; changing them is no rollout" }),
  update: UpdateConfig.prefault({}),
  rollback: RollbackConfig.prefault({}),
  stopped: z.boolean().default(false)
    .meta({ description: "Stop all tasks and keep the service" }),
  singleton: z.enum(["strict"]).optional().meta({
    description: "`strict`: a slot never has two live containers, not even while its node is cut " +
      "off; paid for with a longer wait before a lost task is replaced",
  }),
  disconnect: Disconnect.optional(),
});

/** What a user sends: the whole of a service. */
export const ServiceSpec = SpecFields.overwrite(settle).superRefine(checkRoutes)
  .meta({ id: "ServiceSpec", description: "What a user asks for" });
export type ServiceSpec = z.infer<typeof ServiceSpec>;
export type ServiceSpecInput = z.input<typeof ServiceSpec>;

function checkRoutes(spec: z.infer<typeof SpecFields>, context: z.core.$RefinementCtx): void {
  const { routes = [], mode, template: { ports } } = spec;
  const serves = mode.type !== "job" && mode.type !== "cron";
  for (const { path, message } of routeIssues(routes, { ports, serves })) {
    context.addIssue({ code: "custom", path: ["routes", ...path], message });
  }
}

/** The task of a job or run that succeeded is done, so `any` can only mean `on-failure` there. */
function settle(spec: z.infer<typeof SpecFields>): z.infer<typeof SpecFields> {
  const { mode, template } = spec;
  const ends = mode.type === "job" || mode.type === "cron";
  if (!ends || template.restart.condition !== "any") return spec;
  const restart = { ...template.restart, condition: "on-failure" as const };
  return { ...spec, template: { ...template, restart } };
}

/**
 * The stored row of a service. The template lives in the revision row (revisions are immutable and
 * may be large), so the row stays small enough to read on every scan.
 */
export const Service = SpecFields.omit({ template: true }).extend({
  id: Id,
  revision: z.int().min(1).meta({
    description: "The revision that is wanted: the newest, or an older one that was undone to",
  }),
  createdAt: Timestamp,
  updatedAt: Timestamp,
  ingressPorts: z.array(IngressPort).max(64).default([])
    .meta({ description: "Ports that every node listens on for it: it has them to itself" }),
  certificates: z.record(DataName, Pin).optional()
    .meta({ description: "The versions of the secrets that its routes have certificates in" }),
  deleting: z.boolean().default(false)
    .meta({ description: "Asked to go: gone once its last container is" }),
});
export type Service = z.infer<typeof Service>;

/** One immutable version of a service's template. */
export const Revision = z.object({
  serviceId: Id,
  revision: z.int().min(1),
  createdAt: Timestamp,
  template: TaskTemplate,
  resolved: Resolved.optional(),
  pull: z.literal(true).optional().meta({
    description: "The registry is asked what the image's tag stands for, whatever a node has",
  }),
});
export type Revision = z.infer<typeof Revision>;

/** What the API answers for a service. `counts` is read from the tasks, never stored. */
export const ServiceView = Service.extend({
  template: TaskTemplate,
  resolved: Resolved.optional()
    .meta({ description: "What the names in the template stand for; absent when it has none" }),
  imagePin: ImagePin.optional(),
  version: z.string().meta({ description: "Versionstamp: pass it as `If-Match`" }),
  counts: z.object({
    wanted: z.int().meta({ description: "Replicas, completions of a job, nodes, or runs" }),
    running: z.int(),
    ready: z.int().meta({ description: "Running tasks that can serve" }),
    pending: z.int().meta({ description: "Not running yet" }),
    succeeded: z.int(),
    failed: z.int().meta({ description: "failed, rejected or lost, in kept history" }),
  }),
  phase: z.enum([
    "converging",
    "running",
    "scheduled",
    "stopped",
    "finished",
    "failed",
    "removing",
  ]).meta({
    description: "`finished`: a job, or all tasks of a service that is not to start them again, " +
      "succeeded; `failed`: a job; `scheduled`: cron, and no run goes on",
  }),
  rollout: RolloutView.optional().meta({ description: "Of replicated services" }),
}).meta({ id: "Service", description: "A service, its newest template and how it is doing" });
export type ServiceView = z.infer<typeof ServiceView>;
