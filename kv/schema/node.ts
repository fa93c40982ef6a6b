/**
 * Nodes: machines with a worker agent. Three rows with three writers: facts (the agent), spec
 * (users) and status (the leader).
 *
 * @module
 */
import { z } from "zod";
import { Id, Labels, Name, Timestamp } from "./common.ts";
import { Taint } from "./placement.ts";
import { Resources } from "./service.ts";

/** What the agent says of its machine. Written when it starts and when something changed. */
export const NodeFacts = z.object({
  name: Name,
  address: z.string().min(1).max(255)
    .meta({ description: "Host name or address at which published ports answer" }),
  capacity: Resources.meta({ description: "What tasks may use of this machine" }),
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
}).meta({ id: "NodeFacts" });
export type NodeFacts = z.infer<typeof NodeFacts>;

/** What users decide about a node. */
export const NodeSpec = z.object({
  labels: Labels.default({}),
  availability: z.enum(["active", "cordon", "drain"]).default("active"),
  pool: Name.default("default").meta({ description: "The group of nodes that it belongs to" }),
  taints: z.array(Taint).max(32).default([]),
}).meta({ id: "NodeSpec" });
export type NodeSpec = z.infer<typeof NodeSpec>;
export type NodeSpecInput = z.input<typeof NodeSpec>;

/** What the leader concluded. A row is absent until the leader has first seen the node. */
export const NodeStatus = z.object({
  state: z.enum(["ready", "down"]),
  since: Timestamp,
  why: z.string().max(1024),
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
  }),
  version: z.string().meta({ description: "Versionstamp of the spec: pass it as `If-Match`" }),
  allocated: Resources,
  tasks: z.int().meta({ description: "Tasks that hold resources on it" }),
}).meta({ id: "Node", description: "A machine with a worker agent" });
export type NodeView = z.infer<typeof NodeView>;
