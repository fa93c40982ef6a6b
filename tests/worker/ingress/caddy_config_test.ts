import { assert, assertEquals } from "@std/assert";
import type { ServiceEndpoints } from "../../../kv/schema/endpoint.ts";
import { Route, type RouteInput } from "../../../kv/schema/route.ts";
import { caddyConfig, type IngressInput, type Json } from "../../../worker/ingress/caddy_config.ts";
import { proxyRoute } from "../../../worker/ingress/caddy_route.ts";
import { idOf } from "../../support/ids.ts";
import { serviceOf, type TableInput } from "../../support/traffic.ts";

const plain = { tls: "plain" as const };

function service(routes: RouteInput[], more: Partial<TableInput> = {}): ServiceEndpoints {
  const table = { places: [{ task: 1, port: 4001 }, { task: 2, port: 4002 }], ...more };
  return { ...serviceOf(table), routes: routes.map((route) => Route.parse(route)) };
}

function config(services: ServiceEndpoints[], more: Partial<IngressInput> = {}) {
  const settings = { httpPort: 80, httpsPort: 443 };
  const input = { services, settings, certificate: () => undefined, generation: 1, recent: true };
  return caddyConfig({ ...input, ...more }) as {
    apps: { http: { servers: Record<string, Json & { routes: Json[] }> }; tls?: Json };
  };
}

/** The chain of handlers of a route. */
function handlers(route: RouteInput, more: Partial<TableInput> = {}, recent = true): Json[] {
  const parsed = Route.parse({ ...plain, ...route });
  return proxyRoute(parsed, service([], more), { recent }).handle as Json[];
}

const proxy = (route: Partial<RouteInput> = {}, more: Partial<TableInput> = {}, recent = true) =>
  handlers({ host: "a.test", ...route }, more, recent).at(-1) as Record<string, Json>;
const dials = (made: Json) => (made.upstreams as { dial: string }[]).map(({ dial }) => dial);

Deno.test("upstreams are the ready tasks; without one the next best, and at last an answer of its own", () => {
  const states = (...of: ("ready" | "starting" | "draining" | "unreachable")[]) =>
    proxy({}, { places: of.map((state, i) => ({ task: i + 1, port: 5000 + i, state })) });
  assertEquals(dials(states("starting", "ready", "draining", "ready")), [
    "127.0.0.1:5001",
    "127.0.0.1:5003",
  ]);
  assertEquals(dials(states("starting", "unreachable", "draining")), ["127.0.0.1:5001"]);
  assertEquals(dials(states("starting", "draining")), ["127.0.0.1:5001"]);
  assertEquals(states("starting").status_code as unknown, 503);
  assertEquals(
    dials(proxy({}, { places: [{ task: 1, port: 80, address: "2001:db8::1" }] })),
    ["[2001:db8::1]:80"],
  );
});

Deno.test("each part of a route is a handler, in the order in which a request passes them", () => {
  const made = handlers({
    host: "a.test",
    path: "/api",
    stripPrefix: true,
    bodyLimitBytes: 9,
    requestHeaders: { set: { A: "{env.HOME}" }, remove: ["B"] },
    responseHeaders: { add: { C: "d" } },
  });
  assertEquals(made.map(({ handler }) => handler), [
    "headers",
    "request_body",
    "rewrite",
    "reverse_proxy",
  ]);
  assertEquals(made[0]?.request, { set: { A: ["\\{env.HOME\\}"] }, delete: ["B"] });
  assertEquals(made[0]?.response, { add: { C: ["d"] }, deferred: true });
  assertEquals([made[1]?.max_size, made[2]?.strip_path_prefix], [9, "/api"]);
});

Deno.test("balancing, timeouts and what only newer Caddys know", () => {
  const usual = proxy();
  assertEquals(usual.load_balancing?.selection_policy, { policy: "least_conn" });
  assertEquals(usual.transport?.dial_timeout, "3000ms");
  assert(usual.stream_close_delay !== undefined);
  const timed = proxy({ timeouts: { connectMs: 100, responseMs: 2_000 } }, {
    balance: { policy: "client-hash", proxyProtocol: true },
  });
  assertEquals(timed.load_balancing, {
    selection_policy: { policy: "ip_hash" },
    try_duration: "1200ms",
    try_interval: "50ms",
  } as Json);
  assertEquals(timed.transport as unknown, {
    ...{ protocol: "http", dial_timeout: "100ms", proxy_protocol: "v2" },
    response_header_timeout: "2000ms",
  });
  const old = JSON.stringify(proxy({}, { balance: { proxyProtocol: true } }, false));
  assert(!/stream_close_delay|proxy_protocol/.test(old));
  const cookie = { policy: "cookie", name: "berth_default_web_80", secret: idOf(1) };
  assertEquals(proxy({ sticky: true }).load_balancing?.selection_policy, cookie);
  const alone = { places: [{ task: 1, port: 1 }] };
  assertEquals(proxy({}, alone).health_checks, undefined);
  assertEquals(proxy({}, alone).load_balancing?.selection_policy, undefined);
  assertEquals(proxy({ sticky: true }, alone).load_balancing?.selection_policy, cookie);
});

