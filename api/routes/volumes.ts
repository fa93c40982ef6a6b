/**
 * Named volumes: listed, read, removed, and their content through the tunnel of a node that has it.
 *
 * @module
 */
import { createRoute } from "@hono/zod-openapi";
import { z } from "zod";
import { key } from "../../kv/keys.ts";
import { done, type Outcome, refuse } from "../../kv/outcome.ts";
import { WINDOW_BYTES } from "../../kv/schema/agent.ts";
import { Name, pageOf } from "../../kv/schema/common.ts";
import { NodeStatus } from "../../kv/schema/node.ts";
import { DataName } from "../../kv/schema/sealed.ts";
import { VolumeView } from "../../kv/schema/volume.ts";
import { getRow, type Kv } from "../../kv/store.ts";
import {
  beginRemoval,
  cancelRemoval,
  finishRemoval,
  getVolume,
  listVolumes,
} from "../../kv/volumes.ts";
import type { ApiApp, Rooms } from "../deps.ts";
import { guarded } from "../guard.ts";
import { valueOf } from "../problems.ts";
import { fail, type Inbox } from "../relay.ts";
import { access, CursorQuery, json, LimitQuery, problems, ProjectQuery } from "../spec.ts";
import { firstFrame, sentence, upgrade } from "../upgrade.ts";

const tags = ["data"];
const InProject = z.object({ project: ProjectQuery });
const VolumeRefParam = z.object({
  ref: DataName.meta({ description: "Id or name", param: { name: "ref", in: "path" } }),
});

const list = createRoute({
  method: "get",
  path: "/v1/volumes",
  operationId: "listVolumes",
  tags,
  summary: "List named volumes",
  description: "By project and name, with the nodes that have each.",
  ...access("admin"),
  request: {
    query: z.object({ limit: LimitQuery, cursor: CursorQuery, project: Name.optional() }),
  },
  responses: {
    200: json("One page of volumes", pageOf(VolumeView)),
    ...problems(400, 401, 403, 503),
  },
});

const read = createRoute({
  method: "get",
  path: "/v1/volumes/{ref}",
  operationId: "getVolume",
  tags,
  summary: "Read a named volume",
  description: "By id, or by name within a project. What is in it: see `backup`.",
  ...access("admin"),
  request: { params: VolumeRefParam, query: InProject },
  responses: { 200: json("The volume", VolumeView), ...problems(400, 401, 403, 404, 503) },
});

const remove = createRoute({
  method: "delete",
  path: "/v1/volumes/{ref}",
  operationId: "deleteVolume",
  tags,
  summary: "Remove a named volume and what is in it",
  description: "On all nodes that have it. Refused while a service mounts it, and while one of " +
    "the nodes does not answer, unless forced: what is there is then left behind.",
  ...access("admin"),
  request: {
    params: VolumeRefParam,
    query: InProject.extend({
      force: z.enum(["true", "false"]).default("false")
        .meta({ description: "Give up what nodes have that do not answer" }),
    }),
  },
  responses: { 204: { description: "Removed" }, ...problems(400, 401, 403, 404, 409, 503) },
});

const FRAMES =
  "Needs a WebSocket upgrade. The first text frame is JSON: `project` and, of a volume " +
  "that several nodes have, `node`. Content is a tar in data frames; each side acknowledges what " +
  `it has taken (\`ack\`), and sends at most ${WINDOW_BYTES} bytes beyond that. `;
const socket = {
  tags,
  ...access("admin"),
  request: { params: VolumeRefParam },
  responses: {
    101: { description: "The WebSocket is open" },
    ...problems(400, 401, 403, 426, 503),
  },
};

const backup = createRoute({
  method: "get",
  path: "/v1/volumes/{ref}/backup",
  operationId: "backupVolume",
  summary: "Read what is in a volume (WebSocket)",
  description: `${FRAMES}\`exit\` with code 0 says that it is complete.`,
  ...socket,
});

const restore = createRoute({
  method: "get",
  path: "/v1/volumes/{ref}/restore",
  operationId: "restoreVolume",
  summary: "Write into a volume (WebSocket)",
  description: `${FRAMES}\`stdin-end\` ends the content, \`exit\` with code 0 says that it is ` +
    "written. What the tar does not have stays as it is.",
  ...socket,
});

/** How long a node may take to remove a volume, in ms. */
const REMOVE_MS = 30_000;

const First = z.object({
  project: Name.default("default"),
  node: z.string().max(63).optional(),
});
type First = z.infer<typeof First>;

