/**
 * What Prometheus' HTTP service discovery reads.
 *
 * @module
 */
import { z } from "zod";

/** Labels of a service that say how its tasks' metrics are scraped. */
export const SCRAPE_LABEL = {
  scrape: "prometheus.io/scrape",
  port: "prometheus.io/port",
  path: "prometheus.io/path",
  scheme: "prometheus.io/scheme",
} as const;

export const TargetGroup = z.object({
  targets: z.array(z.string()).meta({ description: "HOST:PORT" }),
  labels: z.record(z.string(), z.string()),
}).meta({ id: "TargetGroup", description: "Targets with the same labels" });
export type TargetGroup = z.infer<typeof TargetGroup>;
