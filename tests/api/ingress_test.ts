import { assert, assertEquals } from "@std/assert";
import type { RouteInput } from "../../kv/schema/route.ts";
import { TraefikDocument } from "../../kv/schema/traefik.ts";
import { encodeBase64 } from "../../kv/schema/base64.ts";
import { INGRESS } from "../../kv/schema/ingress.ts";
import { okValue, problemOf, type TestApi, withApi } from "../support/api.ts";
import { certificateFor } from "../support/certificates.ts";
import { exists, required } from "../support/engine.ts";
import { eventually } from "../support/eventually.ts";
import { idOf } from "../support/ids.ts";
import { commitLogged, factsOf, seedNode, seedObserved, seedTask, seen } from "../support/seed.ts";
import { freePort } from "../support/traffic.ts";

const NODE = idOf(1);
const OTHER = idOf(2);

/** A service with a task that answers at this port of its node. */
async function serve(
  t: TestApi,
  name: string,
  more: { routes?: RouteInput[]; labels?: Record<string, string>; port?: number; task?: number },
): Promise<string> {
  const { routes = [], labels = {}, port = 4000, task = 10 } = more;
  const template = { image: "nginx:1.27", ports: [{ target: 80 }] };
  const { id } = okValue(await t.client().createService({ name, labels, template, routes }));
  await commitLogged(t.kv, t.kv.atomic(), [{ type: "service.changed", serviceId: id }]);
  await run(t, id, idOf(task), port);
  return id;
}

async function run(t: TestApi, serviceId: string, taskId: string, port: number): Promise<void> {
  await seedTask(t.kv, { nodeId: NODE, id: taskId, serviceId });
  const ports = [{ target: 80, published: port, protocol: "tcp" as const, hostIp: "0.0.0.0" }];
  await seedObserved(t.kv, seen(taskId, { ports }));
  const seq = await commitLogged(t.kv, t.kv.atomic(), [
    { type: "task.state", state: "running", taskId, serviceId },
  ]);
  await eventually(() => t.feed.head() >= (seq ?? 0));
}

const get = async (t: TestApi, path: string) => await (await t.send("GET", path)).json();

Deno.test("Traefik's document has a router, a service and the middlewares of each route, and is strict", () =>
  withApi(async (t) => {
    await seedNode(t.kv, NODE, "n1");
    assertEquals(await get(t, "/v1/traefik"), { http: {} });
    await serve(t, "web", {
      routes: [
        {
          ...{ host: "a.test", path: "/api", tls: "plain", sticky: true, stripPrefix: true },
          ...{ bodyLimitBytes: 5, timeouts: { responseMs: 900 } },
          responseHeaders: { set: { X: "y" }, remove: ["Z"] },
        },
        { host: "auto.test" },
        { host: "*.wild.test", tls: "plain", redirect: { to: "https://b.test/$1" } },
      ],
    });
    const made = await get(t, "/v1/traefik?certResolver=le");
    assertEquals(TraefikDocument.parse(made), made);
    const { routers, services, middlewares, serversTransports } = made.http;
    assertEquals(routers["default-web-0"], {
      rule: "Host(`a.test`) && (Path(`/api`) || PathPrefix(`/api/`))",
      priority: 10_004,
      service: "default-web-80-3000-900-sticky",
      middlewares: ["default-web-0-headers", "default-web-0-body", "default-web-0-strip"],
    });
    assertEquals(routers["default-web-1"].tls, { certResolver: "le" });
    assertEquals(routers["default-web-1-plain"].middlewares, ["berth-to-https"]);
    assertEquals(routers["default-web-2"].rule, "HostRegexp(`^[^.]+\\.wild\\.test$`)");
    assertEquals(routers["default-web-2"].service, "noop@internal");
    assertEquals(
      middlewares["default-web-2-redirect"].redirectRegex.replacement,
      "https://b.test/$$1${1}",
    );
    assertEquals(middlewares["default-web-0-headers"].headers.customResponseHeaders, {
      X: "y",
      Z: "",
    });
    const { loadBalancer } = services["default-web-80-3000-900-sticky"];
    assertEquals(loadBalancer.servers, [{ url: "http://10.0.0.1:4000" }]);
    assertEquals(serversTransports[loadBalancer.serversTransport].forwardingTimeouts, {
      dialTimeout: "3000ms",
      responseHeaderTimeout: "900ms",
    });
    // Whatever a router names is there.
    for (const router of Object.values<{ service: string; middlewares?: string[] }>(routers)) {
      assert(router.service === "noop@internal" || router.service in services, router.service);
      for (const name of router.middlewares ?? []) assert(name in middlewares, name);
    }
    assertEquals((await t.send("GET", "/v1/traefik", { token: null })).status, 401);
    assertEquals((await t.send("GET", "/v1/traefik?certResolver=a%20b")).status, 400);
  }));

