/**
 * WebSockets: logs, exec, files and the like for clients, statistics of nodes, and the agent's side of both. The bearer token is in the
 * header, as everywhere. Frames: kv/schema/agent.ts, TunnelControl.
 *
 * @module
 */
import { createRoute } from "@hono/zod-openapi";
import { z } from "zod";
import { key } from "../../kv/keys.ts";
import { done, type Outcome, refuse } from "../../kv/outcome.ts";
import { ExecOptions, ForwardOptions, LogsOptions, TunnelOpen } from "../../kv/schema/agent.ts";
import { Id, Name } from "../../kv/schema/common.ts";
import { AttachOptions, FilesOptions, StatsOptions } from "../../kv/schema/inside.ts";
import { Node, NodeStatus } from "../../kv/schema/node.ts";
import { findNode } from "../../kv/node_reads.ts";
import { getRow, type Kv } from "../../kv/store.ts";
import { findTask, type TaskRows } from "../../kv/tasks.ts";
import type { ApiApp, Rooms } from "../deps.ts";
import { guarded } from "../guard.ts";
import { problem, Problematic } from "../problems.ts";
import { fail, type Inbox } from "../relay.ts";
import { access, problems, RefParam, TaskRefParam } from "../spec.ts";
import {
  firstFrame,
  firstText,
  parseFrame,
  requireUpgrade,
  sentence,
  upgrade,
} from "../upgrade.ts";

const tags = ["tunnels"];
const upgraded = { 101: { description: "The WebSocket is open" } };
const FIRST_FRAME =
  "The first text frame is the JSON of the options, with an optional `project`; " +
  'then frames flow as TunnelControl says. Errors come as a frame `{type: "error", message}`.';

const logs = createRoute({
  ...taskRoute("openLogs", "Read a task's output (WebSocket)"),
  path: "/v1/tasks/{ref}/logs",
});
const exec = createRoute({
  ...taskRoute("openExec", "Run a command in a task's container (WebSocket)"),
  path: "/v1/tasks/{ref}/exec",
});
const attach = createRoute({
  ...taskRoute(
    "openAttach",
    "Attach to the main process of a task's container (WebSocket)",
    " The process goes on when the connection ends.",
  ),
  path: "/v1/tasks/{ref}/attach",
});
const files = createRoute({
  ...taskRoute(
    "openFiles",
    "Copy files out of or into a task's container (WebSocket)",
    " Content is a tar, with an `ack` for what was taken: no more than 1 MiB is to be under way. " +
      'The answer to `stat` is one data frame: `{"found": {…}}`, or `{}`.',
  ),
  path: "/v1/tasks/{ref}/files",
});
const forward = createRoute({
  ...taskRoute(
    "openForward",
    "Connect to a TCP port of a task's container (WebSocket)",
    " Each side says with `taken` what it has passed on; no more than 256 KiB are to be under way.",
  ),
  path: "/v1/tasks/{ref}/forward",
});

const stats = createRoute({
  method: "get",
  path: "/v1/nodes/{ref}/stats",
  operationId: "openStats",
  tags,
  summary: "Follow what a node's tasks use (WebSocket)",
  description: `Needs a WebSocket upgrade. ${FIRST_FRAME} Data frames are lines of JSON, one for ` +
    "each interval, with the sums so far of each running task.",
  ...access("admin"),
  request: { params: RefParam },
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

type TaskTunnel = keyof typeof FIRST;
const InProject = { project: Name.default("default") };
const FIRST = {
  logs: LogsOptions.extend(InProject),
  exec: ExecOptions.extend(InProject),
  attach: AttachOptions.extend(InProject),
  files: FilesOptions.extend(InProject),
  forward: ForwardOptions.extend(InProject),
};
const TASK_ROUTES = { logs, exec, attach, files, forward };
/** What can be asked of a container that does not run. */
const ALSO_ENDED: ReadonlySet<TaskTunnel> = new Set(["logs", "files"]);

function taskRoute(operationId: string, summary: string, more = "") {
  return {
    method: "get" as const,
    operationId,
    tags,
    summary,
    description: `Needs a WebSocket upgrade. ${FIRST_FRAME}${more}`,
    ...access("admin"),
    request: { params: TaskRefParam },
    responses: { ...upgraded, ...problems(400, 401, 403, 426, 503) },
  };
}

export function tunnelRoutes(app: ApiApp, rooms: Rooms): void {
  const failed = (inbox: Inbox, kind: string, ref: string) => (error: unknown) => {
    rooms.deps.log.error("a tunnel failed", { kind, ref, error: String(error) });
    fail(inbox.socket, "something went wrong in Berth; the server's log has the details");
  };
  for (const kind of ["logs", "exec", "attach", "files", "forward"] as const) {
    app.openapi(guarded(rooms, TASK_ROUTES[kind]), (c) => {
      const { ref } = c.req.valid("param");
      const { inbox, response } = upgrade(c);
      void serveClient(rooms, inbox, kind, ref).catch(failed(inbox, kind, ref));
      return response;
    });
  }

  app.openapi(guarded(rooms, stats), (c) => {
    const { ref } = c.req.valid("param");
    const { inbox, response } = upgrade(c);
    void serveStats(rooms, inbox, ref).catch(failed(inbox, "stats", ref));
    return response;
  });

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

async function serveStats(rooms: Rooms, client: Inbox, ref: string): Promise<void> {
  const { kv, clock } = rooms.deps;
  const options = await firstFrame(clock, client, StatsOptions);
  if (!options.ok) return fail(client.socket, sentence(options));
  const node = await findNode(kv, ref);
  if (!node.ok) return fail(client.socket, sentence(node));
  const up = await upNode(kv, node.value.id);
  if (!up.ok) return fail(client.socket, sentence(up));
  await rooms.tunnels.connect(client, up.value, { kind: "stats", options: options.value });
}

function parseFirst(
  kind: TaskTunnel,
  frame: string | undefined,
): Outcome<{ project: string; open: (taskId: string) => TunnelOpen }> {
  const schema: z.ZodType<{ project: string }> = FIRST[kind];
  const parsed = parseFrame(frame, schema);
  if (!parsed.ok) return parsed;
  const { project, ...options } = parsed.value;
  return done({ project, open: (taskId) => TunnelOpen.parse({ kind, taskId, options }) });
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
  if (!ALSO_ENDED.has(kind) && state !== "running") {
    return refuse("busy", `${ref} is ${state}, not running`, {
      hint: "`berth ps` shows its state.",
    });
  }
  return await upNode(kv, task.nodeId, `, which runs ${ref},`);
}

/** The node, unless it is known to be away. */
async function upNode(
  kv: Kv,
  nodeId: string,
  which = "",
): Promise<Outcome<string>> {
  const [node, status] = await Promise.all([
    getRow(kv, key.node(nodeId), Node),
    getRow(kv, key.nodeStatus(nodeId), NodeStatus),
  ]);
  if (status?.row.state !== "down") return done(nodeId);
  const name = node?.row.name ?? nodeId;
  return refuse("busy", `node ${name}${which} is down since ${status.row.since}`, {
    hint: `${status.row.why}. See \`berth nodes\`.`,
  });
}