Deno.test("a redirect goes where it says, with the request's path unless it is not to", () => {
  const to = (redirect: RouteInput["redirect"]) =>
    handlers({ host: "a.test", redirect })[0] as Json;
  assertEquals(to({ to: "https://b.test/" }).headers, {
    Location: ["https://b.test{http.request.uri}"],
  });
  const fixed = to({ to: "/{x}", status: 302, keepPath: false });
  assertEquals([fixed.status_code, fixed.headers], [302, { Location: ["/\\{x\\}"] }]);
});

Deno.test("exact hosts come before wildcards and longer paths before shorter ones, whatever the order of services", () => {
  const services = [
    service([{ host: "*.test", ...plain }, { host: "a.test", ...plain }], { service: 1 }),
    service([{ host: "a.test", path: "/x/y", ...plain }], { service: 2 }),
    service([{ host: "a.test", path: "/x", ...plain }], { service: 3 }),
  ];
  const made = config(services);
  const sites = made.apps.http.servers.http?.routes.slice(1, -1) ?? [];
  const hosts = sites.map(({ match }) => (match as { host: string[] }[])[0]?.host[0]);
  assertEquals(hosts, ["a.test", "*.test"]);
  const [{ routes = [] } = {}] = sites[0]?.handle as { routes?: Json[] }[];
  const paths = routes.map(({ match }) => (match as { path: string[] }[] | undefined)?.[0]?.path);
  assertEquals(paths, [["/x/y", "/x/y/*"], ["/x", "/x/*"], undefined, undefined]);
  assertEquals(JSON.stringify(config([...services].reverse())), JSON.stringify(made));
});

Deno.test("a host with one route for all of it needs no choice between routes", () => {
  const made = config([service([{ host: "a.test", ...plain }])]);
  const site = made.apps.http.servers.http?.routes[1] as { match: Json[]; handle: Json[] };
  assertEquals(site.match, [{ host: ["a.test"] }]);
  assertEquals(site.handle.map(({ handler }) => handler), ["reverse_proxy"]);
});

Deno.test("HTTPS is there for who asks for it, with its certificate or one to be got, and redirected to", () => {
  assertEquals(Object.keys(config([service([{ host: "a.test", ...plain }])]).apps.http.servers), [
    "http",
  ]);
  const pin = { id: idOf(9), version: 3 };
  const certified = {
    ...service([{ host: "c.test", tls: { certificate: "pem" } }, { host: "auto.test" }]),
    certificates: { pem: pin },
  };
  const made = config([certified], {
    settings: { httpPort: 80, httpsPort: 8443, acmeEmail: "a@b.test" },
    certificate: (asked) => asked === pin ? { chain: "CHAIN", key: "KEY" } : undefined,
  });
  const { http, https } = made.apps.http.servers;
  assertEquals(made.apps.tls as unknown, {
    certificates: { load_pem: [{ certificate: "CHAIN", key: "KEY", tags: ["c.test"] }] },
    automation: {
      policies: [{ subjects: ["auto.test"], issuers: [{ module: "acme", email: "a@b.test" }] }],
    },
  });
  assertEquals(https?.tls_connection_policies, [
    { match: { sni: ["c.test"] }, certificate_selection: { any_tag: ["c.test"] } },
    {},
  ]);
  assert(JSON.stringify(http).includes("https://{http.request.host}:8443{http.request.uri}"));
});

Deno.test("two configurations in a row never listen at the same places, and always at the ports", () => {
  const listen = (generation: number) =>
    config([service([{ host: "a.test" }])], { generation }).apps.http.servers;
  for (const name of ["http", "https"]) {
    const [one, two, three] = [1, 2, 3].map((n) => listen(n)[name]?.listen as string[]);
    assertEquals(one?.[0], two?.[0]);
    assert(one?.[1] !== two?.[1]);
    assertEquals(one, three);
  }
});
