/**
 * Tasks: listed, read, explained, and reached through the tunnel of their node's agent.
 *
 * @module
 */
import { createRoute } from "@hono/zod-openapi";
import { z } from "zod";
import { requestTaskRestart } from "../../kv/task_restarts.ts";
import { findTask, getTask, listTasks } from "../../kv/tasks.ts";
import { Name, pageOf } from "../../kv/schema/common.ts";
import { TaskView } from "../../kv/schema/task.ts";
import { Why } from "../../kv/schema/why.ts";
import { explain } from "../../scheduler/why.ts";
import type { ApiApp, Rooms } from "../deps.ts";
import { guarded } from "../guard.ts";
import { problem, Problematic, valueOf } from "../problems.ts";
import {
  access,
  CursorQuery,
  json,
  LimitQuery,
  problems,
  ProjectQuery,
  TaskRefParam,
} from "../spec.ts";

const tags = ["tasks"];
const Filter = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, "must be an id or a name").optional();

const list = createRoute({
  method: "get",
  path: "/v1/tasks",
  operationId: "listTasks",
  tags,
  summary: "List tasks",
  description: "By age, oldest first; ended ones as long as they are kept.",
  ...access("admin"),
  request: {
    query: z.object({
      limit: LimitQuery,
      cursor: CursorQuery,
      service: Filter.meta({ description: "Only of this service, by id or name in the project" }),
      node: Filter.meta({ description: "Only on this node, by id or name" }),
      project: Name.optional().meta({ description: "Only of this project" }),
    }),
  },
  responses: {
    200: json("One page of tasks", pageOf(TaskView)),
    ...problems(400, 401, 403, 404, 503),
  },
});

const one = {
  params: TaskRefParam,
  query: z.object({ project: ProjectQuery }),
};

const read = createRoute({
  method: "get",
  path: "/v1/tasks/{ref}",
  operationId: "getTask",
  tags,
  summary: "Read a task",
  description:
    "What the leader decided and what the node saw, side by side. `service.slot` is the " +
    "newest live task of that slot, or else the newest.",
  ...access("admin"),
  request: one,
  responses: { 200: json("The task", TaskView), ...problems(400, 401, 403, 404, 409, 503) },
});

const why = createRoute({
  method: "get",
  path: "/v1/tasks/{ref}/why",
  operationId: "explainTask",
  tags,
  summary: "Explain a task's placement",
  description: "Per node, why it would or would not take the task, by the filters that decide it.",
  ...access("admin"),
  request: one,
  responses: { 200: json("The explanation", Why), ...problems(400, 401, 403, 404, 409, 503) },
});

const restart = createRoute({
  method: "post",
  path: "/v1/tasks/{ref}/restart",
  operationId: "restartTask",
  tags,
  summary: "Replace a task by a new one",
  description:
    "It is stopped and a new task follows in its slot, maybe on another node. All tasks " +
    "of a service, by its update policy: `restart` of its rollout.",
  ...access("admin"),
  request: one,
  responses: {
    204: { description: "It was asked for" },
    ...problems(400, 401, 403, 404, 409, 412, 503),
  },
});

export function taskRoutes(app: ApiApp, rooms: Rooms): void {
  const { deps, immutable } = rooms;
  const reads = { kv: deps.kv, immutable };

  app.openapi(guarded(rooms, list), async (c) => {
    const { limit, cursor, service, node, project } = c.req.valid("query");
    const page = await listTasks(reads, {
      limit,
      ...(cursor === undefined ? {} : { cursor }),
      ...(service === undefined ? {} : { service }),
      ...(node === undefined ? {} : { node }),
      ...(project === undefined ? {} : { project }),
    });
    return c.json(valueOf(page), 200);
  });

  app.openapi(guarded(rooms, read), (c) => {
    const ref = { ...c.req.valid("param"), ...c.req.valid("query") };
    return rooms.answers.make(c, ({ kv }) => getTask({ kv, immutable }, ref));
  });

  app.openapi(guarded(rooms, restart), async (c) => {
    const ref = { ...c.req.valid("param"), ...c.req.valid("query") };
    valueOf(await requestTaskRestart(deps, ref));
    return c.body(null, 204);
  });

  app.openapi(guarded(rooms, why), async (c) => {
    const ref = { ...c.req.valid("param"), ...c.req.valid("query") };
    const { task, observed } = valueOf(await findTask(deps.kv, ref));
    const world = await deps.loadWorld();
    const record = world.tasks.get(task.id);
    if (record) {
      // For words alone the scheduler is not woken, so it may not know the newest.
      const isSame = observed?.state === record.state;
      return c.json(explain(world, isSame ? { ...record, observed } : record), 200);
    }
    throw new Problematic(
      problem(503, "unavailable", "The scheduler has not seen it yet", {
        detail: `task ${task.id} is not in the scheduler's world yet, or just left it`,
        hint: "Repeat the request.",
      }),
      { "retry-after": "1" },
    );
  });
}
