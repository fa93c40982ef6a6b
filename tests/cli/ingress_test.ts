import { assertEquals, assertStringIncludes } from "@std/assert";
import { decodeBase64 } from "../../kv/schema/base64.ts";
import { INGRESS } from "../../kv/schema/ingress.ts";
import { Route } from "../../kv/schema/route.ts";
import { ServiceSpec } from "../../kv/schema/service.ts";
import { constraintOf } from "../../cli/format/routes.ts";
import { serviceOf } from "../support/traffic.ts";
import { berth } from "./support.ts";
import { serviceView } from "./support.ts";

const notFound = () =>
  Response.json({ type: "/problems/not-found", title: "No such object", status: 404 }, {
    status: 404,
    headers: { "content-type": "application/problem+json" },
  });

Deno.test("ingress enable makes a config and a global service on the nodes chosen", async () => {
  const sent: Record<string, unknown>[] = [];
  const { code, err } = await berth(
    ["ingress", "enable", "--nodes", "edge=true", "--nodes", "n1", "--http-port", "8080"],
    {
      handler: async (request) => {
        if (request.method === "GET") return notFound();
        const body = await request.json();
        sent.push(body);
        if (!request.url.endsWith("/configs")) return Response.json(serviceView());
        const { config: name, project } = INGRESS;
        const times = {
          createdAt: "2026-01-01T00:00:00.000Z",
          updatedAt: "2026-01-01T00:00:00.000Z",
        };
        const view = {
          id: serviceView().id,
          kind: "config",
          name,
          project,
          version: 1,
          labels: {},
        };
        return Response.json({ ...view, ...times, usedBy: [] }, { status: 201 });
      },
    },
  );
  assertEquals([code, err], [0, ""]);
  const [config, service] = sent;
  const start = new TextDecoder().decode(decodeBase64(String(config?.data)));
  assertEquals(JSON.parse(start).admin.listen, INGRESS.admin);
  const spec = ServiceSpec.parse(service);
  assertEquals([spec.project, spec.name, spec.mode.type], [
    INGRESS.project,
    INGRESS.service,
    "global",
  ]);
  assertEquals(spec.template.placement.constraints, ["node.labels.edge==true", "node.name==n1"]);
  assertEquals(spec.template.ports.map((p) => [p.published, p.mode]), [[8080, "host"], [
    443,
    "host",
  ]]);
});

Deno.test("a selector is a constraint, a label, a node's name or all", async () => {
  const wrong = await berth(["ingress", "enable", "--nodes", "node.disk==ssd"], {
    handler: () => Promise.reject(new Error("nothing is to be sent")),
  });
  assertEquals(wrong.code, 2);
  assertStringIncludes(wrong.err, "'node.disk' is not one of");
  for (
    const [flag, value] of [
      ["--nodes", "no node"],
      ["--nodes", "a="],
      ["--acme-ca", "nonsense"],
      ["--acme-email", "ops"],
      ["--http-port", "70000"],
    ] as const
  ) {
    const refused = await berth(["ingress", "enable", "--nodes", "n1", flag, value], {
      handler: () => Promise.reject(new Error("nothing is to be sent")),
    });
    assertEquals(refused.code, 2, flag);
    assertStringIncludes(refused.err, `argument '${value}' is invalid`);
  }
  const cases: [string, string | undefined][] = [
    ["all", undefined],
    ["n1", "node.name==n1"],
    ["zone=a", "node.labels.zone==a"],
    ["node.pool!=core", "node.pool!=core"],
  ];
  for (const [text, value] of cases) assertEquals(constraintOf(text), value);
});

Deno.test("routes are listed by host and path, with what they lead to", async () => {
  const routes = [
    { host: "b.test", tls: "plain" },
    { host: "a.test", path: "/x", sticky: true, tls: { certificate: "pem" } },
  ].map((route) => Route.parse(route));
  const items = [{ ...serviceOf({ places: [{ task: 1, port: 4000 }] }), routes }];
  const handler = () => Response.json({ items });
  const { out } = await berth(["routes"], { handler });
  const [, first = "", second = ""] = out.split("\n");
  for (const word of ["a.test", "/x", "web", "80", "1/1", "secret pem", "sticky"]) {
    assertStringIncludes(first, word);
  }
  assertStringIncludes(second, "b.test");
  const json = JSON.parse((await berth(["routes", "-o", "json"], { handler })).out);
  assertEquals(json.map((route: Route) => route.host), ["a.test", "b.test"]);
});
