/**
 * `x-berth` of a service: what Berth can do and Compose has no word for. Its fields are those of the
 * API, so that there is one schema of each.
 *
 * @module
 */
import { z } from "zod";
import { Name } from "../../../kv/schema/common.ts";
import { HealthCheck, ReadinessCheck } from "../../../kv/schema/health.ts";
import { Affinity, Spread, StrategyName, Toleration } from "../../../kv/schema/placement.ts";
import { Routes } from "../../../kv/schema/route.ts";
import { CronMode } from "../../../kv/schema/run.ts";
import { Disconnect, Disruption, Mode } from "../../../kv/schema/service.ts";
import { UpdateConfig } from "../../../kv/schema/update.ts";

const Job = Mode.options[2].omit({ type: true });

export const XBerth = z.object({
  strategy: StrategyName.optional().meta({ description: "How nodes are chosen for its tasks" }),
  pool: Name.optional().meta({ description: "Only nodes of this pool" }),
  node: z.string().max(63).optional().meta({ description: "Only this node, by name or id" }),
  tolerations: z.array(Toleration).max(32).optional()
    .meta({ description: "Taints of nodes that it puts up with" }),
  affinity: z.array(Affinity).max(16).optional()
    .meta({ description: "With or away from nodes or another service's tasks" }),
  spread: z.array(Spread).max(8).optional()
    .meta({ description: "Evenly over a label of the nodes" }),
  routes: Routes.optional()
    .meta({ description: "Which requests from outside the ingress proxy passes on to it" }),
  priority: z.int().min(-1000).max(1000).optional()
    .meta({ description: "When room is short, the lower is stopped for the higher" }),
  singleton: z.enum(["strict"]).optional()
    .meta({ description: "Never two live containers, not even while a node is cut off" }),
  disconnect: Disconnect.optional()
    .meta({ description: "What becomes of a task whose node is cut off" }),
  disruption: Disruption.optional()
    .meta({ description: "How many tasks may be down at once for the cluster's own reasons" }),
  schedule: CronMode.omit({ type: true }).optional()
    .meta({ description: "When to run it, instead of all the time" }),
  job: Job.partial().optional()
    .meta({ description: "It runs to its end: completions, parallelism, retries, deadline" }),
  health: HealthCheck.optional()
    .meta({ description: "Instead of `healthcheck`: probes over HTTP or TCP by the agent" }),
  readiness: ReadinessCheck.optional()
    .meta({ description: "When a task gets traffic, and counts in rollouts" }),
  update: UpdateConfig.partial().optional()
    .meta({ description: "Canary, blue/green and what `update_config` has no key for" }),
}).meta({ id: "x-berth", description: "Berth's own settings of a Compose service" });
export type XBerth = z.infer<typeof XBerth>;
export type XBerthInput = z.input<typeof XBerth>;

/** The settings by name, for docs. */
export function settings(): { path: string; what: string }[] {
  return Object.entries(XBerth.shape).map(([path, schema]) => ({
    path,
    what: z.globalRegistry.get(schema)?.description ?? "",
  }));
}

/** For editors: a schema of files in which services may have `x-berth`. */
export function editorSchema(): object {
  const { $schema, $defs, ...own } = z.toJSONSchema(XBerth, {
    io: "input",
    // A setting that there is not is an error, so editors shall mark it.
    override({ jsonSchema }) {
      if (jsonSchema.properties) jsonSchema.additionalProperties ??= false;
    },
  });
  return {
    $schema,
    title: "Compose files with Berth's settings",
    type: "object",
    properties: {
      services: {
        type: "object",
        additionalProperties: {
          type: "object",
          properties: { "x-berth": own },
        },
      },
    },
    // References are relative to the whole.
    $defs,
  };
}
