/**
 * Rows as the checker reads them: shapes of its own, with what it needs of them.
 *
 * @module
 */
export type ModeRow =
  | { type: "replicated"; replicas: number }
  | { type: "global" }
  | {
    type: "job";
    completions: number;
    parallelism: number;
    retries: number;
    deadlineMs?: number;
    removeAfterMs?: number;
  }
  | { type: "cron"; schedule: string; concurrency: string; retries: number; deadlineMs?: number };

export interface ServiceRow {
  id: string;
  name: string;
  project: string;
  mode: ModeRow;
  priority: number;
  stopped: boolean;
  deleting: boolean;
  revision: number;
  updatedAt: string;
  ingressPorts?: { protocol: string; published: number }[];
  routes?: { host: string; path: string }[];
  update: { order: string; strategy: string; canary: number };
  singleton?: string;
  disconnect?: { stopAfterMs?: number; reconcile: string };
}

export interface TaintRow {
  key: string;
  value?: string;
  effect: string;
}

export interface PlacementRow {
  node?: string;
  pool?: string;
  labels: Record<string, string>;
  constraints: string[];
  tolerations: { key?: string; operator: string; value?: string; effect?: string }[];
  affinity: {
    to: { service?: string; constraint?: string };
    topology: string;
    anti: boolean;
    required: boolean;
  }[];
  spread: { label: string; maxSkew: number; required: boolean }[];
  maxPerNode?: number;
}

export interface TemplateRow {
  env: Record<string, string>;
  health?: unknown;
  reserve: { cpus: number; memoryMiB: number };
  ports: { published?: number; protocol: string; mode: string }[];
  placement: PlacementRow;
  configs?: { source: string }[];
  secrets?: { source: string }[];
}

export interface ResolvedRow {
  configs: Record<string, { id: string; version: number }>;
  secrets: Record<string, { id: string; version: number }>;
  volumes: Record<string, { id: string }>;
}

/** What the leader remembers of a rollout. */
export interface RolloutRow {
  revision: number;
  state: string;
  stable: number;
  back: boolean;
  promoted: boolean;
}

export interface TaskRow {
  id: string;
  serviceId: string;
  revision: number;
  slot: number;
  nodeId?: string;
  pin?: string;
  run?: { scheduledAt: string };
  runId?: string;
  desired: "run" | "stop";
  ended?: string;
  disconnected?: boolean;
  nominated?: string;
  why?: string;
  failures: number;
}

export interface ObservedRow {
  attempt: number;
  state: string;
  health?: string;
  ready?: boolean;
  exitCode?: number;
  message?: string;
}

export interface NodeRow {
  id: string;
  name: string;
  capacity: { cpus: number; memoryMiB: number };
  labels: Record<string, string>;
}

export interface NodeSpecRow {
  labels: Record<string, string>;
  availability: string;
  pool: string;
  taints: TaintRow[];
}

export interface Change {
  key: readonly unknown[];
  before: unknown;
  after: unknown;
}

export interface Commit {
  by: string;
  /** When it was asked for: what it says was decided by then. */
  askedMs: number;
  atMs: number;
  versionstamp: string;
  changes: Change[];
}
