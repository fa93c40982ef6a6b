/**
 * Forecasts: what applying services would do, and what if. They read the leader's world, or a copy of
 * it, and write nothing.
 *
 * @module
 */
import { createRoute } from "@hono/zod-openapi";
import { timestamp } from "../../kv/schema/common.ts";
import { Forecast, PlanRequest, SimulateRequest } from "../../kv/schema/forecast.ts";
import { forecast, type Hypothesis } from "../../scheduler/forecast/forecast.ts";
import type { ApiApp, Rooms } from "../deps.ts";
import { guarded } from "../guard.ts";
import { type HypothesisDeps, supposeAll, supposedIds, supposeSpecs } from "../hypothesis.ts";
import { valueOf } from "../problems.ts";
import { access, json, jsonRequest, problems } from "../spec.ts";

const tags = ["forecasts"];

const plan = createRoute({
  method: "post",
  path: "/v1/plan",
  operationId: "planServices",
  tags,
  summary: "Say what applying services would do",
  description:
    "Task by task, by the planner itself on a copy of the cluster. Nothing is written. " +
    "Published ports and routes that are taken are refused, as applying the services one after the " +
    "other would. " +
    "It supposes that tasks that are started run, and that nothing else happens meanwhile.",
  ...access("admin"),
  request: { body: jsonRequest(PlanRequest) },
  responses: {
    200: json("What would happen", Forecast),
    ...problems(400, 401, 403, 409, 413, 415, 503),
  },
});

const simulate = createRoute({
  method: "post",
  path: "/v1/simulate",
  operationId: "simulate",
  tags,
  summary: "Say what would happen if",
  description: "What if nodes fail, are drained or added, and services change: which tasks move, " +
    "which find no place and why, and what room is left. Nothing is written.",
  ...access("admin"),
  request: { body: jsonRequest(SimulateRequest) },
  responses: {
    200: json("What would happen", Forecast),
    ...problems(400, 401, 403, 404, 409, 413, 415, 503),
  },
});

export function forecastRoutes(app: ApiApp, rooms: Rooms): void {
  const { clock, loadWorld } = rooms.deps;
  const suppose = (): HypothesisDeps => ({
    newId: supposedIds(),
    at: timestamp(clock.wallMs()),
  });

  app.openapi(guarded(rooms, plan), async (c) => {
    const world = await loadWorld();
    const deps = suppose();
    const services = valueOf(supposeSpecs(world, c.req.valid("json").specs, deps));
    const hypothesis: Hypothesis = { fail: [], drain: [], add: [], services };
    const options = { nowMs: clock.monoMs(), newId: deps.newId, onlyAsked: true };
    return c.json(forecast(world, hypothesis, options), 200);
  });

  app.openapi(guarded(rooms, simulate), async (c) => {
    const world = await loadWorld();
    const deps = suppose();
    const hypothesis = valueOf(supposeAll(world, c.req.valid("json"), deps));
    const options = { nowMs: clock.monoMs(), newId: deps.newId };
    return c.json(forecast(world, hypothesis, options), 200);
  });
}
