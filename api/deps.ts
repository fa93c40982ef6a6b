/**
 * What the API is given, and what its rooms share.
 *
 * @module
 */
import type { OpenAPIHono } from "@hono/zod-openapi";
import type { BeatCollector } from "../kv/beats.ts";
import type { EndpointTable } from "../kv/endpoint_table.ts";
import type { TrackedKv } from "../kv/cached.ts";
import type { Immutable } from "../kv/immutable.ts";
import type { LogFeed } from "../kv/log.ts";
import type { LiveAssigned } from "../kv/schema/assigned.ts";
import type { Token } from "../kv/schema/control.ts";
import type { Clock } from "../kv/schema/time.ts";
import type { LiveTasks } from "../kv/schema/tasks_known.ts";
import type { Kv } from "../kv/store.ts";
import type { TokenReader } from "../kv/tokens.ts";
import type { Vault } from "../kv/vault.ts";
import type { World } from "../scheduler/world.ts";
import type { Answers } from "./answers.ts";
import type { EndpointPolls } from "./endpoint_polls.ts";
import type { HeldAnswers } from "./held.ts";
import type { EventStreams } from "./event_stream.ts";
import type { Metrics } from "./metrics.ts";
import type { Polls } from "./polls.ts";
import type { Tunnels } from "./tunnel.ts";

/** Where unexpected errors go. */
export interface ApiLog {
  error(message: string, fields: Record<string, unknown>): void;
}

/** Who leads; `self` is this process. */
export interface LeaderInfo {
  epoch: number;
  self: boolean;
}

export interface ApiDeps {
  kv: Kv;
  clock: Clock;
  newId: () => string;
  /** 256 random bits as base64url. */
  randomToken: () => string;
  log: ApiLog;
  /** Seals secrets. */
  vault: Vault;
  /** Whoever made it runs it. */
  feed: LogFeed;
  /** Whoever made it runs it. */
  beats: Pick<BeatCollector, "beat" | "recordedMs">;
  /** The leader's world, or a fresh copy of it. Only read. */
  loadWorld: () => Promise<World>;
  /** What the leader knows of tasks, while this process leads; else views are read from their rows. */
  liveTasks?: () => LiveTasks | undefined;
  /** What the leader knows of nodes' tasks, while this process leads; else their rows are read. */
  liveAssigned?: () => LiveAssigned | undefined;
  /** Where no other process can change rows: reads that can tell whether they would still say the same. */
  trackRows?: () => TrackedKv;
  /** The leader as far as this process knows; epoch 0 makes the API look into the database. */
  leader: () => LeaderInfo;
  version: string;
  replicaId: string;
  /** Base URL at which workers reach this very replica, for tunnels and the join command. */
  publicUrl?: string;
  /** Silence in ms after which a node is down; read for each poll, since it stretches with nodes. */
  nodeTtlMs: number | (() => number);
  /** Offer the classroom calls and the set of simulated nodes. */
  playground?: boolean;
  /** Serve `/metrics` without a token. */
  publicMetrics?: boolean;
  /** CPU time of the process so far, in seconds, for the metrics. */
  cpuSeconds?: () => number;
}

export interface ApiEnv {
  Variables: {
    /** Who asks; set on every route that asks for a token. */
    token: Token;
    /** The route's path template. */
    route: string;
    /** The request's body as it came; set on routes that take one. */
    bodyText: string;
  };
}

export type ApiApp = OpenAPIHono<ApiEnv>;

/** What the routes work with: the dependencies, and what lives as long as the app. */
export interface Rooms {
  deps: ApiDeps;
  immutable: Immutable;
  tokens: TokenReader;
  held: HeldAnswers;
  answers: Answers;
  polls: Polls;
  endpoints: { table: EndpointTable; polls: EndpointPolls };
  streams: EventStreams;
  tunnels: Tunnels;
  metrics: Metrics;
  /** Aborts when the app closes: what is held then ends. */
  closing: AbortSignal;
  /** The whole API as an OpenAPI document. */
  openapi(): object;
}
