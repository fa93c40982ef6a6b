/**
 * Nodes: machines with a worker agent. Three rows with three writers: facts (the agent), spec
 * (users) and status (the leader).
 *
 * @module
 */
import { z } from "zod";
import { DurationMs, Id, Labels, Name, Timestamp } from "./common.ts";
import { Taint } from "./placement.ts";
import { PortNumber, Protocol } from "./port.ts";
import { Resources } from "./service.ts";

/** A published port of the cluster that a node cannot listen on. */
export const UnboundPort = z.object({
  protocol: Protocol,
  published: PortNumber,
  reason: z.string().max(256),
}).meta({ id: "UnboundPort" });
export type UnboundPort = z.infer<typeof UnboundPort>;

/** What the agent says of its machine. Written when it starts and when something changed. */
export const NodeFacts = z.object({
  name: Name,
  address: z.string().min(1).max(255)
    .meta({ description: "Host name or address at which published ports answer" }),
  capacity: Resources.meta({ description: "What the machine has, or was told to have" }),
  allocatable: Resources.optional()
    .meta({ description: "What tasks may use: the capacity less the agent's reserve" }),
  diskMiB: z.int().min(0).optional()
    .meta({ description: "Size of the disk that holds the engine's data, if it is known" }),
  gpus: z.int().min(0).max(1024).optional().meta({ description: "GPUs that the engine offers" }),
  labels: Labels.default({}).meta({ description: "Labels given to the agent at its start" }),
  engineLabels: Labels.default({}).meta({ description: "Labels of the engine itself" }),
  hostname: z.string().max(255).optional()
    .meta({ description: "What the machine calls itself; the node's name, when absent" }),
  os: z.string().max(64),
  arch: z.string().max(64),
  runtime: z.enum(["docker", "sim"]),
  engine: z.string().max(128).meta({
    description: "Engine and version",
    examples: ["docker 28.2"],
  }),
  agentVersion: z.string().max(32),
  usedPorts: z.array(z.int().min(1).max(65535)).max(4096).default([])
    .meta({ description: "Host ports that something other than Berth holds" }),
  unboundPorts: z.array(UnboundPort).max(4096).optional().meta({
    description:
      "Published ports on which it cannot listen. Where several nodes share a machine, " +
      "one of them listens for all",
  }),
}).meta({ id: "NodeFacts" });
export type NodeFacts = z.infer<typeof NodeFacts>;

/** How long drains and `no-execute` taints have patience with budgets, unless the node says otherwise. */
export const DRAIN_DEADLINE_MS = 3600_000;

/** What users decide about a node. */
export const NodeSpec = z.object({
  labels: Labels.default({}),
  availability: z.enum(["active", "cordon", "drain"]).default("active"),
  ttlMs: DurationMs.min(1000).optional()
    .meta({ description: "Silence after which it is down; absent: as the cluster has it" }),
  drain: z.object({
    deadlineMs: DurationMs.default(DRAIN_DEADLINE_MS).meta({
      description: "Time after which what is left is stopped regardless of disruption budgets",
    }),
  }).optional().meta({
    description: "How tasks leave it while `availability` is `drain` or a taint is `no-execute`",
  }),
  pool: Name.default("default").meta({ description: "The group of nodes that it belongs to" }),
  taints: z.array(Taint).max(32).default([]),
}).meta({ id: "NodeSpec" });
export type NodeSpec = z.infer<typeof NodeSpec>;
export type NodeSpecInput = z.input<typeof NodeSpec>;

/** The stored row: with when the drain under way was asked for, by the clock of who wrote it, for display. */
export const StoredNodeSpec = NodeSpec.extend({ drainingSince: Timestamp.optional() });

/** What the leader concluded. A row is absent until the leader has first seen the node. */
export const NodeStatus = z.object({
  state: z.enum(["ready", "down"]),
  since: Timestamp,
  why: z.string().max(1024),
  failing: z.record(Id, z.string().max(1024)).optional().meta({
    description: "Services, by id, whose tasks keep failing here: ranked last for them, and why",
  }),
});
export type NodeStatus = z.infer<typeof NodeStatus>;

/** The stored facts row. */
export const Node = NodeFacts.extend({ id: Id, joinedAt: Timestamp });
export type Node = z.infer<typeof Node>;

/** What the API answers for a node. `allocated` is summed from its tasks, never stored. */
export const NodeView = Node.extend({
  spec: NodeSpec,
  status: z.object({
    state: z.enum(["joining", "ready", "down"]),
    since: Timestamp,
    why: z.string(),
    failing: NodeStatus.shape.failing,
  }),
  version: z.string().meta({ description: "Versionstamp of the spec: pass it as `If-Match`" }),
  allocated: Resources,
  tasks: z.int().meta({ description: "Tasks that hold resources on it" }),
  drain: z.object({
    left: z.int().meta({ description: "Tasks that are still to move away" }),
    since: Timestamp.optional(),
    deadlineAt: Timestamp.optional().meta({
      description: "When what is left is stopped regardless; after a change of leader it is later",
    }),
  }).optional().meta({ description: "How far the drain is; present while it is being drained" }),
}).meta({ id: "Node", description: "A machine with a worker agent" });
export type NodeView = z.infer<typeof NodeView>;

/** What tasks may use of a node. Agents of before said it with the capacity. */
export function allocatableOf(node: Pick<NodeFacts, "capacity" | "allocatable">): Resources {
  return node.allocatable ?? node.capacity;
}
