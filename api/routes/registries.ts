/**
 * Registries: credentials for pulling, and what agents ask when they pull.
 *
 * @module
 */
import { createRoute } from "@hono/zod-openapi";
import { z } from "zod";
import { settleDigest } from "../../kv/digests.ts";
import { listLogins, putLogin, readPullLogin, removeLogin } from "../../kv/registries.ts";
import { Id, pageOf } from "../../kv/schema/common.ts";
import {
  DigestPin,
  LoginRequest,
  PullLogin,
  RegistryName,
  RegistryView,
} from "../../kv/schema/registry.ts";
import type { ApiApp, Rooms } from "../deps.ts";
import { guarded } from "../guard.ts";
import { valueOf } from "../problems.ts";
import { access, json, jsonRequest, NodeIdParam, problems } from "../spec.ts";

const tags = ["data"];
const NameParam = z.object({
  name: RegistryName.meta({ param: { name: "name", in: "path" } }),
});
const TaskParam = NodeIdParam.extend({
  taskId: Id.meta({ description: "The task's id", param: { name: "taskId", in: "path" } }),
});

const list = createRoute({
  method: "get",
  path: "/v1/registries",
  operationId: "listRegistries",
  tags,
  summary: "List registries with credentials",
  description: "Without the passwords.",
  ...access("admin"),
  responses: { 200: json("All of them", pageOf(RegistryView)), ...problems(401, 403, 503) },
});

const login = createRoute({
  method: "put",
  path: "/v1/registries/{name}",
  operationId: "putRegistry",
  tags,
  summary: "Store credentials for a registry",
  description:
    "Encrypted. They are given to an agent for the pull of an image of that registry, or " +
    "of that part of it; of several names the one that says most counts.",
  ...access("admin"),
  request: { params: NameParam, body: jsonRequest(LoginRequest) },
  responses: { 200: json("Stored", RegistryView), ...problems(400, 401, 403, 413, 415, 503) },
});

const logout = createRoute({
  method: "delete",
  path: "/v1/registries/{name}",
  operationId: "deleteRegistry",
  tags,
  summary: "Forget the credentials for a registry",
  description: "Images that are on nodes already stay there.",
  ...access("admin"),
  request: { params: NameParam },
  responses: { 204: { description: "Forgotten" }, ...problems(400, 401, 403, 404, 503) },
});

const pull = createRoute({
  method: "get",
  path: "/v1/nodes/{id}/tasks/{taskId}/login",
  operationId: "getPullLogin",
  tags: ["agents"],
  summary: "Read the credentials for a task's image",
  description: "For the node that is to run the task, as long as it is.",
  ...access("node"),
  request: { params: TaskParam },
  responses: {
    200: json("If there are any", PullLogin),
    ...problems(400, 401, 403, 404, 409, 503),
  },
});

const digest = createRoute({
  method: "put",
  path: "/v1/nodes/{id}/tasks/{taskId}/digest",
  operationId: "settleDigest",
  tags: ["agents"],
  summary: "Settle what the tag of a task's image stands for",
  description:
    "The first digest that is said of a revision holds for all its tasks; it is the answer.",
  ...access("node"),
  request: { params: TaskParam, body: jsonRequest(DigestPin) },
  responses: { 200: json("What holds", DigestPin), ...problems(400, 401, 403, 404, 413, 415, 503) },
});

export function registryRoutes(app: ApiApp, rooms: Rooms): void {
  const { deps } = rooms;
  const { kv } = deps;

  app.openapi(guarded(rooms, list), async (c) => c.json({ items: await listLogins(kv) }, 200));

  app.openapi(guarded(rooms, login), async (c) => {
    const { name } = c.req.valid("param");
    return c.json(await putLogin(deps, name, c.req.valid("json")), 200);
  });

  app.openapi(guarded(rooms, logout), async (c) => {
    valueOf(await removeLogin(kv, c.req.valid("param").name));
    return c.body(null, 204);
  });

  app.openapi(guarded(rooms, pull), async (c) => {
    const { id, taskId } = c.req.valid("param");
    return c.json(valueOf(await readPullLogin(deps, id, taskId)), 200);
  });

  app.openapi(guarded(rooms, digest), async (c) => {
    const { id: nodeId, taskId } = c.req.valid("param");
    const settled = await settleDigest(kv, { nodeId, taskId, ...c.req.valid("json") });
    return c.json(valueOf(settled), 200);
  });
}
