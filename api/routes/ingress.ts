/**
 * For proxies and monitoring that users run themselves.
 *
 * @module
 */
import { createRoute } from "@hono/zod-openapi";
import { z } from "zod";
import { prefix } from "../../kv/keys.ts";
import { TargetGroup } from "../../kv/schema/scrape.ts";
import { Service } from "../../kv/schema/service.ts";
import { TraefikDocument } from "../../kv/schema/traefik.ts";
import { listRows } from "../../kv/store.ts";
import type { ApiApp, Rooms } from "../deps.ts";
import { guarded } from "../guard.ts";
import { scrapeTargets, serverTarget } from "../scrape_targets.ts";
import { access, json, problems } from "../spec.ts";
import { traefikDocument } from "../traefik.ts";

const traefik = createRoute({
  method: "get",
  path: "/v1/traefik",
  operationId: "getTraefik",
  tags: ["endpoints"],
  summary: "Read the routes as Traefik takes them",
  description: "For the HTTP provider of a Traefik of your own: routers, services, middlewares. " +
    "Certificates are not in it.",
  ...access("admin"),
  request: {
    query: z.object({
      certResolver: z.string().regex(/^[\w-]{1,64}$/, "must be a resolver's name").optional()
        .meta({ description: "Traefik's own, for routes with automatic HTTPS" }),
    }),
  },
  responses: {
    200: json("Dynamic configuration", TraefikDocument),
    ...problems(400, 401, 403, 503),
  },
});

const targets = createRoute({
  method: "get",
  path: "/v1/prometheus/targets",
  operationId: "getPrometheusTargets",
  tags: ["endpoints"],
  summary: "Read what Prometheus is to scrape",
  description: "For its HTTP service discovery: tasks of services labelled " +
    "`prometheus.io/scrape=true`, and this server.",
  ...access("admin"),
  request: {
    query: z.object({
      of: z.enum(["tasks", "server"]).optional()
        .meta({ description: "One of the two: they may need different credentials" }),
    }),
  },
  responses: {
    200: json("Groups of targets", z.array(TargetGroup)),
    ...problems(400, 401, 403, 503),
  },
});

export function ingressRoutes(app: ApiApp, rooms: Rooms): void {
  const { deps, endpoints: { table } } = rooms;

  app.openapi(guarded(rooms, traefik), async (c) => {
    const { certResolver } = c.req.valid("query");
    await table.current();
    const options = certResolver === undefined ? {} : { certResolver };
    return c.json(traefikDocument(table.services(), options), 200);
  });

  app.openapi(guarded(rooms, targets), async (c) => {
    const { of } = c.req.valid("query");
    const groups: TargetGroup[] = of === "tasks" ? [] : [serverTarget(c.req.url)];
    if (of === "server") return c.json(groups, 200);
    await table.current();
    for await (const { row } of listRows(deps.kv, prefix.services(), Service)) {
      const service = table.find(row.id);
      if (service) groups.push(...scrapeTargets(row, service));
    }
    return c.json(groups, 200);
  });
}
