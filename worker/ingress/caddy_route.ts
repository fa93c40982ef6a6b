/**
 * From one route to the handlers that Caddy passes its requests through. Pure.
 *
 * @module
 */
import { answeringAt, type ServiceEndpoints } from "../../kv/schema/endpoint.ts";
import { type Balancing, balancingOf } from "../../kv/schema/port.ts";
import { type HeaderChanges, type Route, routePort } from "../../kv/schema/route.ts";
import type { Json } from "./caddy_config.ts";

const POLICIES = {
  "least-connections": "least_conn",
  "round-robin": "round_robin",
  "client-hash": "ip_hash",
} as const satisfies Record<Balancing["policy"], string>;
/** An upstream that refused a connection is passed over for so long. */
const FAIL_DURATION = "2s";
const TRY_INTERVAL = "50ms";
/** Beyond a second attempt to connect. */
const TRY_SLACK_MS = 1_000;
/** Of WebSockets, once their configuration is no longer in effect. */
const STREAM_CLOSE_DELAY = "24h";

export interface RouteOptions {
  recent: boolean;
  /** Carried out instead of what the route says. */
  instead?: Json;
}

export function proxyRoute(
  route: Route,
  service: ServiceEndpoints,
  options: RouteOptions,
): Json {
  const { path } = route;
  return {
    ...(path === "/" ? {} : { match: [{ path: [path, `${path}/*`] }] }),
    handle: options.instead ? [options.instead] : handlers(route, service, options),
    terminal: true,
  };
}

function handlers(route: Route, service: ServiceEndpoints, options: RouteOptions): Json[] {
  const { redirect, requestHeaders, responseHeaders, bodyLimitBytes, stripPrefix, path } = route;
  const response = headerOps(responseHeaders);
  const request = headerOps(requestHeaders);
  const headers = request || response
    ? [{
      handler: "headers",
      ...(request ? { request } : {}),
      // Deferred: else what the service answers would come after, and win.
      ...(response ? { response: { ...response, deferred: true } } : {}),
    }]
    : [];
  if (redirect) {
    const { to, status, keepPath } = redirect;
    const rest = keepPath ? "{http.request.uri}" : "";
    const location = `${literal(keepPath ? to.replace(/\/+$/, "") : to)}${rest}`;
    return [
      ...headers,
      { handler: "static_response", status_code: status, headers: { Location: [location] } },
    ];
  }
  return [
    ...headers,
    ...(bodyLimitBytes === undefined
      ? []
      : [{ handler: "request_body", max_size: bodyLimitBytes }]),
    ...(stripPrefix && path !== "/" ? [{ handler: "rewrite", strip_path_prefix: path }] : []),
    reverseProxy(route, service, options),
  ];
}

function reverseProxy(
  route: Route,
  service: ServiceEndpoints,
  { recent }: RouteOptions,
): Json {
  const { project, name, ports } = service;
  const target = routePort(route, ports);
  const upstreams = target === undefined ? [] : answeringAt(service, target);
  if (target === undefined || upstreams.length === 0) {
    return {
      handler: "static_response",
      status_code: 503,
      headers: { "Retry-After": ["1"] },
      body: `no task of ${project}/${name} is ready\n`,
    };
  }
  const port = ports.find((one) => one.target === target && one.protocol === "tcp");
  const balancing = port?.balancing ?? balancingOf("tcp", undefined, undefined);
  const { connectMs = balancing.connectTimeoutMs, responseMs } = route.timeouts ?? {};
  const alone = upstreams.length === 1;
  const policy = route.sticky
    ? { policy: "cookie", name: `berth_${project}_${name}_${target}`, secret: service.id }
    : { policy: POLICIES[balancing.policy] };
  return {
    handler: "reverse_proxy",
    upstreams: upstreams.map((dial) => ({ dial })),
    load_balancing: {
      // Clients get their cookie of one that is alone too: they are to stay when others come.
      ...(alone && !route.sticky ? {} : { selection_policy: policy }),
      try_duration: `${2 * connectMs + TRY_SLACK_MS}ms`,
      try_interval: TRY_INTERVAL,
    },
    // One that is alone is asked whatever it answered before.
    ...(alone
      ? {}
      : { health_checks: { passive: { fail_duration: FAIL_DURATION, max_fails: 1 } } }),
    transport: {
      protocol: "http",
      dial_timeout: `${connectMs}ms`,
      ...(recent && balancing.proxyProtocol ? { proxy_protocol: "v2" } : {}),
      ...(responseMs === undefined ? {} : { response_header_timeout: `${responseMs}ms` }),
    },
    ...(recent ? { stream_close_delay: STREAM_CLOSE_DELAY } : {}),
  };
}

function headerOps({ set, add, remove }: HeaderChanges = {}): Json | undefined {
  if (!set && !add && !remove) return undefined;
  return {
    ...(set ? { set: values(set) } : {}),
    ...(add ? { add: values(add) } : {}),
    ...(remove ? { delete: remove } : {}),
  };
}

function values(headers: Readonly<Record<string, string>>): Record<string, string[]> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, [literal(value)]]),
  );
}

/** Caddy expands what stands in braces, its own environment and files among it. */
function literal(text: string): string {
  return text.replace(/[{}]/g, "\\$&");
}
