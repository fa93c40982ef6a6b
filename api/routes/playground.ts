/**
 * The playground's routes: the set of simulated nodes, which the process that hosts them follows, and
 * the classroom calls. There only when the server was started with a playground.
 *
 * @module
 */
import { createRoute } from "@hono/zod-openapi";
import { z } from "zod";
import {
  addPlaygroundNode,
  deletePlaygroundNode,
  playgroundChange,
  readPlayground,
  restartPlaygroundNode,
  seedPlayground,
} from "../../kv/playground.ts";
import {
  AddNodeRequest,
  AddPodRequest,
  ClassNode,
  ClassPod,
  NodeChoice,
  PlaygroundSet,
  SeedRequest,
} from "../../kv/schema/playground.ts";
import { classNodes, createPod, waitForNode, waitForPod } from "../classroom.ts";
import type { ApiApp, Rooms } from "../deps.ts";
import { guarded } from "../guard.ts";
import { valueOf } from "../problems.ts";
import { access, HoldQuery, json, jsonRequest, problems } from "../spec.ts";

const tags = ["playground"];
const MAX_HOLD_MS = 20_000;

const follow = createRoute({
  method: "get",
  path: "/v1/playground/nodes",
  operationId: "followPlayground",
  tags,
  summary: "Read the simulated nodes that shall be",
  description: "For the process that hosts them. With `since`, held until the set is newer.",
  ...access("admin", "join"),
  request: {
    query: z.object({
      since: z.coerce.number().pipe(z.int().min(0)).optional(),
      holdMs: HoldQuery,
    }),
  },
  responses: { 200: json("The set", PlaygroundSet), ...problems(400, 401, 403, 503) },
});

const seed = createRoute({
  method: "post",
  path: "/v1/playground/nodes",
  operationId: "seedPlayground",
  tags,
  summary: "See to so many simulated nodes",
  description:
    "sim-1 to sim-`count`. Those that were made so before and deleted since stay deleted.",
  ...access("admin", "join"),
  request: { body: jsonRequest(SeedRequest) },
  responses: {
    200: json("The set", PlaygroundSet),
    ...problems(400, 401, 403, 409, 413, 415, 503),
  },
});

const nodes = createRoute({
  method: "get",
  path: "/nodes",
  operationId: "classroomNodes",
  tags,
  summary: "List the nodes, in short",
  description: "All nodes of the cluster, simulated and real, with what they have left.",
  ...access("admin"),
  responses: { 200: json("The nodes, by name", z.array(ClassNode)), ...problems(401, 403, 503) },
});

const addNode = createRoute({
  method: "post",
  path: "/add_node",
  operationId: "classroomAddNode",
  tags,
  summary: "Add a simulated node",
  description: "Answers when it has joined, or after 5 s.",
  ...access("admin"),
  request: { body: jsonRequest(AddNodeRequest) },
  responses: {
    201: json("The node", ClassNode),
    ...problems(400, 401, 403, 409, 413, 415, 503),
  },
});

const restartNode = createRoute({
  method: "put",
  path: "/restart_node",
  operationId: "classroomRestartNode",
  tags,
  summary: "Restart a simulated node",
  description: "As a machine's reboot: its containers are gone, and its agent starts them anew.",
  ...access("admin"),
  request: { body: jsonRequest(NodeChoice) },
  responses: {
    200: json("The node", z.object({ restarted: z.string() })),
    ...problems(400, 401, 403, 404, 409, 413, 415, 503),
  },
});

const deleteNode = createRoute({
  method: "delete",
  path: "/delete_node",
  operationId: "classroomDeleteNode",
  tags,
  summary: "Delete a simulated node",
  description: "It leaves the cluster at once; its pods are placed elsewhere.",
  ...access("admin"),
  request: { body: jsonRequest(NodeChoice) },
  responses: {
    200: json("The node", z.object({ deleted: z.string() })),
    ...problems(400, 401, 403, 404, 409, 413, 415, 503),
  },
});

const addPod = createRoute({
  method: "post",
  path: "/add_pod",
  operationId: "classroomAddPod",
  tags,
  summary: "Run a pod on some simulated node",
  description:
    "A service of one task that reserves what is asked for. Answers when it is placed, or " +
    "says after 5 s at the latest why it waits.",
  ...access("admin"),
  request: { body: jsonRequest(AddPodRequest) },
  responses: {
    201: json("The pod, and where it is", ClassPod),
    ...problems(400, 401, 403, 409, 413, 415, 503),
  },
});

export function playgroundRoutes(app: ApiApp, rooms: Rooms): void {
  const { deps } = rooms;
  const { kv, clock } = deps;

  app.openapi(guarded(rooms, follow), async (c) => {
    const { since, holdMs = 0 } = c.req.valid("query");
    const known = await readPlayground(kv);
    if (since === undefined || known.version > since || holdMs === 0) return c.json(known, 200);
    const answered = new AbortController();
    const ends = AbortSignal.any([answered.signal, c.req.raw.signal, rooms.closing]);
    const cut = new AbortController();
    const late = clock.sleep(Math.min(holdMs, MAX_HOLD_MS), ends).then(() => cut.abort());
    await playgroundChange(kv, since, cut.signal);
    answered.abort();
    await late;
    return c.json(await readPlayground(kv), 200);
  });

  app.openapi(guarded(rooms, seed), async (c) => {
    valueOf(await seedPlayground(kv, c.req.valid("json")));
    return c.json(await readPlayground(kv), 200);
  });

  app.openapi(guarded(rooms, nodes), async (c) => c.json(await classNodes(deps), 200));

  app.openapi(guarded(rooms, addNode), async (c) => {
    const { cpus, memory_mib: memoryMiB } = c.req.valid("json");
    const added = valueOf(await addPlaygroundNode(kv, { cpus, memoryMiB }));
    return c.json(await waitForNode(rooms, added, c.req.raw.signal), 201);
  });

  app.openapi(guarded(rooms, restartNode), async (c) => {
    const restarted = valueOf(await restartPlaygroundNode(kv, c.req.valid("json").node));
    return c.json({ restarted }, 200);
  });

  app.openapi(guarded(rooms, deleteNode), async (c) => {
    const deleted = valueOf(await deletePlaygroundNode(deps, c.req.valid("json").node));
    return c.json({ deleted }, 200);
  });

  app.openapi(guarded(rooms, addPod), async (c) => {
    const pod = valueOf(await createPod(deps, c.req.valid("json")));
    return c.json(await waitForPod(rooms, pod, c.req.raw.signal), 201);
  });
}
