/**
 * Probes: how it is found out whether a task lives (`health`) and whether it can serve (`readiness`).
 * Names, defaults and meaning of the health check are those of Docker's HEALTHCHECK.
 *
 * @module
 */
import { z } from "zod";
import { DurationMs } from "./common.ts";

const PortNumber = z.int().min(1).max(65535).meta({ description: "Port inside the container" });
const Command = z.array(z.string().max(32 * 1024)).min(1).max(1024);
const IntervalMs = DurationMs.min(100);

export const HttpProbe = z.object({
  type: z.literal("http"),
  port: PortNumber,
  path: z.string().max(2048).regex(/^\/[!-~]*$/, "must start with / and have no spaces")
    .default("/"),
  scheme: z.enum(["http", "https"]).default("http")
    .meta({ description: "With `https` the certificate is not verified" }),
  headers: z.record(
    z.string().regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$/, "must be a header name"),
    z.string().max(4096).regex(/^[\t -~]*$/, "must be printable ASCII"),
  ).refine((headers) => Object.keys(headers).length <= 32, "must have at most 32 headers")
    .default({}),
  status: z.object({
    from: z.int().min(100).max(599).default(200),
    to: z.int().min(100).max(599).default(399),
  }).refine(({ from, to }) => from <= to, "`from` must not be above `to`")
    .default({ from: 200, to: 399 })
    .meta({ description: "The answers that pass; a redirect is an answer and not followed" }),
});
export const TcpProbe = z.object({ type: z.literal("tcp"), port: PortNumber });
export const ExecProbe = z.object({
  type: z.literal("exec"),
  command: Command.meta({ description: "Run in the container; passes when it exits with 0" }),
});

/** A probe that the agent carries out. */
export const AgentProbe = z.discriminatedUnion("type", [HttpProbe, TcpProbe, ExecProbe]);
export type AgentProbe = z.infer<typeof AgentProbe>;

/** A probe that the engine carries out, or that it shall not. */
export const EngineProbe = z.object({
  type: z.literal("engine"),
  command: Command.optional()
    .meta({ description: "Replaces the image's HEALTHCHECK; run without a shell" }),
});
export const NoProbe = z.object({ type: z.literal("none") })
  .meta({ description: "Disables the image's HEALTHCHECK" });

/** Without it the image's HEALTHCHECK counts, if it has one. */
export const HealthCheck = z.object({
  probe: z.discriminatedUnion("type", [EngineProbe, HttpProbe, TcpProbe, ExecProbe, NoProbe]),
  intervalMs: IntervalMs.default(30_000).meta({ description: "Between two probes" }),
  timeoutMs: IntervalMs.default(30_000).meta({ description: "A probe that takes longer fails" }),
  retries: z.int().min(1).max(1000).default(3)
    .meta({ description: "Failures in a row that make the task unhealthy" }),
  startPeriodMs: DurationMs.default(0)
    .meta({ description: "Until the first success, failures do not count for so long" }),
  startIntervalMs: IntervalMs.default(5_000)
    .meta({ description: "Between two probes in the start period" }),
  successes: z.int().min(1).max(1000).default(1).meta({
    description: "Successes in a row that make the task healthy; the engine's probes need one",
  }),
}).meta({ id: "HealthCheck", description: "Unhealthy tasks follow the restart policy" });
export type HealthCheck = z.infer<typeof HealthCheck>;

/** Without it a task is ready while it runs and is not known to be unhealthy or still starting. */
export const ReadinessCheck = z.object({
  probe: AgentProbe,
  intervalMs: IntervalMs.default(2_000).meta({ description: "Between two probes" }),
  startIntervalMs: IntervalMs.default(500)
    .meta({ description: "Between two probes until the task was ready for the first time" }),
  timeoutMs: IntervalMs.default(5_000).meta({ description: "A probe that takes longer fails" }),
  retries: z.int().min(1).max(1000).default(3)
    .meta({ description: "Failures in a row after which a ready task no longer is" }),
  successes: z.int().min(1).max(1000).default(1)
    .meta({ description: "Successes in a row that make the task ready" }),
}).meta({
  id: "ReadinessCheck",
  description: "Only ready tasks count in rollouts and get traffic",
});
export type ReadinessCheck = z.infer<typeof ReadinessCheck>;
