/**
 * What the agent and the API say to one another: join, poll, report, tunnel.
 *
 * @module
 */
import { z } from "zod";
import { DurationMs, Id, Name } from "./common.ts";
import { NodeFacts } from "./node.ts";
import { AttachOptions, FilesOptions, StatsOptions } from "./inside.ts";
import { PortNumber } from "./port.ts";
import { Digest } from "./registry.ts";
import { Resolved } from "./resolved.ts";
import { TaskTemplate } from "./service.ts";
import { Observed } from "./task.ts";

export const JoinRequest = NodeFacts;
export type JoinRequest = z.infer<typeof JoinRequest>;

export const JoinResponse = z.object({
  nodeId: Id,
  credential: z.string().meta({ description: "The node's own bearer token. Shown once." }),
  clusterId: Id,
}).meta({ id: "JoinResponse" });
export type JoinResponse = z.infer<typeof JoinResponse>;

/** One task that the node is to run, or to keep stopped (its logs stay readable). */
export const Assignment = z.object({
  taskId: Id,
  serviceId: Id,
  service: Name,
  project: Name,
  slot: z.int().min(1),
  revision: z.int().min(1),
  desired: z.enum(["run", "stop"]),
  template: TaskTemplate,
  drainMs: DurationMs.optional().meta({
    description: "While it is to stop: how long it goes on first, getting no new connections",
  }),
  resolved: Resolved.optional(),
  digest: Digest.optional().meta({ description: "What the image's tag stands for, once settled" }),
  pull: z.literal(true).optional().meta({
    description: "Until it is settled: the registry is asked, whatever the node has",
  }),
  strict: z.boolean().optional().meta({
    description: "Its container must be dead before the node's TTL ends without a poll",
  }),
  stopAfterMs: DurationMs.optional()
    .meta({ description: "Stop it after being cut off for this long" }),
}).meta({ id: "Assignment" });
export type Assignment = z.infer<typeof Assignment>;

/** A client waits for this node's agent to dial back. */
export const TunnelRequest = z.object({
  sessionId: Id,
  url: z.string().optional()
    .meta({ description: "Base URL of the replica that waits, when it is not the one polled" }),
}).meta({ id: "TunnelRequest" });
export type TunnelRequest = z.infer<typeof TunnelRequest>;

/**
 * The answer to a poll. Without `assignments` nothing changed since the `since` that was sent. With it,
 * the list is complete: a container of this node whose task is not in it is stopped and removed.
 */
export const PollResponse = z.object({
  version: z.int().min(0).meta({
    description: "Grows with every change; an answer older than one already applied is ignored",
  }),
  assignments: z.array(Assignment).optional(),
  tunnels: z.array(TunnelRequest).default([]),
  holdMs: z.int().min(0).meta({ description: "How long the next poll may be held" }),
  ttlMs: z.int().min(0).meta({ description: "Silence after which the node counts as down" }),
  unheardMs: z.int().min(0).optional().meta({
    description:
      "The leader may not know of this poll yet: the newest that it can know of came in so " +
      "long before. Leases of strict singletons count from that one",
  }),
  restart: Id.optional().meta({
    description: "The agent is to restart, once for each such id, and to say so with `restarted`",
  }),
}).meta({ id: "PollResponse" });
export type PollResponse = z.infer<typeof PollResponse>;

export const ReportRequest = z.object({
  tasks: z.array(Observed).max(100),
  base: z.string().max(64).optional().meta({
    description:
      "`base` of the last answer, `` before the first: a report that was overtaken on its " +
      "way is told so and not applied. Without it, the report is taken as the newest word",
  }),
}).meta({ id: "ReportRequest" });
export type ReportRequest = z.infer<typeof ReportRequest>;

export const ReportResponse = z.object({
  base: z.string().meta({ description: "What the next report is to send as its `base`" }),
  stale: z.boolean().meta({
    description: "Nothing was applied: send what is current, on this `base`",
  }),
  unknown: z.array(Id).meta({
    description: "Reported tasks that are not this node's: stop reporting them",
  }),
  behind: z.array(z.object({ taskId: Id, attempt: z.int().min(1) })).optional().meta({
    description: "Reported tasks of which a later attempt is known: the agent lost its state and " +
      "goes on from there",
  }),
}).meta({ id: "ReportResponse" });
export type ReportResponse = z.infer<typeof ReportResponse>;

/** Query of logs, and the first frame of a logs tunnel. */
export const LogsOptions = z.object({
  follow: z.boolean().default(false),
  tail: z.int().min(0).max(1_000_000).optional(),
  sinceSeconds: z.number().min(0).optional()
    .meta({ description: "Unix time in seconds, as in the engine's API" }),
  timestamps: z.boolean().default(false),
});
export type LogsOptions = z.infer<typeof LogsOptions>;

export const ExecOptions = z.object({
  command: z.array(z.string().max(32 * 1024)).min(1).max(1024),
  tty: z.boolean().default(false),
  stdin: z.boolean().default(false),
  env: z.record(z.string(), z.string()).default({}),
  user: z.string().max(256).optional(),
  workingDir: z.string().max(4096).optional(),
  columns: z.int().min(1).max(10_000).optional(),
  rows: z.int().min(1).max(10_000).optional(),
});
export type ExecOptions = z.infer<typeof ExecOptions>;

export const ForwardOptions = z.object({
  port: PortNumber.meta({ description: "TCP port inside the container, published or not" }),
});
export type ForwardOptions = z.infer<typeof ForwardOptions>;
export const VolumeAction = z.enum(["read", "write", "remove"]);
export type VolumeAction = z.infer<typeof VolumeAction>;

/** How much of a volume's content may be on its way beyond what was acknowledged. */
export const WINDOW_BYTES = 1024 * 1024;

/** What a client asks of the agent: the first frame of a tunnel, sent by the API as JSON text. */
export const TunnelOpen = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("logs"), taskId: Id, options: LogsOptions }),
  z.object({ kind: z.literal("exec"), taskId: Id, options: ExecOptions }),
  z.object({ kind: z.literal("forward"), taskId: Id, options: ForwardOptions }),
  z.object({ kind: z.literal("attach"), taskId: Id, options: AttachOptions }),
  z.object({ kind: z.literal("files"), taskId: Id, options: FilesOptions }),
  z.object({ kind: z.literal("stats"), options: StatsOptions }),
  z.object({ kind: z.literal("volume"), volumeId: Id, action: VolumeAction }),
]);
export type TunnelOpen = z.infer<typeof TunnelOpen>;

/**
 * Tunnel frames after the first. Binary frames carry data: the first byte is the channel (0 stdin,
 * 1 stdout, 2 stderr), the rest is the payload. Text frames carry these controls.
 */
export const TunnelControl = z.discriminatedUnion("type", [
  z.object({ type: z.literal("resize"), columns: z.int().min(1), rows: z.int().min(1) }),
  z.object({ type: z.literal("signal"), signal: z.string().max(16) }),
  z.object({ type: z.literal("stdin-end") }),
  /** Of a forwarded connection: the container sends no more, and may still receive. */
  z.object({ type: z.literal("output-end") }),
  /** Of a forwarded connection: so many bytes were passed on, and may be followed by others. */
  z.object({ type: z.literal("taken"), bytes: z.int().min(0) }),
  z.object({ type: z.literal("ack"), bytes: z.int().min(0) }),
  z.object({ type: z.literal("exit"), code: z.int() }),
  z.object({ type: z.literal("error"), message: z.string() }),
]);
export type TunnelControl = z.infer<typeof TunnelControl>;

export const CHANNEL = { stdin: 0, stdout: 1, stderr: 2 } as const;
