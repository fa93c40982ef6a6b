/**
 * What workers' agents call. A node's credential is good for the routes of that node only.
 *
 * @module
 */
import { createRoute } from "@hono/zod-openapi";
import { z } from "zod";
import { readCluster } from "../../kv/cluster.ts";
import { joinNode, putFacts } from "../../kv/nodes.ts";
import { report } from "../../kv/reports.ts";
import { Id } from "../../kv/schema/common.ts";
import {
  JoinRequest,
  JoinResponse,
  PollResponse,
  ReportRequest,
  ReportResponse,
} from "../../kv/schema/agent.ts";
import { NodeFacts } from "../../kv/schema/node.ts";
import type { ApiApp, Rooms } from "../deps.ts";
import { guarded, onceOf } from "../guard.ts";
import { valueOf } from "../problems.ts";
import type { PollOptions, Polls } from "../polls.ts";
import { POLL_PATH } from "../quick_polls.ts";
import {
  access,
  HoldQuery,
  json,
  jsonRequest,
  NodeIdParam,
  OnceHeaders,
  problems,
} from "../spec.ts";

const tags = ["agents"];

const join = createRoute({
  method: "post",
  path: "/v1/nodes/join",
  operationId: "joinNode",
  tags,
  summary: "Join as a node",
  description: "Admits a machine and gives it a credential of its own, shown once. Repeated with " +
    "the same Idempotency-Key it answers the same node with a fresh credential.",
  ...access("join", "admin"),
  request: { headers: OnceHeaders, body: jsonRequest(JoinRequest) },
  responses: {
    201: json("The node's id and credential", JoinResponse),
    ...problems(400, 401, 403, 409, 413, 415, 422, 503),
  },
});

const facts = createRoute({
  method: "put",
  path: "/v1/nodes/{id}/facts",
  operationId: "putNodeFacts",
  tags,
  summary: "Say what the machine is",
  description: "Sent when the agent starts, and when something changed. The name stays.",
  ...access("node"),
  request: { params: NodeIdParam, body: jsonRequest(NodeFacts) },
  responses: {
    204: { description: "Stored" },
    ...problems(400, 401, 403, 404, 409, 413, 415, 503),
  },
});

const poll = createRoute({
  method: "get",
  path: POLL_PATH,
  operationId: "pollAssignments",
  tags,
  summary: "Wait for assignments",
  description: "The node's heartbeat, and its work: answers at once when something changed after " +
    "`since` or a client wants a tunnel, else after `holdMs`, or a third of the TTL if that is less.",
  ...access("node"),
  request: {
    params: NodeIdParam,
    query: z.object({
      since: z.coerce.number().pipe(z.int().min(0)).optional()
        .meta({ description: "`version` of the last answer", type: "integer", minimum: 0 }),
      holdMs: HoldQuery,
      restarted: Id.optional()
        .meta({ description: "The restart, out of an answer, that the agent is about to make" }),
    }),
  },
  responses: {
    200: json("The complete list, or nothing new", PollResponse),
    ...problems(400, 401, 403, 503),
  },
});

const reports = createRoute({
  method: "post",
  path: "/v1/nodes/{id}/report",
  operationId: "reportTasks",
  tags,
  summary: "Report observed states",
  description: "Late and doubled reports change nothing, so a report may always be repeated.",
  ...access("node"),
  request: { params: NodeIdParam, body: jsonRequest(ReportRequest) },
  responses: {
    200: json("Taken", ReportResponse),
    ...problems(400, 401, 403, 409, 413, 415, 503),
  },
});

export function agentRoutes(app: ApiApp, rooms: Rooms): void {
  const { deps } = rooms;

  app.openapi(guarded(rooms, join), async (c) => {
    const once = await onceOf(c, deps.clock);
    const joined = valueOf(await joinNode(deps, c.req.valid("json"), once));
    const cluster = await readCluster(deps.kv);
    return c.json({ ...joined, clusterId: cluster.id }, 201);
  });

  app.openapi(guarded(rooms, facts), async (c) => {
    valueOf(await putFacts(deps, c.req.valid("param").id, c.req.valid("json")));
    return c.body(null, 204);
  });

  app.openapi(guarded(rooms, poll), (c) => {
    const { since, holdMs, restarted } = c.req.valid("query");
    const empty = c.body(null);
    rooms.held.put(
      empty,
      answerOf(rooms.polls, c.req.valid("param").id, {
        signal: c.req.raw.signal,
        ...(since === undefined ? {} : { since }),
        ...(holdMs === undefined ? {} : { holdMs }),
        ...(restarted === undefined ? {} : { restarted }),
      }),
    );
    return empty as never;
  });

  app.openapi(guarded(rooms, reports), async (c) => {
    const { id } = c.req.valid("param");
    return c.json(valueOf(await report(deps, id, c.req.valid("json"))), 200);
  });
}

/** A function of its own, so that what waits holds on to nothing of the request's chain (held.ts). */
function answerOf(polls: Polls, nodeId: string, options: PollOptions): () => Promise<Response> {
  return async () => Response.json(await polls.poll(nodeId, options));
}
