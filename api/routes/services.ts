/**
 * Services: what users ask for.
 *
 * @module
 */
import { createRoute } from "@hono/zod-openapi";
import { z } from "zod";
import { Name, pageOf } from "../../kv/schema/common.ts";
import { ServiceSpec, ServiceView } from "../../kv/schema/service.ts";
import { getService, listServices } from "../../kv/service_reads.ts";
import { createService, deleteService, putService } from "../../kv/services.ts";
import type { ApiApp, Rooms } from "../deps.ts";
import { guarded, onceOf, writeOptions } from "../guard.ts";
import { valueOf } from "../problems.ts";
import {
  access,
  ChangeHeaders,
  CursorQuery,
  json,
  jsonRequest,
  LimitQuery,
  objectHeaders,
  OnceHeaders,
  problems,
  ProjectQuery,
  RefParam,
} from "../spec.ts";

const tags = ["services"];
const InProject = z.object({ project: ProjectQuery });
const PullQuery = z.enum(["true", "false"]).default("false")
  .meta({ description: "Look up anew what the image's tag stands for" });

const list = createRoute({
  method: "get",
  path: "/v1/services",
  operationId: "listServices",
  tags,
  summary: "List services",
  description: "By project and name, each with its template and how it is doing.",
  ...access("admin"),
  request: {
    query: z.object({ limit: LimitQuery, cursor: CursorQuery, project: Name.optional() }),
  },
  responses: {
    200: json("One page of services", pageOf(ServiceView)),
    ...problems(400, 401, 403, 503),
  },
});

const create = createRoute({
  method: "post",
  path: "/v1/services",
  operationId: "createService",
  tags,
  summary: "Create a service",
  description: "Stores the service with its first revision. Its tasks follow; watch the events.",
  ...access("admin"),
  request: { headers: OnceHeaders, body: jsonRequest(ServiceSpec) },
  responses: {
    201: json("The new service", ServiceView),
    ...problems(400, 401, 403, 404, 409, 413, 415, 422, 503),
  },
});

const read = createRoute({
  method: "get",
  path: "/v1/services/{ref}",
  operationId: "getService",
  tags,
  summary: "Read a service",
  description: "By id, or by name within a project. `ETag` is what `If-Match` takes.",
  ...access("admin"),
  request: { params: RefParam, query: InProject },
  responses: { 200: json("The service", ServiceView), ...problems(400, 401, 403, 404, 503) },
});

const put = createRoute({
  method: "put",
  path: "/v1/services/{ref}",
  operationId: "putService",
  tags,
  summary: "Replace a service's spec",
  description: "A changed template becomes a new revision and is rolled out; an unchanged spec " +
    "changes nothing. Name and project stay. With `pull` an unchanged template becomes a new " +
    "revision too, and what its image's tag stands for is looked up anew.",
  ...access("admin"),
  request: {
    params: RefParam,
    query: InProject.extend({ pull: PullQuery }),
    headers: ChangeHeaders,
    body: jsonRequest(ServiceSpec),
  },
  responses: {
    200: json("The service as it is now", ServiceView),
    ...problems(400, 401, 403, 404, 409, 412, 413, 415, 422, 503),
  },
});

const remove = createRoute({
  method: "delete",
  path: "/v1/services/{ref}",
  operationId: "deleteService",
  tags,
  summary: "Remove a service",
  description: "Asks its tasks to stop. The service, its history and its name are gone once its " +
    "last container is.",
  ...access("admin"),
  request: { params: RefParam, query: InProject, headers: ChangeHeaders },
  responses: {
    200: json("The service, being removed", ServiceView),
    ...problems(400, 401, 403, 404, 409, 412, 422, 503),
  },
});

export function serviceRoutes(app: ApiApp, rooms: Rooms): void {
  const { deps } = rooms;
  const { kv, clock } = deps;

  app.openapi(guarded(rooms, list), async (c) => {
    const { project, cursor, limit } = c.req.valid("query");
    const page = await listServices(kv, {
      limit,
      ...(cursor === undefined ? {} : { cursor }),
      ...(project === undefined ? {} : { project }),
    }, deps.liveTasks?.());
    return c.json(valueOf(page), 200);
  });

  app.openapi(guarded(rooms, create), async (c) => {
    const once = await onceOf(c, clock);
    const outcome = await createService(deps, c.req.valid("json"), once ? { once } : {});
    const written = valueOf(outcome);
    const location = `/v1/services/${written.value.id}`;
    return c.json(written.value, 201, { ...objectHeaders(written), location });
  });

  app.openapi(guarded(rooms, read), (c) => {
    const ref = { ...c.req.valid("param"), ...c.req.valid("query") };
    return rooms.answers.make(
      c,
      ({ kv, live }) => getService(kv, ref, live),
      (value) => objectHeaders({ value }),
    );
  });

  app.openapi(guarded(rooms, put), async (c) => {
    const { project, pull } = c.req.valid("query");
    const ref = { ...c.req.valid("param"), project };
    const options = { ...await writeOptions(c, clock), pull: pull === "true" };
    const written = valueOf(await putService(deps, ref, c.req.valid("json"), options));
    return c.json(written.value, 200, objectHeaders(written));
  });

  app.openapi(guarded(rooms, remove), async (c) => {
    const ref = { ...c.req.valid("param"), ...c.req.valid("query") };
    const written = valueOf(await deleteService(deps, ref, await writeOptions(c, clock)));
    return c.json(written.value, 200, objectHeaders(written));
  });
}
