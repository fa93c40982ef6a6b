/**
 * Secrets and configs. A secret's value goes in and is answered to nobody but the agents of the nodes
 * that run a task with it.
 *
 * @module
 */
import { createRoute } from "@hono/zod-openapi";
import { z } from "zod";
import { Name, pageOf } from "../../kv/schema/common.ts";
import {
  DataName,
  type SealedKind,
  SealedRequest,
  SealedView,
  TaskFilesView,
  ValueRequest,
  ValueView,
} from "../../kv/schema/sealed.ts";
import { Id } from "../../kv/schema/common.ts";
import { createSealed, removeSealed, rotateSealed } from "../../kv/sealed.ts";
import { getSealed, listSealed, readConfigValue } from "../../kv/sealed_reads.ts";
import { readCertificate } from "../../kv/ingress_certificate.ts";
import { CertificateView } from "../../kv/schema/ingress.ts";
import { readTaskValues } from "../../kv/task_values.ts";
import type { ApiApp, Rooms } from "../deps.ts";
import { guarded, onceOf } from "../guard.ts";
import { valueOf } from "../problems.ts";
import {
  access,
  CursorQuery,
  json,
  jsonRequest,
  LimitQuery,
  NodeIdParam,
  OnceHeaders,
  problems,
  ProjectQuery,
  replayHeaders,
} from "../spec.ts";

const tags = ["data"];
const InProject = z.object({ project: ProjectQuery });
const DataRefParam = z.object({
  ref: DataName.meta({ description: "Id or name", param: { name: "ref", in: "path" } }),
});

function routesOf(kind: SealedKind) {
  const path = `/v1/${kind}s` as const;
  const one = { params: DataRefParam, query: InProject };
  const Kind = kind === "secret" ? "Secret" : "Config";
  const onRotate = "Every service that refers to it gets a new revision with the new version, " +
    "which is rolled out like any other; jobs keep what they began with. The value that it has " +
    "already changes nothing.";
  return {
    list: createRoute({
      method: "get",
      path,
      operationId: `list${Kind}s`,
      tags,
      summary: `List ${kind}s`,
      description: "By project and name, without their values.",
      ...access("admin"),
      request: {
        query: z.object({ limit: LimitQuery, cursor: CursorQuery, project: Name.optional() }),
      },
      responses: {
        200: json(`One page of ${kind}s`, pageOf(SealedView)),
        ...problems(400, 401, 403, 503),
      },
    }),
    create: createRoute({
      method: "post",
      path,
      operationId: `create${Kind}`,
      tags,
      summary: `Create a ${kind}`,
      description: "Stored encrypted. The answer has everything but the value.",
      ...access("admin"),
      request: { headers: OnceHeaders, body: jsonRequest(SealedRequest) },
      responses: {
        201: json(`The new ${kind}`, SealedView),
        ...problems(400, 401, 403, 404, 409, 413, 415, 422, 503),
      },
    }),
    read: createRoute({
      method: "get",
      path: `${path}/{ref}`,
      operationId: `get${Kind}`,
      tags,
      summary: `Read a ${kind}, without its value`,
      description: "By id, or by name within a project.",
      ...access("admin"),
      request: one,
      responses: { 200: json(`The ${kind}`, SealedView), ...problems(400, 401, 403, 404, 503) },
    }),
    rotate: createRoute({
      method: "put",
      path: `${path}/{ref}`,
      operationId: `rotate${Kind}`,
      tags,
      summary: `Give a ${kind} a new value`,
      description: onRotate,
      ...access("admin"),
      request: { ...one, headers: OnceHeaders, body: jsonRequest(ValueRequest) },
      responses: {
        200: json(`The ${kind} as it is now`, SealedView),
        ...problems(400, 401, 403, 404, 409, 413, 415, 422, 503),
      },
    }),
    remove: createRoute({
      method: "delete",
      path: `${path}/{ref}`,
      operationId: `delete${Kind}`,
      tags,
      summary: `Remove a ${kind}`,
      description: "With all its versions. Refused while a service refers to it.",
      ...access("admin"),
      request: one,
      responses: {
        204: { description: "Removed" },
        ...problems(400, 401, 403, 404, 409, 503),
      },
    }),
  };
}

