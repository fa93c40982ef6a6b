/**
 * The control plane's own rows: cluster, lease, queue, beats, tokens, idempotency.
 *
 * @module
 */
import { z } from "zod";
import { Id, Timestamp } from "./common.ts";
import { StrategyName } from "./service.ts";

/** Bumped when stored rows change shape in a way that an older program would misread. */
export const SCHEMA_VERSION = 1;

export const Cluster = z.object({
  schema: z.int(),
  id: Id,
  createdAt: Timestamp,
  strategy: StrategyName.default("spread"),
});
export type Cluster = z.infer<typeof Cluster>;

/** Written on takeover only; its versionstamp guards every leader commit. */
export const Epoch = z.object({ epoch: z.int().min(1), holder: Id });
export type Epoch = z.infer<typeof Epoch>;

/** Written by the leader while it leads. Followers watch whether it changes. */
export const LeaderBeat = z.object({
  holder: Id,
  epoch: z.int(),
  beat: z.int(),
  /** The TTL that it holds nodes to, stretched with their number: replicas pass it on to agents. */
  nodeTtlMs: z.number(),
});
export type LeaderBeat = z.infer<typeof LeaderBeat>;

/** A wake-up for the leader: something of this kind and id changed. Keys only, never payloads. */
export const QueueMessage = z.object({
  kind: z.enum(["service", "task", "node"]),
  id: Id,
});
export type QueueMessage = z.infer<typeof QueueMessage>;

/** A message whose handling failed: how often, and how. The leader's, so that rows keep one writer. */
export const QueueFailure = z.object({ tries: z.int(), error: z.string(), parked: z.boolean() });
export type QueueFailure = z.infer<typeof QueueFailure>;

export const ParkedMessage = z.object({
  kind: z.enum([...QueueMessage.shape.kind.options, "unreadable"]).describe(
    "What the wake-up names; unreadable: this version does not know the message, another may",
  ),
  id: Id.optional(),
  messageId: Id,
  tries: z.int(),
  error: z.string(),
}).meta({ id: "ParkedMessage", description: "A wake-up whose handling kept failing" });
export type ParkedMessage = z.infer<typeof ParkedMessage>;

/** The polls that one API replica saw, with their age in ms when the row was written. */
export const BeatRow = z.object({
  nodes: z.array(Id),
  agesMs: z.array(z.number()),
  /** The replica's monotonic clock when it wrote the row: tells how long ago that was. */
  atMs: z.number().optional(),
});
export type BeatRow = z.infer<typeof BeatRow>;

export const TokenKind = z.enum(["admin", "join", "node"]);
export type TokenKind = z.infer<typeof TokenKind>;

/** Stored under the SHA-256 of the token; the token itself is never stored. */
export const Token = z.object({
  id: Id,
  kind: TokenKind,
  nodeId: Id.optional(),
  createdAt: Timestamp,
});
export type Token = z.infer<typeof Token>;

/** What an `Idempotency-Key` was used for. */
export const Idempotency = z.object({
  /** SHA-256 of method, path and body: the same key with another request is an error. */
  request: z.string(),
  status: z.int(),
  /** The object that the request made or changed. */
  objectId: z.string(),
  at: Timestamp,
});
export type Idempotency = z.infer<typeof Idempotency>;
