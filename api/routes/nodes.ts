/**
 * Nodes, as users see them.
 *
 * @module
 */
import { createRoute } from "@hono/zod-openapi";
import { z } from "zod";
import { getNode, listNodes } from "../../kv/node_reads.ts";
import { removeNode } from "../../kv/node_removal.ts";
import { requestRestart } from "../../kv/node_settings.ts";
import { putNodeSpec } from "../../kv/nodes.ts";
import { pageOf } from "../../kv/schema/common.ts";
import { NodeSpec, NodeView } from "../../kv/schema/node.ts";
import { JoinTokenView } from "../../kv/schema/views.ts";
import { createToken } from "../../kv/tokens.ts";
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
  RefParam,
} from "../spec.ts";

const tags = ["nodes"];

const list = createRoute({
  method: "get",
  path: "/v1/nodes",
  operationId: "listNodes",
  tags,
  summary: "List nodes",
  description: "By name, each with what its tasks have set aside.",
  ...access("admin"),
  request: { query: z.object({ limit: LimitQuery, cursor: CursorQuery }) },
  responses: { 200: json("One page of nodes", pageOf(NodeView)), ...problems(400, 401, 403, 503) },
});

const read = createRoute({
  method: "get",
  path: "/v1/nodes/{ref}",
  operationId: "getNode",
  tags,
  summary: "Read a node",
  description: "By id or name. `ETag` is the version of its spec.",
  ...access("admin"),
  request: { params: RefParam },
  responses: { 200: json("The node", NodeView), ...problems(400, 401, 403, 404, 503) },
});

const putSpec = createRoute({
  method: "put",
  path: "/v1/nodes/{ref}/spec",
  operationId: "putNodeSpec",
  tags,
  summary: "Replace what users decide about a node",
  description: "Labels for placement, and whether it takes tasks: `cordon` takes no new ones, " +
    "`drain` moves away those it has.",
  ...access("admin"),
  request: { params: RefParam, headers: ChangeHeaders, body: jsonRequest(NodeSpec) },
  responses: {
    200: json("The node as it is now", NodeView),
    ...problems(400, 401, 403, 404, 409, 412, 413, 415, 422, 503),
  },
});

const remove = createRoute({
  method: "delete",
  path: "/v1/nodes/{ref}",
  operationId: "deleteNode",
  tags,
  summary: "Remove a node",
  description: "With its credential, which stops working within 5 s. Refused while tasks run on " +
    "it, unless forced: they are then lost, and replaced elsewhere. Removing what is gone is a 404, " +
    "so a repetition needs no Idempotency-Key; by id, since a name may be another node's by then.",
  ...access("admin"),
  request: {
    params: RefParam,
    query: z.object({
      force: z.enum(["true", "false"]).default("false")
        .meta({ description: "Also while tasks run on it" }),
    }),
  },
  responses: {
    204: { description: "Removed" },
    ...problems(400, 401, 403, 404, 409, 503),
  },
});

const restart = createRoute({
  method: "post",
  path: "/v1/nodes/{ref}/restart",
  operationId: "restartNode",
  tags,
  summary: "Restart a node's agent",
  description: "The agent is told with its next poll, once. Containers run on and are adopted. " +
    "Asking again before it did changes nothing.",
  ...access("admin"),
  request: { params: RefParam },
  responses: {
    204: { description: "The agent will be told" },
    ...problems(400, 401, 403, 404, 503),
  },
});

const joinToken = createRoute({
  method: "post",
  path: "/v1/nodes/join-token",
  operationId: "createJoinToken",
  tags,
  summary: "Make a join token",
  description: "Admits workers until it is withdrawn. Shown once: only its hash is stored. Takes " +
    "no Idempotency-Key, because what is not stored cannot be answered again.",
  ...access("admin"),
  request: {
    body: { required: false as const, content: { "application/json": { schema: z.object({}) } } },
  },
  responses: {
    201: json("The token, and the line to paste", JoinTokenView),
    ...problems(400, 401, 403, 413, 415, 503),
  },
});

export function nodeRoutes(app: ApiApp, rooms: Rooms): void {
  const { deps, immutable } = rooms;
  const reads = () => {
    const live = deps.liveTasks?.();
    return { kv: deps.kv, immutable, ...(live ? { live } : {}) };
  };

  app.openapi(guarded(rooms, list), async (c) => {
    const { limit, cursor } = c.req.valid("query");
    const page = await listNodes(reads(), { limit, ...(cursor === undefined ? {} : { cursor }) });
    return c.json(valueOf(page), 200);
  });

  app.openapi(guarded(rooms, read), (c) => {
    const { ref } = c.req.valid("param");
    return rooms.answers.make(
      c,
      (sources) => getNode({ ...sources, immutable }, ref),
      (value) => objectHeaders({ value }),
    );
  });

  app.openapi(guarded(rooms, putSpec), async (c) => {
    const { ref } = c.req.valid("param");
    const options = await writeOptions(c, deps.clock);
    const outcome = await putNodeSpec({ ...deps, immutable }, ref, c.req.valid("json"), options);
    const written = valueOf(outcome);
    return c.json(written.value, 200, objectHeaders(written));
  });

  app.openapi(guarded(rooms, remove), async (c) => {
    const force = c.req.valid("query").force === "true";
    valueOf(await removeNode(deps, c.req.valid("param").ref, { force }));
    return c.body(null, 204);
  });

  app.openapi(guarded(rooms, restart), async (c) => {
    valueOf(await requestRestart(deps, c.req.valid("param").ref));
    return c.body(null, 204);
  });

  app.openapi(guarded(rooms, joinToken), async (c) => {
    const token = await createToken(deps, "join");
    const url = deps.publicUrl ?? new URL(c.req.url).origin;
    const command = `deno task worker --server ${url} --join ${token} --name NAME`;
    return c.json({ token, command }, 201);
  });
}
