/**
 * The playground: simulated nodes beside the real ones, and the one-line calls by which small teaching
 * orchestrators are known. The fields of those calls are in their style, not in that of the API.
 *
 * @module
 */
import { z } from "zod";
import { Id, Name } from "./common.ts";
import { StrategyName } from "./service.ts";

/** Label of the nodes that the playground's host makes; pods go to such nodes only. */
export const PLAYGROUND_LABEL = "berth.playground";

const Cpus = z.number().min(0.001).max(4096).meta({ description: "Cores, fractions allowed" });
const MemoryMiB = z.int().min(4).max(64 * 1024 * 1024);

/** A simulated node that shall be. */
export const PlaygroundNode = z.object({
  name: Name,
  cpus: Cpus,
  memoryMiB: MemoryMiB,
  generation: z.int().min(1).meta({ description: "Grows when the node is to be restarted" }),
}).meta({ id: "PlaygroundNode", description: "A simulated node that shall be" });
export type PlaygroundNode = z.infer<typeof PlaygroundNode>;

/** Serialises the changes of the set. */
export const PlaygroundHead = z.object({
  version: z.int().min(0),
  /** Nodes up to this number were made at the start of a host. */
  seeded: z.int().min(0),
  /** The number in the name of the next node. */
  next: z.int().min(1),
});
export type PlaygroundHead = z.infer<typeof PlaygroundHead>;

/** All simulated nodes that shall be, for the process that hosts them. */
export const PlaygroundSet = z.object({
  version: z.int().min(0).meta({ description: "Pass as `since`" }),
  nodes: z.array(PlaygroundNode),
}).meta({ id: "PlaygroundSet" });
export type PlaygroundSet = z.infer<typeof PlaygroundSet>;

/** What a host asks for when it starts: nodes sim-1 to sim-`count`, unless they were there before. */
export const SeedRequest = z.object({
  count: z.int().min(1).max(900),
  cpus: Cpus.default(4),
  memoryMiB: MemoryMiB.default(8192),
}).meta({ id: "SeedRequest" });
export type SeedRequest = z.infer<typeof SeedRequest>;

export const AddNodeRequest = z.object({
  cpus: Cpus.default(4),
  memory_mib: MemoryMiB.default(8192),
}).meta({ id: "AddNodeRequest" });

export const AddPodRequest = z.object({
  cpus: Cpus.default(1),
  memory_mib: z.int().min(0).max(64 * 1024 * 1024).default(0),
  strategy: StrategyName.optional().meta({ description: "Instead of the cluster's" }),
}).meta({ id: "AddPodRequest" });

export const NodeChoice = z.object({
  node: z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, "must be a node's name or id")
    .meta({ description: "Name or id" }),
}).meta({ id: "NodeChoice" });

/** A node as the classroom calls show it. */
export const ClassNode = z.object({
  id: Id.optional().meta({ description: "Absent until it has joined" }),
  name: Name,
  cpus: z.number(),
  available_cpus: z.number(),
  memory_mib: z.int(),
  available_memory_mib: z.int(),
  status: z.enum(["waiting", "joining", "ready", "down"])
    .meta({ description: "`waiting`: no worker has started it yet" }),
  pods: z.array(z.string()).meta({ description: "Names of the tasks on it" }),
}).meta({ id: "ClassNode" });
export type ClassNode = z.infer<typeof ClassNode>;

export const ClassPod = z.object({
  pod: Name.meta({ description: "Name of its service" }),
  cpus: z.number(),
  status: z.enum(["placed", "waiting"]),
  node: z.string().optional().meta({ description: "Name of the node that it got" }),
  why: z.string().optional().meta({ description: "Why it waits" }),
}).meta({ id: "ClassPod" });
export type ClassPod = z.infer<typeof ClassPod>;
