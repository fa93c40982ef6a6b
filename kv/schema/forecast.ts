/**
 * Forecasts: what would happen if. Made by the planner itself on a copy of the cluster, in which
 * every task that is started runs and every task that is stopped ends; nothing is written.
 *
 * @module
 */
import { z } from "zod";
import { Id, Labels, Name } from "./common.ts";
import { Resources, ServiceSpec } from "./service.ts";

/** The most that "how many more would fit" counts to. */
export const MAX_FITS = 1000;

const Replicas = z.int().min(0).max(200_000);
const NodeRef = z.string().min(1).max(63);

export const PlanRequest = z.object({
  specs: z.array(ServiceSpec).min(1).max(500)
    .meta({ description: "The services as they would be applied, each at most once" }),
}).meta({ id: "PlanRequest", description: "What would applying these services do" });
export type PlanRequest = z.infer<typeof PlanRequest>;
export type PlanRequestInput = z.input<typeof PlanRequest>;

/** Nodes that do not exist: `count` of them, ready from the start. */
export const AddedNodes = z.object({
  count: z.int().min(1).max(1000),
  capacity: Resources,
  labels: Labels.default({}),
}).meta({ id: "AddedNodes" });
export type AddedNodes = z.infer<typeof AddedNodes>;

export const SimulateRequest = z.object({
  fail: z.array(NodeRef).max(1000).default([])
    .meta({ description: "These nodes fall silent, by name or id" }),
  drain: z.array(NodeRef).max(1000).default([])
    .meta({ description: "These nodes are drained, by name or id" }),
  add: z.array(AddedNodes).max(20).default([])
    .meta({ description: "These nodes join; they are called new-1, new-2, …" }),
  specs: z.array(ServiceSpec).max(500).default([])
    .meta({ description: "These services are created or changed" }),
  scale: z.array(z.object({
    service: Name.meta({ description: "Its name" }),
    project: Name.default("default"),
    replicas: Replicas,
  })).max(500).default([]).meta({ description: "These services get so many replicas" }),
}).meta({ id: "SimulateRequest", description: "What if; all of it at once" });
export type SimulateRequest = z.infer<typeof SimulateRequest>;
export type SimulateRequestInput = z.input<typeof SimulateRequest>;

export const TaskChange = z.object({
  kind: z.enum(["new", "placed", "moved", "replaced", "stopped", "unplaceable"]).meta({
    description: "`new`: a slot gets its first task. `placed`: a waiting task finds a node. " +
      "`moved`: to another node. `replaced`: anew on the same node. `unplaceable`: it would wait, " +
      "and `why` says for what",
  }),
  name: z.string().meta({ description: "service.slot", examples: ["web.1"] }),
  service: Name,
  project: Name,
  slot: z.int().min(1),
  from: z.string().optional().meta({ description: "Name of the node that it leaves" }),
  to: z.string().optional().meta({ description: "Name of the node that it gets" }),
  why: z.string().optional(),
  already: z.boolean().optional()
    .meta({ description: "It waits now as well: this is nothing new" }),
}).meta({ id: "TaskChange", description: "What would become of one slot of a service" });
export type TaskChange = z.infer<typeof TaskChange>;

const NodeLoad = z.object({
  state: z.enum(["joining", "ready", "down"]),
  availability: z.enum(["active", "cordon", "drain"]),
  tasks: z.int(),
  free: Resources,
}).meta({ id: "NodeLoad" });

export const NodeForecast = z.object({
  node: z.string(),
  before: NodeLoad.optional().meta({ description: "Absent for a node that would be added" }),
  after: NodeLoad,
}).meta({ id: "NodeForecast", description: "What a node has left, now and then" });
export type NodeForecast = z.infer<typeof NodeForecast>;

export const ServiceForecast = z.object({
  id: Id.optional().meta({ description: "Absent for a service that would be created" }),
  name: Name,
  project: Name,
  result: z.enum(["created", "changed", "unchanged"])
    .meta({ description: "What the hypothesis does to its spec" }),
  revision: z.int().min(1).meta({ description: "The revision that it would be at" }),
  fitsBefore: z.int().optional()
    .meta({ description: `How many more of it fit now; ${MAX_FITS} is that many or more` }),
  fitsAfter: z.int()
    .meta({ description: `How many more of it would fit; ${MAX_FITS} is that many or more` }),
}).meta({ id: "ServiceForecast" });
export type ServiceForecast = z.infer<typeof ServiceForecast>;

export const Forecast = z.object({
  changes: z.array(TaskChange).meta({ description: "By project, service and slot" }),
  counts: z.object({
    new: z.int(),
    placed: z.int(),
    moved: z.int(),
    replaced: z.int(),
    stopped: z.int(),
    unplaceable: z.int(),
  }),
  services: z.array(ServiceForecast)
    .meta({ description: "Those of the hypothesis, then others, up to 50" }),
  nodes: z.array(NodeForecast).meta({ description: "By name" }),
  settled: z.boolean().meta({
    description: "False: cut before the cluster came to rest; the rest follows by the same rules",
  }),
}).meta({ id: "Forecast", description: "What would happen. Nothing was written." });
export type Forecast = z.infer<typeof Forecast>;
