/**
 * `berth routes`: which requests go to which service.
 *
 * @module
 */
import type { ServiceEndpoints } from "../../kv/schema/endpoint.ts";
import { type Route, routePort } from "../../kv/schema/route.ts";
import type { ServerDeps } from "../deps.ts";
import type { ExitCode } from "../exit.ts";
import { listAll, refOf } from "../find.ts";
import { tlsText } from "../format/routes.ts";
import { qualified } from "../format/state.ts";
import { failCall, printList, printValue } from "../report.ts";

interface Row {
  route: Route;
  service: ServiceEndpoints;
}

export async function routes(
  options: { project: string | undefined },
  ref: string | undefined,
  deps: ServerDeps,
): Promise<ExitCode> {
  const { name, project } = ref === undefined
    ? { name: undefined, project: options.project }
    : refOf(ref, options.project);
  const listed = await listAll((query) =>
    deps.client.listEndpoints({ ...query, ...(project === undefined ? {} : { project }) })
  );
  if (!listed.ok) return failCall(deps, listed.error, "cannot list the routes");
  const rows = listed.value.filter((one) => name === undefined || one.name === name)
    .flatMap((service) => (service.routes ?? []).map((route): Row => ({ route, service })))
    .sort((a, b) => compare(a.route.host, b.route.host) || compare(a.route.path, b.route.path));
  const { output } = deps.view;
  if (output === "json" || output === "yaml") {
    const items = rows.map(({ route, service: { id, project, name } }) => ({
      ...route,
      service: { id, project, name },
    }));
    await printValue(deps, items, output);
    return 0;
  }
  return await printList(deps, {
    rows,
    columns: [
      { header: "HOST", cell: (r) => r.route.host, minWidth: 10 },
      { header: "PATH", cell: (r) => r.route.path },
      { header: "SERVICE", cell: (r) => qualified(r.service.project, r.service.name), minWidth: 8 },
      { header: "PORT", cell: (r) => String(portOf(r) ?? "-") },
      { header: "READY", cell: (r) => readyText(r) },
      { header: "TLS", cell: (r) => tlsText(r.route.tls), drop: 1 },
      { header: "OPTIONS", cell: (r) => optionsText(r.route), drop: 2 },
      { header: "BALANCE", cell: (r) => policyOf(r), wide: true },
    ],
    name: (r) => r.route.host + r.route.path,
    empty: "No service has a route. Give it one: berth update --route www.example.com web",
  });
}

const portOf = ({ route, service }: Row) =>
  route.redirect ? undefined : routePort(route, service.ports);

function readyText({ route, service: { endpoints } }: Row): string {
  if (route.redirect) return "-";
  return `${endpoints.filter(({ state }) => state === "ready").length}/${endpoints.length}`;
}

function policyOf(row: Row): string {
  if (row.route.sticky) return "cookie";
  const target = portOf(row);
  return row.service.ports.find((port) => port.target === target)?.balancing.policy ?? "-";
}

function optionsText(route: Route): string {
  const { redirect, sticky, stripPrefix, requestHeaders, responseHeaders, bodyLimitBytes } = route;
  return [
    ...(redirect ? [`${redirect.status} to ${redirect.to}`] : []),
    ...(sticky ? ["sticky"] : []),
    ...(stripPrefix ? ["strip-prefix"] : []),
    ...(requestHeaders || responseHeaders ? ["headers"] : []),
    ...(route.timeouts ? ["timeouts"] : []),
    ...(bodyLimitBytes === undefined ? [] : [`body ≤ ${bodyLimitBytes} B`]),
  ].join(", ") || "-";
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