Deno.test("what is labelled is scraped, at its tasks' own addresses, and the server too", () =>
  withApi(async (t) => {
    await seedNode(t.kv, NODE, "n1");
    await serve(t, "quiet", { task: 20 });
    const labels = { "prometheus.io/scrape": "true", "prometheus.io/path": "/m" };
    await serve(t, "web", { labels, port: 4009 });
    const [own, task, ...more] = await get(t, "/v1/prometheus/targets");
    assertEquals(own, {
      targets: ["berth.test"],
      labels: { job: "berth", __metrics_path__: "/metrics", __scheme__: "http" },
    });
    assertEquals(task.targets, ["10.0.0.1:4009"]);
    const { job, __metrics_path__: path, __meta_berth_state: state } = task.labels;
    assertEquals([job, path, state, more.length], ["default/web", "/m", "ready", 0]);
    assertEquals(await get(t, "/v1/prometheus/targets?of=server"), [own]);
    assertEquals(await get(t, "/v1/prometheus/targets?of=tasks"), [task]);
  }));

Deno.test("a certificate is given to nodes that run the proxy, and only what a route names", () =>
  withApi(async (t) => {
    const client = t.client(await seedNode(t.kv, NODE, "n1"));
    const stranger = t.client(await seedNode(t.kv, OTHER, "n2"));
    const { chain, key } = await certificateFor("a.test");
    const data = encodeBase64(new TextEncoder().encode(chain + key));
    const admin = t.client();
    const pem = okValue(await admin.createSecret({ name: "pem", project: "default", data }));
    const other = okValue(await admin.createSecret({ name: "other", project: "default", data }));
    await serve(t, "web", { routes: [{ host: "a.test", tls: { certificate: "pem" } }] });
    assertEquals(problemOf(await client.certificate(NODE, pem.id)).status, 403);
    const proxy = okValue(
      await admin.createService({
        ...{ name: INGRESS.service, project: INGRESS.project, mode: { type: "global" } },
        template: { image: "caddy:2" },
      }),
    );
    await run(t, proxy.id, idOf(30), 80);
    assertEquals(okValue(await client.certificate(NODE, pem.id)), {
      name: "pem",
      version: 1,
      data,
    });
    assertEquals(problemOf(await client.certificate(NODE, other.id)).status, 404);
    assertEquals(problemOf(await stranger.certificate(OTHER, pem.id)).status, 403);
    assertEquals(problemOf(await stranger.certificate(NODE, pem.id)).status, 403);
  }));

const PROMETHEUS = "/usr/bin/prometheus";
const prometheus = await exists(PROMETHEUS);

Deno.test({
  name: "the real Prometheus finds tasks and server by the document, and scrapes them" +
    (prometheus ? "" : ` [needs ${PROMETHEUS}: apt-get install prometheus]`),
  ignore: !prometheus && !required,
  fn: () =>
    withApi(async (t) => {
      const metrics = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () =>
        new Response("shop_orders_total 7\n"));
      const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, t.api.fetch);
      const dir = await Deno.makeTempDir();
      const port = freePort();
      const node = t.client(await seedNode(t.kv, NODE, "n1"));
      okValue(await node.putFacts(NODE, { ...factsOf("n1"), address: "127.0.0.1" }));
      const labels = { "prometheus.io/scrape": "true" };
      await serve(t, "web", { labels, port: metrics.addr.port });
      // The type is told: discovery has no default for it in every version.
      const authorization = { type: "Bearer", credentials: t.admin };
      const sd = (of: string) => ({
        ...{ url: `http://127.0.0.1:${server.addr.port}/v1/prometheus/targets?of=${of}` },
        ...{ authorization, refresh_interval: "1s" },
      });
      await Deno.writeTextFile(
        `${dir}/prometheus.yml`,
        JSON.stringify({
          global: { scrape_interval: "1s" },
          scrape_configs: [
            { job_name: "berth-tasks", http_sd_configs: [sd("tasks")] },
            { job_name: "berth-server", authorization, http_sd_configs: [sd("server")] },
          ],
        }),
      );
      const child = new Deno.Command(PROMETHEUS, {
        args: [
          ...[`--config.file=${dir}/prometheus.yml`, `--storage.tsdb.path=${dir}/data`],
          `--web.listen-address=127.0.0.1:${port}`,
        ],
        ...{ stdout: "null", stderr: "null" },
      }).spawn();
      try {
        const query = async (text: string): Promise<unknown> => {
          const url = `http://127.0.0.1:${port}/api/v1/query?query=${encodeURIComponent(text)}`;
          const answer = await fetch(url).then((r) =>
            r.json()
          ).catch(() => undefined);
          return answer?.data?.result?.[0]?.value?.[1];
        };
        const until = { timeoutMs: 30_000, what: "Prometheus to have scraped" };
        await eventually(
          async () => await query(`shop_orders_total{job="default/web"}`) === "7",
          until,
        );
        await eventually(
          async () => await query(`up{job="berth"} * on() berth_leader_self`) === "1",
          until,
        );
      } finally {
        child.kill("SIGTERM");
        await child.status;
        await metrics.shutdown();
        await server.shutdown();
        await Deno.remove(dir, { recursive: true });
      }
    }),
});
