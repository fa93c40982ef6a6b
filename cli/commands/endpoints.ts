/**
 * `berth endpoints`: which ports services have, and which tasks are behind them.
 *
 * @module
 */
import type { Endpoint, ServiceEndpoints } from "../../kv/schema/endpoint.ts";
import type { ServerDeps } from "../deps.ts";
import type { ExitCode } from "../exit.ts";
import { listAll, refOf } from "../find.ts";
import { qualified } from "../format/state.ts";
import { style } from "../format/style.ts";
import { failCall, hint, printList, printValue } from "../report.ts";

export async function endpoints(
  { project }: { project: string | undefined },
  service: string | undefined,
  deps: ServerDeps,
): Promise<ExitCode> {
  return service === undefined
    ? await allServices(project, deps)
    : await oneService(refOf(service, project), deps);
}

interface PortRow {
  service: ServiceEndpoints;
  port: ServiceEndpoints["ports"][number];
}

async function allServices(project: string | undefined, deps: ServerDeps): Promise<ExitCode> {
  const services = await listAll((query) =>
    deps.client.listEndpoints({ ...query, ...(project === undefined ? {} : { project }) })
  );
  if (!services.ok) return failCall(deps, services.error, "cannot list the endpoints");
  const { output } = deps.view;
  if (output === "json" || output === "yaml") {
    await printValue(deps, services.value, output);
    return 0;
  }
  const rows = services.value.flatMap((one) =>
    one.ports.map((port): PortRow => ({ service: one, port }))
  );
  return await printList(deps, {
    rows,
    columns: [
      { header: "SERVICE", cell: (r) => qualified(r.service.project, r.service.name), minWidth: 8 },
      { header: "PUBLISHED", cell: (r) => String(r.port.published ?? "-") },
      { header: "TARGET", cell: (r) => `${r.port.target}/${r.port.protocol}` },
      { header: "READY", cell: (r) => readyText(r) },
      { header: "POLICY", cell: (r) => r.port.balancing.policy, drop: 1 },
    ],
    name: (r) => r.service.name,
    empty: "No service has a port. Publish one: berth run -d -p 8080:80 nginx",
  });
}

function readyText({ service, port }: PortRow): string {
  const behind = service.endpoints.filter(({ ports }) =>
    ports.some((p) => p.target === port.target && p.protocol === port.protocol)
  );
  const ready = behind.filter(({ state }) => state === "ready").length;
  return `${ready}/${service.endpoints.length}`;
}

async function oneService(
  { name, project }: { name: string; project?: string },
  deps: ServerDeps,
): Promise<ExitCode> {
  const found = await deps.client.getEndpoints(name, project);
  if (!found.ok) return failCall(deps, found.error, `cannot read the endpoints of ${name}`);
  const { output } = deps.view;
  if (output === "json" || output === "yaml") {
    await printValue(deps, found.value, output);
    return 0;
  }
  const nodes = await listAll((query) => deps.client.listNodes(query));
  const names = new Map((nodes.ok ? nodes.value : []).map((node) => [node.id, node.name]));
  const paint = style(deps.view.color);
  const service = found.value;
  const code = await printList(deps, {
    rows: service.endpoints,
    columns: [
      { header: "TASK", cell: (e) => `${service.name}.${e.slot}`, minWidth: 8 },
      { header: "NODE", cell: (e) => names.get(e.nodeId) ?? e.nodeId, minWidth: 6 },
      {
        header: "STATE",
        cell: (e) => e.state,
        paint: (e) => e.state === "ready" ? paint.good : paint.dim,
      },
      { header: "ANSWERS AT", cell: (e) => places(e), minWidth: 12 },
    ],
    name: (e) => e.taskId,
    empty: `${service.name} has no task that runs. See berth ps -a ${service.name}`,
  });
  const published = service.ports.filter((port) => port.published !== undefined);
  if (published.length > 0) {
    const ports = published.map((p) => `${p.published}/${p.protocol}`).join(", ");
    hint(deps, `Every node passes on ${ports}.`);
  } else {
    hint(deps, `It publishes no port. Reach it: berth port-forward ${service.name} PORT`);
  }
  return code;
}

function places({ address, ports }: Endpoint): string {
  const udp = (protocol: string) => protocol === "udp" ? "/udp" : "";
  return ports.map((p) => `${address}:${p.port}→${p.target}${udp(p.protocol)}`).join(", ") || "-";
}
