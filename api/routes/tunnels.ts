/**
 * WebSockets: logs, exec and forwarded connections for clients, and the agent's side of both. The bearer token is in the
 * header, as everywhere. Frames: kv/schema/agent.ts, TunnelControl.
 *
 * @module
 */
import { createRoute } from "@hono/zod-openapi";
import { z } from "zod";
import { key } from "../../kv/keys.ts";
import { done, type Outcome, refuse } from "../../kv/outcome.ts";
import {
  ExecOptions,
  ForwardOptions,
  LogsOptions,
  type TunnelOpen,
} from "../../kv/schema/agent.ts";
import { Id, Name } from "../../kv/schema/common.ts";
import { Node, NodeStatus } from "../../kv/schema/node.ts";
import { getRow, type Kv } from "../../kv/store.ts";
import { findTask, type TaskRows } from "../../kv/tasks.ts";
import type { ApiApp, Rooms } from "../deps.ts";
import { guarded } from "../guard.ts";
import { problem, Problematic } from "../problems.ts";
import { fail, type Inbox } from "../relay.ts";
import { access, problems, TaskRefParam } from "../spec.ts";
import { firstText, parseFrame, requireUpgrade, sentence, upgrade } from "../upgrade.ts";

const tags = ["tunnels"];
const upgraded = { 101: { description: "The WebSocket is open" } };
const FIRST_FRAME =
  "The first text frame is the JSON of the options, with an optional `project`; " +
  'then frames flow as TunnelControl says. Errors come as a frame `{type: "error", message}`.';

const logs = createRoute({
  method: "get",
  path: "/v1/tasks/{ref}/logs",
  operationId: "openLogs",
  tags,
  summary: "Read a task's output (WebSocket)",
  description: `Needs a WebSocket upgrade. ${FIRST_FRAME}`,
  ...access("admin"),
  request: { params: TaskRefParam },
  responses: { ...upgraded, ...problems(400, 401, 403, 426, 503) },
});

const exec = createRoute({
  method: "get",
  path: "/v1/tasks/{ref}/exec",
  operationId: "openExec",
  tags,
  summary: "Run a command in a task's container (WebSocket)",
  description: `Needs a WebSocket upgrade. ${FIRST_FRAME}`,
  ...access("admin"),
  request: { params: TaskRefParam },
  responses: { ...upgraded, ...problems(400, 401, 403, 426, 503) },
});

const forward = createRoute({
  method: "get",
  path: "/v1/tasks/{ref}/forward",
  operationId: "openForward",
  tags,
  summary: "Connect to a TCP port of a task's container (WebSocket)",
  description:
    `Needs a WebSocket upgrade. ${FIRST_FRAME} Each side says with \`taken\` what it has ` +
    "passed on; no more than 256 KiB are to be under way.",
  ...access("admin"),
  request: { params: TaskRefParam },
  responses: { ...upgraded, ...problems(400, 401, 403, 426, 503) },
});

const answer = createRoute({
  method: "get",
  path: "/v1/nodes/{id}/tunnels/{sessionId}",
  operationId: "answerTunnel",
  tags: ["agents"],
  summary: "Answer a tunnel request (WebSocket)",
  description: "The agent's side. The first text frame that it receives is a TunnelOpen.",
  ...access("node"),
  request: {
    params: z.object({
      id: Id.meta({ description: "The node's id", param: { name: "id", in: "path" } }),
      sessionId: Id.meta({
        description: "From the poll's answer",
        param: { name: "sessionId", in: "path" },
      }),
    }),
  },
  responses: { ...upgraded, ...problems(400, 401, 403, 404, 426, 503) },
});

type TaskTunnel = "logs" | "exec" | "forward";
const InProject = { project: Name.default("default") };
const FIRST = {
  logs: LogsOptions.extend(InProject),
  exec: ExecOptions.extend(InProject),
  forward: ForwardOptions.extend(InProject),
};

