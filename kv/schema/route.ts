/**
 * Routes: which requests the ingress proxy passes on to a service. They are part of the service's spec and
 * not of its template, so changing them is no rollout.
 *
 * @module
 */
import { z } from "zod";
import { DurationMs } from "./common.ts";
import { type Port, PortNumber } from "./port.ts";
import { DataName } from "./sealed.ts";

export const RouteHost = z.string().min(1).max(255).overwrite(hostOf)
  .refine(isHost, "must be a host name, like www.example.com, or one with a first label of *")
  .meta({
    description: "Host name; `*.example.com` stands for one label more. Letters beyond ASCII are " +
      "kept in their ASCII form (xn--…)",
    examples: ["www.example.com"],
  });

export const RoutePath = z.string().max(1024).overwrite((path) => path.replace(/(.)\/+$/, "$1"))
  .refine(
    (path) => /^\/[A-Za-z0-9._~!$&'()+,;=:@/-]*$/.test(path) && !/\/\/|\/\.\.?(\/|$)/.test(path),
    "must be a path that begins with /, of unreserved characters, without '//', '.' and '..'",
  )
  .meta({ description: "Prefix, by whole parts: /api is /api and /api/x, and not /apix" });

const HeaderName = z.string().regex(
  /^[A-Za-z0-9!#$%&'+.^_`|~-]{1,128}$/,
  "must be a header's name",
);
const HeaderValue = z.string().max(4096)
  // deno-lint-ignore no-control-regex
  .regex(/^[^\x00-\x08\x0a-\x1f\x7f]*$/, "must be one line of text");

export const HeaderChanges = z.object({
  set: z.record(HeaderName, HeaderValue).optional().meta({ description: "Replaces what is there" }),
  add: z.record(HeaderName, HeaderValue).optional(),
  remove: z.array(HeaderName).max(64).optional(),
}).meta({ id: "HeaderChanges", description: "Changes of headers, as they pass" });
export type HeaderChanges = z.infer<typeof HeaderChanges>;

export const RouteRedirect = z.object({
  to: z.string().max(2048)
    .refine(isTarget, "must be a path that begins with one /, or an http or https URL")
    .meta({ examples: ["https://www.example.com"] }),
  status: z.union([z.literal(301), z.literal(302), z.literal(303), z.literal(307), z.literal(308)])
    .default(308),
  keepPath: z.boolean().default(true)
    .meta({ description: "Append the request's own path and query" }),
}).meta({ id: "RouteRedirect" });

export const RouteTls = z.union([
  z.enum(["auto", "plain"]),
  z.object({ certificate: DataName }),
]).meta({
  id: "RouteTls",
  description: "`auto`: HTTPS, with a certificate that the proxy gets by itself. `certificate`: " +
    "HTTPS, with a secret of the service's project that has the certificate chain and the private " +
    "key, both as PEM. `plain`: HTTP only. A host that has HTTPS redirects to it",
});
export type RouteTls = z.infer<typeof RouteTls>;

export const Route = z.object({
  host: RouteHost,
  path: RoutePath.default("/"),
  port: PortNumber.optional().meta({
    description: "A TCP port's `target`; absent: the only one that the service has",
  }),
  tls: RouteTls.default("auto"),
  redirect: RouteRedirect.optional().meta({ description: "Instead of passing requests on" }),
  stripPrefix: z.boolean().optional().meta({ description: "Pass the path on without the prefix" }),
  sticky: z.boolean().optional()
    .meta({ description: "A client stays with its task while that one is ready, by a cookie" }),
  requestHeaders: HeaderChanges.optional(),
  responseHeaders: HeaderChanges.optional(),
  timeouts: z.object({
    connectMs: DurationMs.min(10).optional().meta({ description: "Default: 3 s" }),
    responseMs: DurationMs.min(10).optional()
      .meta({ description: "Until the response begins; default: no limit" }),
  }).optional(),
  bodyLimitBytes: z.int().min(1).max(2 ** 40).optional()
    .meta({ description: "Larger requests are refused with status 413" }),
}).refine(
  ({ host, tls }) => tls !== "auto" || !host.startsWith("*."),
  {
    path: ["tls"],
    message: "must name a certificate, or be plain: none can be got by itself for a wildcard",
  },
).meta({ id: "Route", description: "Requests that the ingress proxy passes on to the service" });
export type Route = z.infer<typeof Route>;
export type RouteInput = z.input<typeof Route>;

export const Routes = z.array(Route).max(64);

/** Names a route for people: `www.example.com/api`. */
export function routeName({ host, path }: Pick<Route, "host" | "path">): string {
  return host + path;
}

/** Two routes of the same place are one: paths are compared as the proxy does, whatever their case. */
export function routePlace({ host, path }: Pick<Route, "host" | "path">): string {
  return host + path.toLowerCase();
}

/** The secret that a route's certificate is in. */
export function certificateOf({ tls }: Pick<Route, "tls">): string | undefined {
  return typeof tls === "object" ? tls.certificate : undefined;
}

/** The port that a route leads to; undefined when the service has none that could be meant. */
export function routePort(
  { port }: Pick<Route, "port">,
  ports: readonly Pick<Port, "target" | "protocol">[],
): number | undefined {
  const targets = new Set(ports.filter((p) => p.protocol === "tcp").map((p) => p.target));
  if (port !== undefined) return targets.has(port) ? port : undefined;
  return targets.size === 1 ? [...targets][0] : undefined;
}

interface Issue {
  path: (string | number)[];
  message: string;
}

/** What of a service's routes does not fit the service, or each other. */
export function routeIssues(
  routes: readonly Route[],
  { ports, serves }: { ports: readonly Port[]; serves: boolean },
): Issue[] {
  const issues: Issue[] = [];
  const seen = new Set<string>();
  const tlsOf = new Map<string, string>();
  routes.forEach((route, i) => {
    const refuse = (field: string, message: string) => issues.push({ path: [i, field], message });
    if (!serves) refuse("host", "must not be: the tasks of jobs and cron services serve nobody");
    const place = routePlace(route);
    if (seen.has(place)) refuse("path", `${routeName(route)} is routed twice`);
    seen.add(place);
    const tls = JSON.stringify(route.tls);
    if (route.tls !== "plain") {
      const before = tlsOf.get(route.host) ?? tls;
      if (before !== tls) refuse("tls", `must be ${before}, as for this host before`);
      tlsOf.set(route.host, before);
    }
    if (route.redirect || routePort(route, ports) !== undefined) return;
    const tcp = ports.filter((p) => p.protocol === "tcp").map((p) => p.target);
    const has = tcp.length === 0 ? "none" : tcp.join(", ");
    refuse("port", `must be a TCP port of the service, which has ${has}`);
  });
  return issues;
}

/** In the form in which names are compared; what is none stays one that is refused. */
function hostOf(text: string): string {
  const wild = text.startsWith("*.") ? "*." : "";
  const name = text.slice(wild.length).replace(/\.$/, "");
  // deno-lint-ignore no-control-regex
  if (/[\x00-\x20/\\:@?#%[\]*]/.test(name)) return text;
  try {
    return wild + new URL(`http://${name}/`).hostname;
  } catch {
    return "";
  }
}

function isHost(text: string): boolean {
  const name = text.replace(/^\*\./, "");
  const labels = name.split(".");
  // A last label of digits would be an IPv4 address.
  return name.length <= 253 && !/^\d+$/.test(labels.at(-1) ?? "") && hostOf(text) === text &&
    labels.every((label) => /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(label));
}

function isTarget(text: string): boolean {
  // deno-lint-ignore no-control-regex
  if (/[\x00-\x20\x7f]/.test(text)) return false;
  if (text.startsWith("/")) return !text.startsWith("//");
  return /^https?:\/\/[^/]/i.test(text) && URL.canParse(text);
}
