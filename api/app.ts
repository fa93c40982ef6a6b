/**
 * The HTTP API: every route, one error shape, and what lives as long as the app does.
 *
 * @module
 */
import { OpenAPIHono } from "@hono/zod-openapi";
import { createEndpointTable } from "../kv/endpoint_table.ts";
import { createImmutable } from "../kv/immutable.ts";
import { messageOf } from "../kv/store.ts";
import { createTokenReader } from "../kv/tokens.ts";
import { createAnswers } from "./answers.ts";
import type { ApiApp, ApiDeps, ApiEnv, Rooms } from "./deps.ts";
import { docsAsset, docsPage } from "./docs.ts";
import { createEndpointPolls } from "./endpoint_polls.ts";
import { createEventStreams } from "./event_stream.ts";
import { createHeldAnswers } from "./held.ts";
import { createMetrics } from "./metrics.ts";
import { createPolls } from "./polls.ts";
import {
  problem,
  Problematic,
  problemOf,
  problemResponse,
  unknownFieldsProblem,
  unreadFields,
  validationProblem,
} from "./problems.ts";
import { createQuickPolls } from "./quick_polls.ts";
import { agentRoutes } from "./routes/agents.ts";
import { endpointRoutes } from "./routes/endpoints.ts";
import { eventRoutes } from "./routes/events.ts";
import { forecastRoutes } from "./routes/forecast.ts";
import { ingressRoutes } from "./routes/ingress.ts";
import { nodeRoutes } from "./routes/nodes.ts";
import { playgroundRoutes } from "./routes/playground.ts";
import { projectRoutes } from "./routes/projects.ts";
import { runRoutes } from "./routes/runs.ts";
import { rolloutRoutes } from "./routes/rollouts.ts";
import { registryRoutes } from "./routes/registries.ts";
import { sealedRoutes } from "./routes/sealed.ts";
import { serviceRoutes } from "./routes/services.ts";
import { systemRoutes } from "./routes/system.ts";
import { taskRoutes } from "./routes/tasks.ts";
import { tunnelRoutes } from "./routes/tunnels.ts";
import { volumeRoutes } from "./routes/volumes.ts";
import { createTunnels } from "./tunnel.ts";

export type { ApiDeps, ApiLog, LeaderInfo } from "./deps.ts";

export interface Api {
  fetch(request: Request, info?: Deno.ServeHandlerInfo): Promise<Response>;
  /** The OpenAPI 3.1 document. */
  openapi(): object;
  /** Ends held polls, streams and tunnels. The dependencies stay open: they are the caller's. */
  close(): Promise<void>;
}

/** Builds the API. It follows the log through `deps.feed`, which the caller runs. */
export function createApp(deps: ApiDeps): Api {
  const app: ApiApp = new OpenAPIHono<ApiEnv>({
    defaultHook: (result, c) => {
      if (!result.success) throw new Problematic(validationProblem(result.target, result.error));
      // Agents may be newer than this server and say more; people are told of what is not read.
      if (result.target !== "json" || c.get("token").kind !== "admin") return;
      const unknown = unreadFields(JSON.parse(c.get("bodyText")), result.data);
      if (unknown.length > 0) throw new Problematic(unknownFieldsProblem(unknown));
    },
  });
  const closing = new AbortController();
  const rooms = createRooms(deps, closing.signal, () => document(app, deps.version));

  app.use(async (c, next) => {
    const startMs = deps.clock.monoMs();
    await next();
    rooms.metrics.observe({
      method: c.req.method,
      route: c.get("route") ?? "other",
      status: c.res.status,
      ms: deps.clock.monoMs() - startMs,
    });
  });
  const failed = (error: unknown, request: string, url: string) =>
    problemResponse(problemOf(error, { ...deps, request }), url);
  app.onError((error, c) => failed(error, `${c.req.method} ${c.req.path}`, c.req.url));
  // Before the nodes' routes: `join` and `join-token` are no names of nodes there.
  agentRoutes(app, rooms);
  nodeRoutes(app, rooms);
  serviceRoutes(app, rooms);
  projectRoutes(app, rooms);
  runRoutes(app, rooms);
  rolloutRoutes(app, rooms);
  taskRoutes(app, rooms);
  endpointRoutes(app, rooms);
  ingressRoutes(app, rooms);
  sealedRoutes(app, rooms);
  volumeRoutes(app, rooms);
  registryRoutes(app, rooms);
  forecastRoutes(app, rooms);
  eventRoutes(app, rooms);
  tunnelRoutes(app, rooms);
  systemRoutes(app, rooms);
  if (deps.playground) playgroundRoutes(app, rooms);
  app.get("/", (c) => c.redirect("/docs"));
  app.get("/docs", docsPage);
  app.get("/docs/:name", async (c) => {
    const found = await docsAsset(c, c.req.param("name"));
    if (found) return found;
    throw new Problematic(noRoute(c.req.path));
  });
  app.notFound((c) => problemResponse(missing(app, c.req.method, c.req.path), c.req.url));

  const quick = createQuickPolls(deps, rooms);
  const failedOn = ({ method, url }: Request) => {
    return (error: unknown) => failed(error, `${method} ${new URL(url).pathname}`, url);
  };

  return {
    async fetch(request) {
      try {
        const held = await quick.find(request);
        // Not waited for here: thousands are held at a time, and each would keep this call alive.
        if (held) return held().catch(failedOn(request));
        const kept = await rooms.answers.find(request);
        return kept ?? await rooms.held.settle(await app.fetch(request));
      } catch (error) {
        return failedOn(request)(error);
      }
    },
    openapi: rooms.openapi,
    async close() {
      closing.abort();
      rooms.polls.close();
      rooms.endpoints.polls.close();
      rooms.endpoints.table.close();
      rooms.streams.close();
      await rooms.tunnels.close();
    },
  };
}