const content = createRoute({
  method: "get",
  path: "/v1/configs/{ref}/value",
  operationId: "getConfigValue",
  tags,
  summary: "Read a config's value",
  description: "The newest, or an older version that some revision still refers to.",
  ...access("admin"),
  request: {
    params: DataRefParam,
    query: InProject.extend({
      version: z.coerce.number().pipe(z.int().min(1)).optional()
        .meta({ description: "The newest, when absent", type: "integer", minimum: 1 }),
    }),
  },
  responses: { 200: json("The value", ValueView), ...problems(400, 401, 403, 404, 409, 503) },
});

const files = createRoute({
  method: "get",
  path: "/v1/nodes/{id}/tasks/{taskId}/files",
  operationId: "getTaskFiles",
  tags: ["agents"],
  summary: "Read the secrets and configs of a task",
  description: "For the node that is to run the task, as long as it is.",
  ...access("node"),
  request: {
    params: NodeIdParam.extend({
      taskId: Id.meta({ description: "The task's id", param: { name: "taskId", in: "path" } }),
    }),
  },
  responses: { 200: json("The values", TaskFilesView), ...problems(400, 401, 403, 404, 409, 503) },
});

const certificate = createRoute({
  method: "get",
  path: "/v1/nodes/{id}/certificates/{secretId}",
  operationId: "getCertificate",
  tags: ["agents"],
  summary: "Read a certificate of the cluster's routes",
  description: "For nodes that run the ingress proxy; its newest version.",
  ...access("node"),
  request: {
    params: NodeIdParam.extend({
      secretId: Id.meta({
        description: "The id of the secret that it is in",
        param: { name: "secretId", in: "path" },
      }),
    }),
  },
  responses: {
    200: json("The certificate and its key", CertificateView),
    ...problems(400, 401, 403, 404, 409, 503),
  },
});

export function sealedRoutes(app: ApiApp, rooms: Rooms): void {
  routesFor(app, rooms, "secret");
  routesFor(app, rooms, "config");
  const { deps } = rooms;

  app.openapi(guarded(rooms, content), async (c) => {
    const { version, project } = c.req.valid("query");
    const ref = { ...c.req.valid("param"), project };
    return c.json(valueOf(await readConfigValue(deps, ref, version)), 200);
  });

  app.openapi(guarded(rooms, files), async (c) => {
    const { id, taskId } = c.req.valid("param");
    return c.json(valueOf(await readTaskValues(deps, id, taskId)), 200);
  });

  app.openapi(guarded(rooms, certificate), async (c) => {
    const { id, secretId } = c.req.valid("param");
    return c.json(valueOf(await readCertificate(deps, id, secretId)), 200);
  });
}

function routesFor(app: ApiApp, rooms: Rooms, kind: SealedKind): void {
  const { deps } = rooms;
  const { kv, clock, vault } = deps;
  const routes = routesOf(kind);

  app.openapi(guarded(rooms, routes.list), async (c) => {
    const { project, cursor, limit } = c.req.valid("query");
    const page = await listSealed(kv, kind, {
      limit,
      ...(cursor === undefined ? {} : { cursor }),
      ...(project === undefined ? {} : { project }),
    });
    return c.json(valueOf(page), 200);
  });

  app.openapi(guarded(rooms, routes.create), async (c) => {
    const once = await onceOf(c, clock, vault.fingerprint);
    const outcome = await createSealed(deps, kind, c.req.valid("json"), once ? { once } : {});
    const written = valueOf(outcome);
    const location = `/v1/${kind}s/${written.value.id}`;
    return c.json(written.value, 201, { ...replayHeaders(written), location });
  });

  app.openapi(guarded(rooms, routes.read), async (c) => {
    const ref = { kind, ...c.req.valid("param"), ...c.req.valid("query") };
    return c.json(valueOf(await getSealed(kv, ref)), 200);
  });

  app.openapi(guarded(rooms, routes.rotate), async (c) => {
    const ref = { kind, ...c.req.valid("param"), ...c.req.valid("query") };
    const once = await onceOf(c, clock, vault.fingerprint);
    const outcome = await rotateSealed(deps, ref, c.req.valid("json"), once ? { once } : {});
    const written = valueOf(outcome);
    return c.json(written.value, 200, replayHeaders(written));
  });

  app.openapi(guarded(rooms, routes.remove), async (c) => {
    const ref = { kind, ...c.req.valid("param"), ...c.req.valid("query") };
    valueOf(await removeSealed(deps, ref));
    return c.body(null, 204);
  });
}