export function tunnelRoutes(app: ApiApp, rooms: Rooms): void {
  for (const [kind, route] of [["logs", logs], ["exec", exec], ["forward", forward]] as const) {
    app.openapi(guarded(rooms, route), (c) => {
      const { ref } = c.req.valid("param");
      const { inbox, response } = upgrade(c);
      void serveClient(rooms, inbox, kind, ref).catch((error) => {
        rooms.deps.log.error("a tunnel failed", { kind, ref, error: String(error) });
        fail(inbox.socket, "something went wrong in Berth; the server's log has the details");
      });
      return response;
    });
  }

  app.openapi(guarded(rooms, answer), (c) => {
    const { id, sessionId } = c.req.valid("param");
    requireUpgrade(c);
    if (!rooms.tunnels.expects(id, sessionId)) {
      throw new Problematic(problem(404, "not-found", "No such object", {
        detail: `no client of this server waits for session ${sessionId}`,
        hint: "It gave up, or waits on the replica that the request's `url` names.",
      }));
    }
    const { inbox, response } = upgrade(c);
    rooms.tunnels.answer(id, sessionId, inbox);
    return response;
  });
}

async function serveClient(
  rooms: Rooms,
  client: Inbox,
  kind: TaskTunnel,
  ref: string,
): Promise<void> {
  const { kv, clock } = rooms.deps;
  const frame = await firstText(clock, client);
  const first = parseFirst(kind, frame);
  if (!first.ok) return fail(client.socket, sentence(first));
  const { project, open } = first.value;
  const found = await findTask(kv, { ref, project });
  if (!found.ok) return fail(client.socket, sentence(found));
  const node = await reachableNode(kv, found.value, kind, ref);
  if (!node.ok) return fail(client.socket, sentence(node));
  await rooms.tunnels.connect(client, node.value, open(found.value.task.id));
}

function parseFirst(
  kind: TaskTunnel,
  frame: string | undefined,
): Outcome<{ project: string; open: (taskId: string) => TunnelOpen }> {
  if (kind === "logs") {
    const parsed = parseFrame(frame, FIRST.logs);
    if (!parsed.ok) return parsed;
    const { project, ...options } = parsed.value;
    return done({ project, open: (taskId) => ({ kind, taskId, options }) });
  }
  if (kind === "exec") {
    const parsed = parseFrame(frame, FIRST.exec);
    if (!parsed.ok) return parsed;
    const { project, ...options } = parsed.value;
    return done({ project, open: (taskId) => ({ kind, taskId, options }) });
  }
  const parsed = parseFrame(frame, FIRST.forward);
  if (!parsed.ok) return parsed;
  const { project, ...options } = parsed.value;
  return done({ project, open: (taskId) => ({ kind, taskId, options }) });
}

/** The node whose agent can serve the task; a refusal that says what is the matter otherwise. */
async function reachableNode(
  kv: Kv,
  { task, state }: TaskRows,
  kind: TaskTunnel,
  ref: string,
): Promise<Outcome<string>> {
  if (task.nodeId === undefined) {
    const why = task.why === undefined ? "" : ` (${task.why})`;
    return refuse("busy", `${ref} has no node yet${why}`, { hint: `See \`berth why ${ref}\`.` });
  }
  if (task.ended === "lost") {
    return refuse("busy", `${ref} was lost with its node`, {
      hint: "Its replacement has the same slot: name it as service.slot.",
    });
  }
  if (kind !== "logs" && state !== "running") {
    return refuse("busy", `${ref} is ${state}, not running`, {
      hint: "`berth ps` shows its state.",
    });
  }
  const [node, status] = await Promise.all([
    getRow(kv, key.node(task.nodeId), Node),
    getRow(kv, key.nodeStatus(task.nodeId), NodeStatus),
  ]);
  if (status?.row.state !== "down") return done(task.nodeId);
  const name = node?.row.name ?? task.nodeId;
  return refuse("busy", `node ${name}, which runs ${ref}, is down since ${status.row.since}`, {
    hint: `${status.row.why}. See \`berth nodes\`.`,
  });
}
