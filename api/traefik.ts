/**
 * From routes and endpoints to what Traefik's HTTP provider reads. Pure.
 *
 * What Traefik cannot be told this way: certificates (it has its own), headers that are added beside others
 * of the same name (they replace them), and other status codes of redirects than its own.
 *
 * @module
 */
import { answeringAt, type ServiceEndpoints } from "../kv/schema/endpoint.ts";
import { balancingOf } from "../kv/schema/port.ts";
import { type HeaderChanges, type Route, routePort } from "../kv/schema/route.ts";
import type { TraefikDocument, TraefikMiddleware } from "../kv/schema/traefik.ts";

interface Options {
  /** Of Traefik's own, for routes whose certificates are got automatically. */
  certResolver?: string;
}

type Sections = TraefikDocument["http"];
type Http = { [K in keyof Sections]-?: Exclude<Sections[K], undefined> };

/** An exact host comes before a wildcard, then the longer path. */
const EXACT_HOST = 10_000;
const TO_HTTPS = "berth-to-https";
const PERMANENT: readonly number[] = [301, 308];

export function traefikDocument(
  services: readonly ServiceEndpoints[],
  options: Options = {},
): TraefikDocument {
  const http: Http = { routers: {}, services: {}, middlewares: {}, serversTransports: {} };
  for (const service of services) {
    (service.routes ?? []).forEach((route, i) => addRoute(http, { service, route, i }, options));
  }
  // Traefik refuses sections that are there and empty.
  const filled = Object.entries(http).filter(([, section]) => Object.keys(section).length > 0);
  return { http: Object.fromEntries(filled) };
}

interface Place {
  service: ServiceEndpoints;
  route: Route;
  i: number;
}

function addRoute(http: Http, { service, route, i }: Place, { certResolver }: Options): void {
  const name = `${service.project}-${service.name}-${i}`;
  const middlewares = Object.entries(middlewaresOf(route)).map(([kind, middleware]) => {
    http.middlewares[`${name}-${kind}`] = middleware;
    return `${name}-${kind}`;
  });
  const to = route.redirect ? "noop@internal" : addService(http, service, route);
  if (to === undefined) return;
  const at = { rule: ruleOf(route), priority: priorityOf(route) };
  const chain = middlewares.length === 0 ? {} : { middlewares };
  if (route.tls === "plain") {
    http.routers[name] = { ...at, service: to, ...chain };
    return;
  }
  const resolver = route.tls === "auto" && certResolver !== undefined ? { certResolver } : {};
  http.routers[name] = { ...at, service: to, ...chain, tls: resolver };
  http.routers[`${name}-plain`] = { ...at, service: "noop@internal", middlewares: [TO_HTTPS] };
  http.middlewares[TO_HTTPS] = { redirectScheme: { scheme: "https", permanent: true } };
}

/** One for each set of options; its name, or nothing when the route has no port. */
function addService(http: Http, service: ServiceEndpoints, route: Route): string | undefined {
  const target = routePort(route, service.ports);
  if (target === undefined) return undefined;
  const port = service.ports.find((one) => one.target === target && one.protocol === "tcp");
  const balancing = port?.balancing ?? balancingOf("tcp", undefined, undefined);
  const { connectMs = balancing.connectTimeoutMs, responseMs = 0 } = route.timeouts ?? {};
  const base = `${service.project}-${service.name}-${target}`;
  const transport = `${base}-${connectMs}-${responseMs}`;
  http.serversTransports[transport] = {
    forwardingTimeouts: {
      dialTimeout: `${connectMs}ms`,
      responseHeaderTimeout: `${responseMs}ms`,
    },
  };
  const name = `${transport}${route.sticky ? "-sticky" : ""}`;
  http.services[name] = {
    loadBalancer: {
      servers: answeringAt(service, target).map((address) => ({ url: `http://${address}` })),
      passHostHeader: true,
      serversTransport: transport,
      ...(route.sticky
        ? {
          sticky: {
            cookie: { name: `berth_${service.project}_${service.name}_${target}`, httpOnly: true },
          },
        }
        : {}),
    },
  };
  return name;
}

/** In the order in which a request passes them. */
function middlewaresOf(route: Route): Record<string, TraefikMiddleware> {
  const { redirect, stripPrefix, path, requestHeaders, responseHeaders, bodyLimitBytes } = route;
  const made: Record<string, TraefikMiddleware> = {};
  if (requestHeaders || responseHeaders) {
    made.headers = {
      headers: {
        ...(requestHeaders ? { customRequestHeaders: headersOf(requestHeaders) } : {}),
        ...(responseHeaders ? { customResponseHeaders: headersOf(responseHeaders) } : {}),
      },
    };
  }
  if (redirect) {
    const to = redirect.to.replaceAll("$", "$$$$");
    made.redirect = {
      redirectRegex: {
        regex: "^https?://[^/]+(.*)$",
        replacement: redirect.keepPath ? `${to.replace(/\/+$/, "")}\${1}` : to,
        permanent: PERMANENT.includes(redirect.status),
      },
    };
    return made;
  }
  if (bodyLimitBytes !== undefined) {
    made.body = { buffering: { maxRequestBodyBytes: bodyLimitBytes } };
  }
  if (stripPrefix && path !== "/") made.strip = { stripPrefix: { prefixes: [path] } };
  return made;
}

/** An empty value removes the header. */
function headersOf({ set = {}, add = {}, remove = [] }: HeaderChanges): Record<string, string> {
  return { ...Object.fromEntries(remove.map((name) => [name, ""])), ...add, ...set };
}

/** Traefik's prefixes are of characters; routes' are of whole parts. */
function ruleOf({ host, path }: Route): string {
  const on = host.startsWith("*.")
    ? `HostRegexp(\`^[^.]+${host.slice(1).replaceAll(".", "\\.")}$\`)`
    : `Host(\`${host}\`)`;
  return path === "/" ? on : `${on} && (Path(\`${path}\`) || PathPrefix(\`${path}/\`))`;
}

function priorityOf({ host, path }: Route): number {
  return (host.startsWith("*.") ? 0 : EXACT_HOST) + path.length;
}
