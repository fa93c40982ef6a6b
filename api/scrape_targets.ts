/**
 * From services that want to be scraped, and their endpoints, to the targets of Prometheus. Pure.
 *
 * @module
 */
import { hostPort, type ServiceEndpoints } from "../kv/schema/endpoint.ts";
import { routePort } from "../kv/schema/route.ts";
import { SCRAPE_LABEL, type TargetGroup } from "../kv/schema/scrape.ts";
import type { Service } from "../kv/schema/service.ts";

/** A group for each task that lives and has bound the port; a service without the label has none. */
export function scrapeTargets(
  { labels }: Pick<Service, "labels">,
  service: ServiceEndpoints,
): TargetGroup[] {
  if (labels[SCRAPE_LABEL.scrape] !== "true") return [];
  const asked = labels[SCRAPE_LABEL.port];
  const target = routePort(asked === undefined ? {} : { port: Number(asked) }, service.ports);
  const { project, name, endpoints } = service;
  return endpoints.flatMap(({ taskId, slot, nodeId, address, ports, state }): TargetGroup[] => {
    const bound = ports.find((port) => port.target === target && port.protocol === "tcp");
    if (!bound) return [];
    return [{
      targets: [hostPort(address, bound.port)],
      labels: {
        job: `${project}/${name}`,
        __metrics_path__: labels[SCRAPE_LABEL.path] ?? "/metrics",
        __scheme__: labels[SCRAPE_LABEL.scheme] ?? "http",
        __meta_berth_project: project,
        __meta_berth_service: name,
        __meta_berth_slot: String(slot),
        __meta_berth_task: taskId,
        __meta_berth_node: nodeId,
        __meta_berth_state: state,
      },
    }];
  });
}

/** The server's own metrics, at the address by which it was asked. */
export function serverTarget(url: string): TargetGroup {
  const { host, protocol } = new URL(url);
  return {
    targets: [host],
    labels: { job: "berth", __metrics_path__: "/metrics", __scheme__: protocol.slice(0, -1) },
  };
}
