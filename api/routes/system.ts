/**
 * The control plane itself: cluster, queue, liveness, metrics, and the API's own description.
 *
 * @module
 */
import { createRoute } from "@hono/zod-openapi";
import { z } from "zod";
import { readCluster } from "../../kv/cluster.ts";
import { countQueue, listParked, retryParked } from "../../kv/queue.ts";
import { Id, pageOf } from "../../kv/schema/common.ts";
import { ParkedMessage } from "../../kv/schema/control.ts";
import { ClusterView } from "../../kv/schema/views.ts";
import { storeFailure } from "../../kv/store.ts";
import type { ApiApp, Rooms } from "../deps.ts";
import { guarded } from "../guard.ts";
import { leaderOf } from "../leadership.ts";
import { problem, Problematic } from "../problems.ts";
import { access, json, problems, PUBLIC } from "../spec.ts";

const tags = ["system"];

const cluster = createRoute({
  method: "get",
  path: "/v1/cluster",
  operationId: "getCluster",
  tags,
  summary: "Read the cluster",
  description: "Identity, strategy, leadership and the state of the queue.",
  ...access("admin"),
  responses: { 200: json("The cluster", ClusterView), ...problems(401, 403, 503) },
});

const parked = createRoute({
  method: "get",
  path: "/v1/queue/parked",
  operationId: "listParked",
  tags,
  summary: "List parked messages",
  description: "Wake-ups whose handling kept failing, with the last error.",
  ...access("admin"),
  responses: {
    200: json("All parked messages", pageOf(ParkedMessage)),
    ...problems(401, 403, 503),
  },
});

const retry = createRoute({
  method: "post",
  path: "/v1/queue/parked/{id}/retry",
  operationId: "retryParked",
  tags,
  summary: "Retry a parked message",
  description: "Puts it back into the queue.",
  ...access("admin"),
  request: {
    params: z.object({
      id: Id.meta({ description: "The message's id", param: { name: "id", in: "path" } }),
    }),
  },
  responses: { 204: { description: "It is queued again" }, ...problems(400, 401, 403, 404, 503) },
});

const Health = z.object({ status: z.literal("ok") }).meta({ id: "Health" });
const Ready = z.object({
  status: z.enum(["ready", "not-ready"]),
  database: z.boolean().meta({ description: "The database answers" }),
  leader: z.boolean().meta({ description: "Some process leads" }),
}).meta({ id: "Readiness" });

const healthz = createRoute({
  method: "get",
  path: "/healthz",
  operationId: "healthz",
  tags,
  summary: "Is the process alive",
  description: "Answers without looking at anything.",
  ...PUBLIC,
  responses: { 200: json("It is", Health) },
});

const readyz = createRoute({
  method: "get",
  path: "/readyz",
  operationId: "readyz",
  tags,
  summary: "Can it do its work",
  description: "The database answers and a leader is known.",
  ...PUBLIC,
  responses: { 200: json("It can", Ready), 503: json("It cannot", Ready) },
});

const metricsText = {
  description: "Prometheus text format",
  content: { "text/plain": { schema: z.string() } },
};
const metrics = createRoute({
  method: "get",
  path: "/metrics",
  operationId: "metrics",
  tags,
  summary: "Metrics for Prometheus",
  description: "Asks for an admin token, unless the server is configured to serve them openly.",
  ...access("admin"),
  responses: { 200: metricsText, ...problems(401, 403, 503) },
});

const openapi = createRoute({
  method: "get",
  path: "/openapi.json",
  operationId: "openapi",
  tags,
  summary: "This document",
  description: "OpenAPI 3.1.",
  ...PUBLIC,
  responses: { 200: json("The document", z.record(z.string(), z.unknown())) },
});

export function systemRoutes(app: ApiApp, rooms: Rooms): void {
  const { deps } = rooms;
  const { kv } = deps;

  app.openapi(guarded(rooms, cluster), async (c) => {
    const [{ schema: _, ...row }, queued, messages, leader] = await Promise.all([
      readCluster(kv),
      countQueue(kv),
      listParked(kv),
      leaderOf(deps),
    ]);
    return c.json({
      ...row,
      version: deps.version,
      leader: leader ?? { epoch: 0, self: false },
      queued,
      parked: messages.length,
    }, 200);
  });

  app.openapi(guarded(rooms, parked), async (c) => {
    return c.json({ items: await listParked(kv) }, 200);
  });

  app.openapi(guarded(rooms, retry), async (c) => {
    const { id } = c.req.valid("param");
    if (await retryParked(kv, id, deps.newId)) return c.body(null, 204);
    throw new Problematic(problem(404, "not-found", "No such object", {
      detail: `there is no parked message ${id}`,
      hint: "It was retried already, or never parked. GET /v1/queue/parked lists them.",
    }));
  });

  app.openapi(guarded(rooms, healthz), (c) => c.json({ status: "ok" as const }, 200));

  app.openapi(guarded(rooms, readyz), async (c) => {
    const found = await leaderOf(deps).then((leader) => ({ leader }), (error) => {
      if (storeFailure(error)) return undefined;
      throw error;
    });
    const database = found !== undefined;
    const leader = found?.leader !== undefined;
    if (database && leader) return c.json({ status: "ready" as const, database, leader }, 200);
    return c.json({ status: "not-ready" as const, database, leader }, 503);
  });

  const metricsRoute = deps.publicMetrics ? { ...metrics, ...PUBLIC } : metrics;
  app.openapi(guarded(rooms, metricsRoute), async (c) => {
    return c.text(await rooms.metrics.render(), 200);
  });

  app.openapi(guarded(rooms, openapi), (c) => c.json({ ...rooms.openapi() }, 200));
}
