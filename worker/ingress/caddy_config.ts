/**
 * From routes and endpoints to the whole of Caddy's configuration. Pure.
 *
 * 1. A request goes to the route of its host (an exact one before a wildcard) with the longest path.
 * 2. Beside its port, which stays open over all changes, each server listens on a socket that the next
 *    configuration does not have. Only for that does Caddy keep the old servers for a while, in which they
 *    ask clients to come again: without it, it closes connections on which a request may be under way
 *    (docs/decisions/0011-the-ingress-proxy.md).
 * 3. What users wrote reaches Caddy as text: its braces are no placeholders there.
 *
 * @module
 */
import type { ServiceEndpoints } from "../../kv/schema/endpoint.ts";
import { INGRESS, INTERNAL_CA } from "../../kv/schema/ingress.ts";
import type { Pin } from "../../kv/schema/resolved.ts";
import { certificateOf, type Route } from "../../kv/schema/route.ts";
import { proxyRoute } from "./caddy_route.ts";

export interface Pem {
  chain: string;
  key: string;
}

/** What the ingress service says beside the routes. */
export interface IngressSettings {
  httpPort: number;
  httpsPort: number;
  /** Of the account at the ACME server. */
  acmeEmail?: string;
  /** URL of the ACME server's directory, or `internal`. */
  acmeCa?: string;
}

export interface IngressInput {
  services: readonly ServiceEndpoints[];
  settings: IngressSettings;
  certificate(pin: Pin): Pem | undefined;
  /** Counts configurations; invariant 2. */
  generation: number;
  /** Caddy 2.7 or newer: it keeps WebSockets over a change, and speaks the PROXY protocol. */
  recent: boolean;
}

export type Json = { [name: string]: unknown };

/** A host, and what leads from it. */
interface Site {
  host: string;
  routes: { route: Route; service: ServiceEndpoints }[];
}

/** How long the old servers go on after a change: a change is live once they are gone. */
const SHUTDOWN_DELAY = "300ms";
const READ_HEADER_TIMEOUT = "30s";
/** Older Caddys take a body over the limit for a failure of the upstream. */
const ERRORS = {
  routes: [{
    match: [{ vars_regexp: { "{http.error.message}": { pattern: "request body too large" } } }],
    handle: [{ handler: "static_response", status_code: 413, body: "the body is too large\n" }],
  }],
};
const NOT_FOUND = { handler: "static_response", status_code: 404, body: "no such route\n" };

/** The configuration; the same input gives the same text. */
export function caddyConfig(input: IngressInput): Json {
  const { settings: { httpPort, httpsPort }, generation } = input;
  const sites = sitesOf(input.services);
  const secure = sites.filter(isSecure);
  const listen = (port: number) => [
    `:${port}`,
    `unix//run/berth-ingress-${port}-${generation % 2}.sock`,
  ];
  return {
    admin: { listen: INGRESS.admin, config: { persist: false } },
    apps: {
      http: {
        http_port: httpPort,
        https_port: httpsPort,
        shutdown_delay: SHUTDOWN_DELAY,
        servers: {
          http: {
            listen: listen(httpPort),
            protocols: ["h1"],
            read_header_timeout: READ_HEADER_TIMEOUT,
            errors: ERRORS,
            automatic_https: { disable: true },
            routes: [leave(), ...sites.map((site) => plainSite(site, input)), catchAll()],
          },
          ...(secure.length === 0 ? {} : {
            https: {
              listen: listen(httpsPort),
              protocols: ["h1", "h2"],
              read_header_timeout: READ_HEADER_TIMEOUT,
              errors: ERRORS,
              automatic_https: {
                disable_redirects: true,
                skip_certificates: secure.filter(isCertified).map(({ host }) => host),
              },
              tls_connection_policies: [
                ...secure.filter(isCertified).map(({ host }) => ({
                  match: { sni: [host] },
                  certificate_selection: { any_tag: [host] },
                })),
                {},
              ],
              routes: [leave(), ...secure.map((site) => secureSite(site, input)), catchAll()],
            },
          }),
        },
      },
      ...(secure.length === 0 ? {} : { tls: tlsApp(secure, input) }),
    },
  };
}

/** The certificates that the routes name, each once. */
export function certificatePins(services: readonly ServiceEndpoints[]): Pin[] {
  const pins = new Map<string, Pin>();
  for (const { certificates = {} } of services) {
    for (const pin of Object.values(certificates)) pins.set(pin.id, pin);
  }
  return [...pins.values()];
}

