/**
 * Endpoints: where services can be reached, for people and for the agents' balancers.
 *
 * @module
 */
import { createRoute } from "@hono/zod-openapi";
import { z } from "zod";
import { Name, pageOf } from "../../kv/schema/common.ts";
import { EndpointsResponse, ServiceEndpoints } from "../../kv/schema/endpoint.ts";
import { decodeCursor, encodeCursor } from "../../kv/page.ts";
import { findService } from "../../kv/service_reads.ts";
import type { ApiApp, Rooms } from "../deps.ts";
import type { EndpointPolls } from "../endpoint_polls.ts";
import { guarded } from "../guard.ts";
import { problem, Problematic, valueOf } from "../problems.ts";
import {
  access,
  CursorQuery,
  HoldQuery,
  json,
  LimitQuery,
  NodeIdParam,
  problems,
  ProjectQuery,
  RefParam,
} from "../spec.ts";

const list = createRoute({
  method: "get",
  path: "/v1/endpoints",
  operationId: "listEndpoints",
  tags: ["endpoints"],
  summary: "List where services can be reached",
  description: "By project and name; services that run to their end have none.",
  ...access("admin"),
  request: {
    query: z.object({ limit: LimitQuery, cursor: CursorQuery, project: Name.optional() }),
  },
  responses: {
    200: json("One page of services", pageOf(ServiceEndpoints)),
    ...problems(400, 401, 403, 503),
  },
});

const read = createRoute({
  method: "get",
  path: "/v1/services/{ref}/endpoints",
  operationId: "getEndpoints",
  tags: ["endpoints"],
  summary: "Read where a service can be reached",
  description: "Its ports, and each live task with its address and whether it gets connections.",
  ...access("admin"),
  request: { params: RefParam, query: z.object({ project: ProjectQuery }) },
  responses: {
    200: json("The service's endpoints", ServiceEndpoints),
    ...problems(400, 401, 403, 404, 503),
  },
});

const poll = createRoute({
  method: "get",
  path: "/v1/nodes/{id}/endpoints",
  operationId: "pollEndpoints",
  tags: ["agents"],
  summary: "Wait for endpoints",
  description:
    "Answers at once when something changed after `since`, else after `holdMs`. No sign " +
    "of life: that is the poll of assignments.",
  ...access("node"),
  request: {
    params: NodeIdParam,
    query: z.object({
      since: z.coerce.number().pipe(z.int().min(0)).optional()
        .meta({ description: "`version` of the last answer", type: "integer", minimum: 0 }),
      holdMs: HoldQuery,
    }),
  },
  responses: {
    200: json("Everything, or what changed", EndpointsResponse),
    ...problems(400, 401, 403, 503),
  },
});

export function endpointRoutes(app: ApiApp, rooms: Rooms): void {
  const { deps, endpoints } = rooms;

  app.openapi(guarded(rooms, list), async (c) => {
    const { limit, cursor, project } = c.req.valid("query");
    const from = cursor === undefined ? [] : valueOf(decodeCursor(cursor, 2));
    await endpoints.table.current();
    const all = endpoints.table.services().filter((service) =>
      (project === undefined || service.project === project) &&
      (from[0] === undefined || !isBefore(service, from))
    );
    const more = all[limit];
    const next = more ? { next: encodeCursor([more.project, more.name]) } : {};
    return c.json({ items: all.slice(0, limit), ...next }, 200);
  });

  app.openapi(guarded(rooms, read), async (c) => {
    const { ref } = c.req.valid("param");
    const { project } = c.req.valid("query");
    const { row } = valueOf(await findService(deps.kv, { ref, project }));
    await endpoints.table.current();
    const found = endpoints.table.find(row.id);
    if (found) return c.json(found, 200);
    const runs = row.mode.type === "job" || row.mode.type === "cron";
    throw new Problematic(problem(404, "not-found", "No such object", {
      detail: runs
        ? `service ${row.name} is ${row.mode.type}: its tasks run to their end and serve nobody`
        : `service ${row.name} was changed a moment ago and has no endpoints yet`,
      ...(runs ? {} : { hint: "Repeat the request." }),
    }));
  });

  app.openapi(guarded(rooms, poll), (c) => {
    const { since, holdMs } = c.req.valid("query");
    const empty = c.body(null);
    rooms.held.put(
      empty,
      answerOf(endpoints.polls, {
        signal: c.req.raw.signal,
        gzip: /\bgzip\b/.test(c.req.header("accept-encoding") ?? ""),
        ...(since === undefined ? {} : { since }),
        ...(holdMs === undefined ? {} : { holdMs }),
      }),
    );
    return empty as never;
  });
}

function isBefore(
  { project, name }: ServiceEndpoints,
  [fromProject = "", fromName = ""]: string[],
): boolean {
  return project < fromProject || (project === fromProject && name < fromName);
}

/** A function of its own, so that what waits holds on to nothing of the request's chain (held.ts). */
function answerOf(
  polls: EndpointPolls,
  options: Parameters<EndpointPolls["poll"]>[0],
): () => Promise<Response> {
  return async () => {
    // Text that is EndpointsResponse already: it is made once for all agents.
    const { body, headers } = await polls.poll(options);
    return new Response(body, { headers });
  };
}
