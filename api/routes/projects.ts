/**
 * Projects: who is changing one.
 *
 * @module
 */
import { createRoute } from "@hono/zod-openapi";
import { z } from "zod";
import { lockProject, readLock, unlockProject } from "../../kv/project_locks.ts";
import { Name } from "../../kv/schema/common.ts";
import { LockRequest, ProjectLock, ProjectLockView } from "../../kv/schema/project.ts";
import type { ApiApp, Rooms } from "../deps.ts";
import { guarded } from "../guard.ts";
import { valueOf } from "../problems.ts";
import { access, json, jsonRequest, problems } from "../spec.ts";

const tags = ["services"];
const ProjectParam = z.object({
  project: Name.meta({ description: "The project's name", param: { name: "project", in: "path" } }),
});

const read = createRoute({
  method: "get",
  path: "/v1/projects/{project}/lock",
  operationId: "getProjectLock",
  tags,
  summary: "See who is changing a project",
  description: "The lock is taken while Compose files are applied.",
  ...access("admin"),
  request: { params: ProjectParam },
  responses: { 200: json("The lock", ProjectLockView), ...problems(400, 401, 403, 404, 503) },
});

const put = createRoute({
  method: "put",
  path: "/v1/projects/{project}/lock",
  operationId: "lockProject",
  tags,
  summary: "Take or renew a project's lock",
  description: "Refused with 409 while somebody else holds it. Renew it well within `ttlMs`.",
  ...access("admin"),
  request: { params: ProjectParam, body: jsonRequest(LockRequest) },
  responses: {
    200: json("The lock, held", ProjectLockView),
    ...problems(400, 401, 403, 409, 413, 415, 422, 503),
  },
});

const remove = createRoute({
  method: "delete",
  path: "/v1/projects/{project}/lock",
  operationId: "unlockProject",
  tags,
  summary: "Release a project's lock",
  description: "Of the holder with this `id`; a lock that is not theirs stays.",
  ...access("admin"),
  request: { params: ProjectParam, query: z.object({ id: ProjectLock.shape.id }) },
  responses: {
    204: { description: "It is not held by that holder any more" },
    ...problems(400, 401, 403, 409, 503),
  },
});

export function projectRoutes(app: ApiApp, rooms: Rooms): void {
  const { deps } = rooms;

  app.openapi(guarded(rooms, read), async (c) => {
    return c.json(valueOf(await readLock(deps.kv, c.req.valid("param").project)), 200);
  });

  app.openapi(guarded(rooms, put), async (c) => {
    const { project } = c.req.valid("param");
    return c.json(valueOf(await lockProject(deps, project, c.req.valid("json"))), 200);
  });

  app.openapi(guarded(rooms, remove), async (c) => {
    const { project } = c.req.valid("param");
    valueOf(await unlockProject(deps.kv, project, c.req.valid("query").id));
    return c.body(null, 204);
  });
}