/** By host, those without a wildcard first; the routes of each, the longest path first. */
function sitesOf(services: readonly ServiceEndpoints[]): Site[] {
  const sites = new Map<string, Site>();
  const sorted = [...services].sort((a, b) => compare(a.project, b.project) || compare(a.id, b.id));
  for (const service of sorted) {
    for (const route of service.routes ?? []) {
      const site = sites.get(route.host) ?? { host: route.host, routes: [] };
      sites.set(route.host, site);
      site.routes.push({ route, service });
    }
  }
  const wild = ({ host }: Site) => host.startsWith("*.") ? 1 : 0;
  for (const { routes } of sites.values()) {
    routes.sort(({ route: a }, { route: b }) =>
      b.path.length - a.path.length || compare(a.path, b.path)
    );
  }
  return [...sites.values()].sort((a, b) => wild(a) - wild(b) || compare(a.host, b.host));
}

function plainSite({ host, routes }: Site, input: IngressInput): Json {
  const to = input.settings.httpsPort === 443 ? "" : `:${input.settings.httpsPort}`;
  return siteRoute(
    host,
    routes.map(({ route, service }) =>
      route.tls === "plain" ? proxyRoute(route, service, input) : proxyRoute(route, service, {
        ...input,
        instead: {
          handler: "static_response",
          status_code: 308,
          headers: { Location: [`https://{http.request.host}${to}{http.request.uri}`] },
        },
      })
    ),
  );
}

function secureSite({ host, routes }: Site, input: IngressInput): Json {
  const own = routes.filter(({ route }) => route.tls !== "plain");
  return siteRoute(host, own.map(({ route, service }) => proxyRoute(route, service, input)));
}

function siteRoute(host: string, routes: Json[]): Json {
  const [only] = routes;
  // Caddy puts a subroute together for each request: spared where there is nothing to choose.
  const handle = routes.length === 1 && only && only.match === undefined
    ? only.handle
    : [{ handler: "subroute", routes: [...routes, catchAll()] }];
  return { match: [{ host: [host] }], handle, terminal: true };
}

/** Invariant 2: asks clients of a server that is about to go to connect anew. */
function leave(): Json {
  const close = { handler: "headers", response: { set: { Connection: ["close"] } } };
  const unlessUpgraded = { match: [{ header: { Upgrade: null } }], handle: [close] };
  return {
    // Asked for each request, and nearly always false: one look-up, where an expression costs several.
    match: [{ vars: { "{http.shutting_down}": ["true"] } }],
    handle: [{ handler: "subroute", routes: [unlessUpgraded] }],
  };
}

function catchAll(): Json {
  return { handle: [NOT_FOUND] };
}

function tlsApp(secure: readonly Site[], { certificate, settings }: IngressInput): Json {
  const load = secure.flatMap((site) => {
    const pin = pinOf(site);
    const pem = pin && certificate(pin);
    return pem ? [{ certificate: pem.chain, key: pem.key, tags: [site.host] }] : [];
  });
  const subjects = secure.filter((site) => !isCertified(site)).map(({ host }) => host);
  const issuers = issuersOf(settings);
  return {
    ...(load.length === 0 ? {} : { certificates: { load_pem: load } }),
    ...(subjects.length === 0 || !issuers
      ? {}
      : { automation: { policies: [{ subjects, issuers }] } }),
  };
}

/** Absent: Caddy's own choice. */
function issuersOf({ acmeCa: ca, acmeEmail: email }: IngressSettings): Json[] | undefined {
  if (ca === INTERNAL_CA) return [{ module: "internal" }];
  if (ca === undefined && email === undefined) return undefined;
  return [{
    module: "acme",
    ...(ca === undefined ? {} : { ca }),
    ...(email === undefined ? {} : { email }),
  }];
}

/** Services that share a host may differ in this: the first one's certificate is the host's. */
function pinOf({ routes }: Site): Pin | undefined {
  for (const { route, service } of routes) {
    const name = certificateOf(route);
    const pin = name === undefined ? undefined : service.certificates?.[name];
    if (pin) return pin;
  }
  return undefined;
}

const isSecure = ({ routes }: Site) => routes.some(({ route }) => route.tls !== "plain");
const isCertified = ({ routes }: Site) => routes.some(({ route }) => certificateOf(route));

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
