/**
 * Runs of job and cron services.
 *
 * @module
 */
import { createRoute } from "@hono/zod-openapi";
import { z } from "zod";
import { pageOf } from "../../kv/schema/common.ts";
import { RunRequest, RunView } from "../../kv/schema/run.ts";
import { createRun, listRuns } from "../../kv/runs.ts";
import type { ApiApp, Rooms } from "../deps.ts";
import { guarded, onceOf } from "../guard.ts";
import { valueOf } from "../problems.ts";
import {
  access,
  CursorQuery,
  json,
  jsonRequest,
  LimitQuery,
  OnceHeaders,
  problems,
  ProjectQuery,
  RefParam,
} from "../spec.ts";

const tags = ["services"];

const list = createRoute({
  method: "get",
  path: "/v1/services/{ref}/runs",
  operationId: "listRuns",
  tags,
  summary: "List the runs of a service",
  description: "Of a cron or job service, newest first: scheduled ones and those on request, as " +
    "far as its history goes.",
  ...access("admin"),
  request: {
    params: RefParam,
    query: z.object({ limit: LimitQuery, cursor: CursorQuery, project: ProjectQuery }),
  },
  responses: {
    200: json("One page of runs", pageOf(RunView)),
    ...problems(400, 401, 403, 404, 503),
  },
});

const create = createRoute({
  method: "post",
  path: "/v1/services/{ref}/runs",
  operationId: "createRun",
  tags,
  summary: "Run a job or cron service now",
  description: "Once, beside its schedule or completions, and whatever its concurrency says; if " +
    "you like with another command and more environment.",
  ...access("admin"),
  request: {
    params: RefParam,
    query: z.object({ project: ProjectQuery }),
    headers: OnceHeaders,
    body: jsonRequest(RunRequest),
  },
  responses: {
    201: json("The run", RunView),
    ...problems(400, 401, 403, 404, 409, 413, 415, 422, 503),
  },
});

export function runRoutes(app: ApiApp, rooms: Rooms): void {
  const { deps } = rooms;

  app.openapi(guarded(rooms, list), async (c) => {
    const { project, cursor, limit } = c.req.valid("query");
    const page = await listRuns(deps.kv, { ...c.req.valid("param"), project }, {
      limit,
      ...(cursor === undefined ? {} : { cursor }),
    });
    return c.json(valueOf(page), 200);
  });

  app.openapi(guarded(rooms, create), async (c) => {
    const ref = { ...c.req.valid("param"), ...c.req.valid("query") };
    const once = await onceOf(c, deps.clock);
    const run = valueOf(
      await createRun(deps, ref, c.req.valid("json"), once ? { once } : {}),
    );
    const replayed = run.replay === undefined ? {} : { "idempotent-replay": "true" };
    return c.json(run.value, 201, replayed);
  });
}