function createRooms(deps: ApiDeps, closing: AbortSignal, openapi: () => object): Rooms {
  const immutable = createImmutable(deps.kv);
  const tunnels = createTunnels(deps);
  const polls = createPolls(deps, { immutable, tunnels });
  const table = createEndpointTable({
    ...{ ...deps, immutable },
    onError: (error) =>
      deps.log.error("endpoints could not be read; trying again", { error: messageOf(error) }),
  });
  const endpoints = { table, polls: createEndpointPolls(deps, table) };
  const streams = createEventStreams(deps);
  const metrics = createMetrics(deps, {
    heldPolls: () => polls.held() + endpoints.polls.held(),
    eventStreams: streams.count,
    tunnels: tunnels.count,
  });
  const tokens = createTokenReader(deps);
  let made: object | undefined;
  return {
    deps,
    immutable,
    tokens,
    answers: createAnswers(deps, { tokens, metrics }),
    held: createHeldAnswers(),
    polls,
    endpoints,
    streams,
    tunnels,
    metrics,
    closing,
    openapi: () => made ??= openapi(),
  };
}

function document(app: ApiApp, version: string): object {
  app.openAPIRegistry.registerComponent("securitySchemes", "bearer", {
    type: "http",
    scheme: "bearer",
    description: "An admin token, a join token, or a node's credential. A route's security names " +
      "the kinds that it takes.",
  });
  return app.getOpenAPI31Document({
    openapi: "3.1.0",
    info: {
      title: "Berth",
      version,
      description: "Runs containers across machines. Every error is a problem (RFC 9457). " +
        "To try calls here, authorize with a token of the cluster: the server writes its own to " +
        "`admin-token` in its data directory, and `berth context` keeps it in its file.",
    },
    // What people use first; what only agents call last.
    tags: [
      "services",
      "endpoints",
      "tasks",
      "data",
      "nodes",
      "forecasts",
      "events",
      "tunnels",
      "system",
      "playground",
      "agents",
    ]
      .map((name) => ({ name })),
  });
}

function noRoute(path: string) {
  return problem(404, "no-route", "There is nothing here", {
    detail: `no route ${path}`,
    hint: "/docs lists the routes.",
  });
}

/** Nothing matched: is it the path, or only the method? */
function missing(app: ApiApp, method: string, path: string): Problematic {
  const allowed = new Set<string>();
  for (const route of app.routes) {
    if (route.method !== "ALL" && matches(route.path, path)) allowed.add(route.method);
  }
  if (allowed.size === 0) return new Problematic(noRoute(path));
  if (allowed.has("GET")) allowed.add("HEAD");
  const allow = [...allowed].sort().join(", ");
  return new Problematic(
    problem(405, "method", "Not this way", {
      detail: `${path} does not take ${method}`,
      hint: `It takes ${allow}.`,
    }),
    { allow },
  );
}

function matches(template: string, path: string): boolean {
  const wanted = template.split("/");
  const given = path.split("/");
  return wanted.length === given.length &&
    wanted.every((part, i) => part.startsWith(":") ? given[i] !== "" : part === given[i]);
}
