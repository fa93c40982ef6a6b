/**
 * Revisions and rollouts of services.
 *
 * @module
 */
import { createRoute } from "@hono/zod-openapi";
import { z } from "zod";
import { listRevisions } from "../../kv/revisions.ts";
import { steerRollout } from "../../kv/rollouts.ts";
import { pageOf } from "../../kv/schema/common.ts";
import { RevisionView, RolloutCommand } from "../../kv/schema/rollout.ts";
import { ServiceView } from "../../kv/schema/service.ts";
import type { ApiApp, Rooms } from "../deps.ts";
import { guarded, writeOptions } from "../guard.ts";
import { valueOf } from "../problems.ts";
import {
  access,
  ChangeHeaders,
  CursorQuery,
  json,
  jsonRequest,
  LimitQuery,
  objectHeaders,
  problems,
  ProjectQuery,
  RefParam,
} from "../spec.ts";

const tags = ["services"];

const revisions = createRoute({
  method: "get",
  path: "/v1/services/{ref}/revisions",
  operationId: "listRevisions",
  tags,
  summary: "List a service's revisions",
  description: "The newest first, each with what it changed. Old ones that nothing runs are " +
    "forgotten beyond twenty.",
  ...access("admin"),
  request: {
    params: RefParam,
    query: z.object({ project: ProjectQuery, limit: LimitQuery, cursor: CursorQuery }),
  },
  responses: {
    200: json("One page of revisions", pageOf(RevisionView)),
    ...problems(400, 401, 403, 404, 503),
  },
});

const steer = createRoute({
  method: "post",
  path: "/v1/services/{ref}/rollout",
  operationId: "steerRollout",
  tags,
  summary: "Pause, resume, promote or undo a rollout, or restart all tasks",
  description:
    "`undo` makes an older revision the wanted one again, `to` names it; its tasks that " +
    "still run are kept. `restart` rolls out a revision that differs in nothing. How far a rollout has come is in the service's `rollout`.",
  ...access("admin"),
  request: {
    params: RefParam,
    query: z.object({ project: ProjectQuery }),
    headers: ChangeHeaders,
    body: jsonRequest(RolloutCommand),
  },
  responses: {
    200: json("The service as it is now", ServiceView),
    ...problems(400, 401, 403, 404, 409, 412, 413, 415, 422, 503),
  },
});

export function rolloutRoutes(app: ApiApp, rooms: Rooms): void {
  const { deps } = rooms;

  app.openapi(guarded(rooms, revisions), async (c) => {
    const { project, cursor, limit } = c.req.valid("query");
    const page = await listRevisions(deps.kv, { ...c.req.valid("param"), project }, {
      limit,
      ...(cursor === undefined ? {} : { cursor }),
    });
    return c.json(valueOf(page), 200);
  });

  app.openapi(guarded(rooms, steer), async (c) => {
    const ref = { ...c.req.valid("param"), ...c.req.valid("query") };
    const options = await writeOptions(c, deps.clock);
    const written = valueOf(await steerRollout(deps, ref, c.req.valid("json"), options));
    return c.json(written.value, 200, objectHeaders(written));
  });
}