export function volumeRoutes(app: ApiApp, rooms: Rooms): void {
  const { deps } = rooms;
  const { kv } = deps;

  app.openapi(guarded(rooms, list), async (c) => {
    const { project, cursor, limit } = c.req.valid("query");
    const page = await listVolumes(kv, {
      limit,
      ...(cursor === undefined ? {} : { cursor }),
      ...(project === undefined ? {} : { project }),
    });
    return c.json(valueOf(page), 200);
  });

  app.openapi(guarded(rooms, read), async (c) => {
    const ref = { ...c.req.valid("param"), ...c.req.valid("query") };
    return c.json(valueOf(await getVolume(kv, ref)), 200);
  });

  app.openapi(guarded(rooms, remove), async (c) => {
    const { force, project } = c.req.valid("query");
    const volume = valueOf(await beginRemoval(deps, { ...c.req.valid("param"), project }));
    const gone = await removeEverywhere(rooms, volume, force === "true");
    if (!gone.ok) await cancelRemoval(deps, volume.id);
    valueOf(gone);
    valueOf(await finishRemoval(deps, volume.id));
    return c.body(null, 204);
  });

  for (const [route, action] of [[backup, "read"], [restore, "write"]] as const) {
    app.openapi(guarded(rooms, route), (c) => {
      const { ref } = c.req.valid("param");
      const { inbox, response } = upgrade(c);
      void serve(rooms, inbox, ref, action).catch((error) => {
        deps.log.error("a tunnel failed", { kind: "volume", ref, error: String(error) });
        fail(inbox.socket, "something went wrong in Berth; the server's log has the details");
      });
      return response;
    });
  }
}

async function serve(
  rooms: Rooms,
  client: Inbox,
  ref: string,
  action: "read" | "write",
): Promise<void> {
  const first = await firstFrame(rooms.deps.clock, client, First);
  if (!first.ok) return fail(client.socket, sentence(first));
  const found = await getVolume(rooms.deps.kv, { ref, project: first.value.project });
  if (!found.ok) return fail(client.socket, sentence(found));
  const node = await nodeOf(rooms.deps.kv, found.value, first.value);
  if (!node.ok) return fail(client.socket, sentence(node));
  const volumeId = found.value.id;
  await rooms.tunnels.connect(client, node.value, { kind: "volume", volumeId, action });
}

/** The node whose copy is meant: the only one, or the one that is asked for. */
async function nodeOf(kv: Kv, volume: VolumeView, { node }: First): Promise<Outcome<string>> {
  const { name, nodes, shared } = volume;
  const named = nodes.filter((one) => node === undefined || one.node === node || one.id === node);
  const states = await Promise.all(
    named.map((one) => getRow(kv, key.nodeStatus(one.id), NodeStatus)),
  );
  const ready = named.filter((_, i) => states[i]?.row.state === "ready");
  const [first] = ready;
  if (first && (ready.length === 1 || shared)) return done(first.id);
  const where = nodes.map((one) => one.node).join(", ");
  if (nodes.length === 0) {
    return refuse("busy", `volume ${name} is on no node yet`, {
      hint: "It is made when the first task with it starts.",
    });
  }
  if (ready.length > 1) {
    return refuse("ambiguous", `volume ${name} is on ${ready.length} nodes: ${where}`, {
      hint: "Say which one is meant: --node NAME",
    });
  }
  return node !== undefined && named.length === 0
    ? refuse("not-found", `volume ${name} is not on node ${node}: it is on ${where}`)
    : refuse("busy", `volume ${name} is on ${where}, which does not answer`, {
      hint: "See `berth nodes`.",
    });
}

async function removeEverywhere(
  rooms: Rooms,
  volume: VolumeView,
  force: boolean,
): Promise<Outcome<undefined>> {
  const late = AbortSignal.any([rooms.closing, AbortSignal.timeout(REMOVE_MS)]);
  for (const { id, node } of volume.nodes) {
    const status = await getRow(rooms.deps.kv, key.nodeStatus(id), NodeStatus);
    const answers = status?.row.state === "ready";
    if (!answers && force) continue;
    if (!answers) {
      return refuse("busy", `volume ${volume.name} is on ${node}, which does not answer`, {
        hint: "Bring the node back, or give up what it has with force.",
      });
    }
    const open = { kind: "volume", volumeId: volume.id, action: "remove" } as const;
    const removed = await rooms.tunnels.ask(id, open, late);
    if (removed.ok) continue;
    return refuse("busy", `volume ${volume.name} on ${node}: ${removed.message}`, {
      hint: "Containers that have ended keep their volumes until they are removed.",
    });
  }
  return done(undefined);
}
