/**
 * The typed client of the API, for agents, the CLI and tests. It parses every answer with the
 * schema that the server answers from, and turns every failure into a value.
 *
 * @module
 */
import { z } from "zod";
import { conforms } from "../kv/schema/conforms.ts";
import { pageOf, Problem } from "../kv/schema/common.ts";
import { EndpointsResponse, ServiceEndpoints } from "../kv/schema/endpoint.ts";
import type { AttachOptions, FilesOptions, StatsOptions } from "../kv/schema/inside.ts";
import { type RunRequestInput, RunView } from "../kv/schema/run.ts";
import { RevisionView, type RolloutCommand } from "../kv/schema/rollout.ts";
import { type ServiceSpecInput, ServiceView } from "../kv/schema/service.ts";
import { TaskView } from "../kv/schema/task.ts";
import { type NodeSpecInput, NodeView } from "../kv/schema/node.ts";
import { CertificateView } from "../kv/schema/ingress.ts";
import {
  Forecast,
  type PlanRequestInput,
  type SimulateRequestInput,
} from "../kv/schema/forecast.ts";
import { type EventFilter, EventsPage, EventView } from "../kv/schema/event.ts";
import { Why } from "../kv/schema/why.ts";
import {
  type ExecOptions,
  type ForwardOptions,
  type JoinRequest,
  JoinResponse,
  type LogsOptions,
  PollResponse,
  type ReportRequest,
  ReportResponse,
} from "../kv/schema/agent.ts";
import {
  type SealedRequestInput,
  SealedView,
  TaskFilesView,
  type ValueRequest,
  ValueView,
} from "../kv/schema/sealed.ts";
import { DigestPin, type LoginRequest, PullLogin, RegistryView } from "../kv/schema/registry.ts";
import { VolumeView } from "../kv/schema/volume.ts";
import { PlaygroundSet, type SeedRequest } from "../kv/schema/playground.ts";
import { type LockRequestInput, ProjectLockView } from "../kv/schema/project.ts";
import { ClusterView, JoinTokenView } from "../kv/schema/views.ts";

/**
 * A failed call.
 * - `unreachable`: no answer (refused, timed out, aborted). Repeating it may help.
 * - `problem`: the server answered with a problem; `status` is the HTTP status.
 * - `protocol`: something answered, but not this API.
 */
export type CallError =
  | { kind: "unreachable"; message: string }
  | { kind: "problem"; problem: Problem }
  | { kind: "protocol"; message: string };

export type Result<T> = { ok: true; value: T } | { ok: false; error: CallError };

export interface ClientOptions {
  /** Base URL, like `http://127.0.0.1:7070`. */
  url: string;
  /** Bearer token. */
  token?: string;
  /** For tests and the simulator. */
  fetch?: (request: Request) => Promise<Response>;
  /** Deadline of one call in ms; long polls add their hold time. */
  timeoutMs?: number;
}

export interface CallOptions {
  signal?: AbortSignal;
  /** Versionstamp of the representation that the change is based on. */
  ifMatch?: string;
  /** Makes a repeated write the same write. */
  idempotencyKey?: string;
}

export interface ListQuery {
  limit?: number;
  cursor?: string;
}

type Query = Record<string, string | number | boolean | undefined>;
interface CallInit extends CallOptions {
  query?: Query;
  body?: unknown;
  extraTimeoutMs?: number;
}

const DEFAULT_TIMEOUT_MS = 10_000;
/** A large cluster takes a while to come to rest, if only on paper. */
const FORECAST_MS = 50_000;
/** Nodes take a while to remove a volume with much in it. */
const VOLUME_MS = 30_000;
const Nothing = z.undefined();

/** Like `?limit=5`; nothing for no query. */
function queryOf(query: Query = {}): string {
  const given = Object.entries(query).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, String(value)]]
  );
  return given.length === 0 ? "" : `?${new URLSearchParams(given)}`;
}

/** A client of one server. Stateless: it owns no connection and needs no closing. */
export function createClient(options: ClientOptions) {
  const { url, token, timeoutMs = DEFAULT_TIMEOUT_MS } = options;
  const doFetch = options.fetch ?? ((request: Request) => fetch(request));

  async function send(method: string, path: string, init: CallInit): Promise<Result<Response>> {
    const target = new URL(`${path}${queryOf(init.query)}`, url);
    const { signal, ifMatch, idempotencyKey, body } = init;
    const deadline = AbortSignal.timeout(timeoutMs + (init.extraTimeoutMs ?? 0));
    // Agents ask all the time: plain objects cost less than `Headers` and `searchParams`.
    const request = new Request(target, {
      method,
      headers: {
        accept: "application/json",
        ...(token ? { authorization: `Bearer ${token}` } : {}),
        ...(ifMatch ? { "if-match": ifMatch } : {}),
        ...(idempotencyKey ? { "idempotency-key": idempotencyKey } : {}),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      signal: signal ? AbortSignal.any([signal, deadline]) : deadline,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    try {
      const response = await doFetch(request);
      return { ok: true, value: response };
    } catch (error) {
      const message = deadline.aborted
        ? `no answer from ${target.host} within ${timeoutMs + (init.extraTimeoutMs ?? 0)} ms`
        : `cannot reach ${target.host}: ${messageOf(error)}`;
      return { ok: false, error: { kind: "unreachable", message } };
    }
  }

  async function call<T>(
    method: string,
    path: string,
    schema: z.ZodType<T>,
    init: CallInit = {},
  ): Promise<Result<T>> {
    const sent = await send(method, path, init);
    if (!sent.ok) return sent;
    const response = sent.value;
    let text: string;
    try {
      text = await response.text();
    } catch (error) {
      // A server that dies in mid-answer is away; what it was is not in doubt.
      const message = `the answer of ${new URL(url).host} broke off: ${messageOf(error)}`;
      return { ok: false, error: { kind: "unreachable", message } };
    }
    let body: unknown;
    try {
      body = text === "" ? undefined : JSON.parse(text);
    } catch (error) {
      const message = `unreadable answer: ${messageOf(error)}`;
      return response.ok
        ? { ok: false, error: { kind: "protocol", message } }
        : protocolError(response);
    }
    if (!response.ok) {
      const problem = Problem.safeParse(body);
      return problem.success
        ? { ok: false, error: { kind: "problem", problem: problem.data } }
        : protocolError(response);
    }
    if (conforms(schema, body)) return { ok: true, value: body as T };
    const parsed = schema.safeParse(body);
    return parsed.success ? { ok: true, value: parsed.data } : {
      ok: false,
      error: {
        kind: "protocol",
        message: `${method} ${path} answered in another shape: ${z.prettifyError(parsed.error)}`,
      },
    };
  }

  function protocolError(response: Response): Result<never> {
    return {
      ok: false,
      error: {
        kind: "protocol",
        message: `HTTP ${response.status} from ${url}, which does not look like a Berth server`,
      },
    };
  }

  const seg = encodeURIComponent;
  return {
    url,
    cluster: (o: CallOptions = {}) => call("GET", "/v1/cluster", ClusterView, o),

    listServices: (query: ListQuery & { project?: string } = {}, o: CallOptions = {}) =>
      call("GET", "/v1/services", pageOf(ServiceView), { ...o, query: { ...query } }),
    /** `ref` is an id or a name; a name is looked up in `project`. */
    getService: (ref: string, project?: string, o: CallOptions = {}) =>
      call("GET", `/v1/services/${seg(ref)}`, ServiceView, { ...o, query: { project } }),
    createService: (spec: ServiceSpecInput, o: CallOptions = {}) =>
      call("POST", "/v1/services", ServiceView, { ...o, body: spec }),
    /**
     * Replaces the whole spec; a changed template becomes a new revision. With `pull` so does an
     * unchanged one, and what its image's tag stands for is looked up anew.
     */
    putService: (
      ref: string,
      spec: ServiceSpecInput,
      { pull, ...o }: CallOptions & { pull?: boolean } = {},
    ) =>
      call("PUT", `/v1/services/${seg(ref)}`, ServiceView, {
        ...o,
        query: { project: spec.project, ...(pull ? { pull } : {}) },
        body: spec,
      }),
    deleteService: (ref: string, project?: string, o: CallOptions = {}) =>
      call("DELETE", `/v1/services/${seg(ref)}`, ServiceView, { ...o, query: { project } }),
    readLock: (project: string, o: CallOptions = {}) =>
      call("GET", `/v1/projects/${seg(project)}/lock`, ProjectLockView, o),
    /** Takes the lock of a project, or renews it. Refused with 409 while somebody else holds it. */
    lockProject: (project: string, request: LockRequestInput, o: CallOptions = {}) =>
      call("PUT", `/v1/projects/${seg(project)}/lock`, ProjectLockView, { ...o, body: request }),
    unlockProject: (project: string, id: string, o: CallOptions = {}) =>
      call("DELETE", `/v1/projects/${seg(project)}/lock`, Nothing, { ...o, query: { id } }),
    /** The newest revision first. */
    listRevisions: (
      ref: string,
      query: ListQuery & { project?: string } = {},
      o: CallOptions = {},
    ) =>
      call("GET", `/v1/services/${seg(ref)}/revisions`, pageOf(RevisionView), {
        ...o,
        query: { ...query },
      }),
    steerRollout: (
      ref: string,
      command: RolloutCommand,
      project?: string,
      o: CallOptions = {},
    ) =>
      call("POST", `/v1/services/${seg(ref)}/rollout`, ServiceView, {
        ...o,
        query: { project },
        body: command,
      }),

    /** Runs a job or cron service now, with other arguments if `request` has any. */
    createRun: (
      ref: string,
      request: RunRequestInput = {},
      project?: string,
      o: CallOptions = {},
    ) =>
      call("POST", `/v1/services/${seg(ref)}/runs`, RunView, {
        ...o,
        query: { project },
        body: request,
      }),
    listRuns: (ref: string, query: ListQuery & { project?: string } = {}, o: CallOptions = {}) =>
      call("GET", `/v1/services/${seg(ref)}/runs`, pageOf(RunView), { ...o, query: { ...query } }),

    listTasks: (
      query: ListQuery & { service?: string; node?: string; project?: string } = {},
      o: CallOptions = {},
    ) => call("GET", "/v1/tasks", pageOf(TaskView), { ...o, query: { ...query } }),
    /** `ref` is an id, the end of an id (6 characters or more), or `service.slot`. */
    getTask: (ref: string, project?: string, o: CallOptions = {}) =>
      call("GET", `/v1/tasks/${seg(ref)}`, TaskView, { ...o, query: { project } }),
    /** Stops the task; a new one follows in its slot. */
    restartTask: (ref: string, project?: string, o: CallOptions = {}) =>
      call("POST", `/v1/tasks/${seg(ref)}/restart`, Nothing, { ...o, query: { project } }),
    why: (ref: string, project?: string, o: CallOptions = {}) =>
      call("GET", `/v1/tasks/${seg(ref)}/why`, Why, { ...o, query: { project } }),

    listSecrets: (query: ListQuery & { project?: string } = {}, o: CallOptions = {}) =>
      call("GET", "/v1/secrets", pageOf(SealedView), { ...o, query: { ...query } }),
    getSecret: (ref: string, project?: string, o: CallOptions = {}) =>
      call("GET", `/v1/secrets/${seg(ref)}`, SealedView, { ...o, query: { project } }),
    createSecret: (request: SealedRequestInput, o: CallOptions = {}) =>
      call("POST", "/v1/secrets", SealedView, { ...o, body: request }),
    /** Services that refer to it get a new revision; the value that it has changes nothing. */
    rotateSecret: (ref: string, request: ValueRequest, project?: string, o: CallOptions = {}) =>
      call("PUT", `/v1/secrets/${seg(ref)}`, SealedView, {
        ...o,
        query: { project },
        body: request,
      }),
    deleteSecret: (ref: string, project?: string, o: CallOptions = {}) =>
      call("DELETE", `/v1/secrets/${seg(ref)}`, Nothing, { ...o, query: { project } }),
    listConfigs: (query: ListQuery & { project?: string } = {}, o: CallOptions = {}) =>
      call("GET", "/v1/configs", pageOf(SealedView), { ...o, query: { ...query } }),
    getConfig: (ref: string, project?: string, o: CallOptions = {}) =>
      call("GET", `/v1/configs/${seg(ref)}`, SealedView, { ...o, query: { project } }),
    createConfig: (request: SealedRequestInput, o: CallOptions = {}) =>
      call("POST", "/v1/configs", SealedView, { ...o, body: request }),
    /** Services that refer to it get a new revision; the value that it has changes nothing. */
    rotateConfig: (ref: string, request: ValueRequest, project?: string, o: CallOptions = {}) =>
      call("PUT", `/v1/configs/${seg(ref)}`, SealedView, {
        ...o,
        query: { project },
        body: request,
      }),
    deleteConfig: (ref: string, project?: string, o: CallOptions = {}) =>
      call("DELETE", `/v1/configs/${seg(ref)}`, Nothing, { ...o, query: { project } }),
    getConfigValue: (
      ref: string,
      query: { project?: string; version?: number } = {},
      o: CallOptions = {},
    ) => call("GET", `/v1/configs/${seg(ref)}/value`, ValueView, { ...o, query: { ...query } }),

    listRegistries: (o: CallOptions = {}) => call("GET", "/v1/registries", pageOf(RegistryView), o),
    /** Stores credentials, or replaces those of the same registry. */
    putRegistry: (name: string, request: LoginRequest, o: CallOptions = {}) =>
      call("PUT", `/v1/registries/${seg(name)}`, RegistryView, { ...o, body: request }),
    deleteRegistry: (name: string, o: CallOptions = {}) =>
      call("DELETE", `/v1/registries/${seg(name)}`, Nothing, o),

    listVolumes: (query: ListQuery & { project?: string } = {}, o: CallOptions = {}) =>
      call("GET", "/v1/volumes", pageOf(VolumeView), { ...o, query: { ...query } }),
    getVolume: (ref: string, project?: string, o: CallOptions = {}) =>
      call("GET", `/v1/volumes/${seg(ref)}`, VolumeView, { ...o, query: { project } }),
    /** With what is in it, on every node; forced: also if some do not answer. */
    deleteVolume: (
      ref: string,
      query: { project?: string; force?: boolean } = {},
      o: CallOptions = {},
    ) =>
      call("DELETE", `/v1/volumes/${seg(ref)}`, Nothing, {
        ...o,
        query: { ...query },
        extraTimeoutMs: VOLUME_MS,
      }),

    /** What applying these services would do. Nothing is written. */
    plan: (request: PlanRequestInput, o: CallOptions = {}) =>
      call("POST", "/v1/plan", Forecast, { ...o, body: request, extraTimeoutMs: FORECAST_MS }),
    /** What if nodes fail, are drained, are added, or services change. Nothing is written. */
    simulate: (request: SimulateRequestInput, o: CallOptions = {}) =>
      call("POST", "/v1/simulate", Forecast, { ...o, body: request, extraTimeoutMs: FORECAST_MS }),

    /** Where services can be reached. */
    listEndpoints: (query: ListQuery & { project?: string } = {}, o: CallOptions = {}) =>
      call("GET", "/v1/endpoints", pageOf(ServiceEndpoints), { ...o, query: { ...query } }),
    getEndpoints: (ref: string, project?: string, o: CallOptions = {}) =>
      call("GET", `/v1/services/${seg(ref)}/endpoints`, ServiceEndpoints, {
        ...o,
        query: { project },
      }),

    listNodes: (query: ListQuery = {}, o: CallOptions = {}) =>
      call("GET", "/v1/nodes", pageOf(NodeView), { ...o, query: { ...query } }),
    getNode: (ref: string, o: CallOptions = {}) =>
      call("GET", `/v1/nodes/${seg(ref)}`, NodeView, o),
    putNodeSpec: (ref: string, spec: NodeSpecInput, o: CallOptions = {}) =>
      call("PUT", `/v1/nodes/${seg(ref)}/spec`, NodeView, { ...o, body: spec }),
    /** Refused with 409 while tasks run on it, unless forced. */
    deleteNode: (ref: string, query: { force?: boolean } = {}, o: CallOptions = {}) =>
      call("DELETE", `/v1/nodes/${seg(ref)}`, Nothing, { ...o, query: { ...query } }),
    /** Asks the node's agent to restart; containers run on. */
    restartNode: (ref: string, o: CallOptions = {}) =>
      call("POST", `/v1/nodes/${seg(ref)}/restart`, Nothing, o),
    createJoinToken: (o: CallOptions = {}) =>
      call("POST", "/v1/nodes/join-token", JoinTokenView, { ...o, body: {} }),

    listEvents: (
      query: { after?: string; cursor?: string; limit?: number; last?: number } & EventFilter = {},
      o: CallOptions = {},
    ) => call("GET", "/v1/events", EventsPage, { ...o, query: { ...query } }),
    /** Server-sent events after `lastEventId`. Ends when the connection does; then call again. */
    async *followEvents(
      o: { lastEventId?: string; signal: AbortSignal },
    ): AsyncGenerator<EventView> {
      const headers = new Headers({ accept: "text/event-stream" });
      if (token) headers.set("authorization", `Bearer ${token}`);
      if (o.lastEventId) headers.set("last-event-id", o.lastEventId);
      const response = await doFetch(
        new Request(new URL("/v1/events", url), { headers, signal: o.signal }),
      );
      if (!response.ok || !response.body) {
        await response.body?.cancel();
        return;
      }
      for await (const data of serverSentEvents(response.body)) {
        const parsed = EventView.safeParse(JSON.parse(data));
        if (parsed.success) yield parsed.data;
      }
    },

    join: (request: JoinRequest, o: CallOptions = {}) =>
      call("POST", "/v1/nodes/join", JoinResponse, { ...o, body: request }),
    putFacts: (nodeId: string, facts: JoinRequest, o: CallOptions = {}) =>
      call("PUT", `/v1/nodes/${seg(nodeId)}/facts`, Nothing, { ...o, body: facts }),
    /** Long poll: answers at once when something changed after `since`, else after `holdMs`. */
    poll: (
      nodeId: string,
      query: { since?: number; holdMs?: number; restarted?: string },
      o: CallOptions = {},
    ) =>
      call("GET", `/v1/nodes/${seg(nodeId)}/assignments`, PollResponse, {
        ...o,
        query,
        extraTimeoutMs: query.holdMs ?? 0,
      }),
    /** Long poll: answers at once when something changed after `since`, else after `holdMs`. */
    pollEndpoints: (
      nodeId: string,
      query: { since?: number; holdMs?: number },
      o: CallOptions = {},
    ) =>
      call("GET", `/v1/nodes/${seg(nodeId)}/endpoints`, EndpointsResponse, {
        ...o,
        query,
        extraTimeoutMs: query.holdMs ?? 0,
      }),
    /** Credentials for the image of a task that this node is to run. */
    pullLogin: (nodeId: string, taskId: string, o: CallOptions = {}) =>
      call("GET", `/v1/nodes/${seg(nodeId)}/tasks/${seg(taskId)}/login`, PullLogin, o),
    /** Says which image the tag stands for; the answer is the one that holds. */
    settleDigest: (nodeId: string, taskId: string, pin: DigestPin, o: CallOptions = {}) =>
      call("PUT", `/v1/nodes/${seg(nodeId)}/tasks/${seg(taskId)}/digest`, DigestPin, {
        ...o,
        body: pin,
      }),
    /** The secrets and configs of a task that this node is to run. */
    certificate: (nodeId: string, secretId: string, o: CallOptions = {}) =>
      call("GET", `/v1/nodes/${seg(nodeId)}/certificates/${seg(secretId)}`, CertificateView, o),
    taskFiles: (nodeId: string, taskId: string, o: CallOptions = {}) =>
      call("GET", `/v1/nodes/${seg(nodeId)}/tasks/${seg(taskId)}/files`, TaskFilesView, o),
    report: (nodeId: string, report: ReportRequest, o: CallOptions = {}) =>
      call("POST", `/v1/nodes/${seg(nodeId)}/report`, ReportResponse, { ...o, body: report }),

    /** The simulated nodes that shall be: held until the set is newer than `since`. */
    playground: (query: { since?: number; holdMs?: number }, o: CallOptions = {}) =>
      call("GET", "/v1/playground/nodes", PlaygroundSet, {
        ...o,
        query,
        extraTimeoutMs: query.holdMs ?? 0,
      }),
    seedPlayground: (request: SeedRequest, o: CallOptions = {}) =>
      call("POST", "/v1/playground/nodes", PlaygroundSet, { ...o, body: request }),

    /** Opens a log tunnel to the task's agent. Frames: kv/schema/agent.ts, TunnelControl. */
    openLogs: (taskRef: string, options: Partial<LogsOptions> & { project?: string }) =>
      openSocket(`/v1/tasks/${seg(taskRef)}/logs`, options),
    openExec: (taskRef: string, options: ExecOptions & { project?: string }) =>
      openSocket(`/v1/tasks/${seg(taskRef)}/exec`, options),
    /** A TCP connection to a port of the task's container. */
    openForward: (taskRef: string, options: ForwardOptions & { project?: string }) =>
      openSocket(`/v1/tasks/${seg(taskRef)}/forward`, options),
    /** The main process of the task's container. */
    openAttach: (taskRef: string, options: AttachOptions & { project?: string }) =>
      openSocket(`/v1/tasks/${seg(taskRef)}/attach`, options),
    openFiles: (taskRef: string, options: FilesOptions & { project?: string }) =>
      openSocket(`/v1/tasks/${seg(taskRef)}/files`, options),
    /** What the node's tasks use: lines of NodeUsage. */
    openStats: (nodeRef: string, options: StatsOptions) =>
      openSocket(`/v1/nodes/${seg(nodeRef)}/stats`, options),
    openBackup: (volumeRef: string, options: { project?: string; node?: string }) =>
      openSocket(`/v1/volumes/${seg(volumeRef)}/backup`, options),
    openRestore: (volumeRef: string, options: { project?: string; node?: string }) =>
      openSocket(`/v1/volumes/${seg(volumeRef)}/restore`, options),
    /** The agent's side: answers a TunnelRequest. `base` is the request's url, if it had one. */
    answerTunnel: (nodeId: string, sessionId: string, base?: string) =>
      openSocket(`/v1/nodes/${seg(nodeId)}/tunnels/${seg(sessionId)}`, undefined, base),
  };

  /**
   * A WebSocket with the bearer token in its headers, so that it is in no URL. Options go
   * in the first text frame, which this function sends on open.
   */
  function openSocket(path: string, first: unknown, base?: string): WebSocket {
    const target = new URL(path, base ?? url);
    target.protocol = target.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(target, {
      protocols: ["berth.v1"],
      ...(token ? { headers: { authorization: `Bearer ${token}` } } : {}),
    });
    socket.binaryType = "arraybuffer";
    if (first !== undefined) {
      socket.addEventListener("open", () => socket.send(JSON.stringify(first)), { once: true });
    }
    return socket;
  }
}

/** Of a failed fetch the end of its cause: `Connection refused`, and not what was being done when. */
function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  if (!(cause instanceof Error)) return error.message;
  return cause.message.split(": ").at(-1)?.replace(/ \(os error \d+\)$/, "") || error.message;
}

export type Client = ReturnType<typeof createClient>;

/** The `data` of each server-sent event of a stream. */
async function* serverSentEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let rest = "";
  for await (const text of body.pipeThrough(new TextDecoderStream())) {
    const blocks = (rest + text).split("\n\n");
    rest = blocks.pop() ?? "";
    for (const block of blocks) {
      const data = block.split("\n").filter((line) => line.startsWith("data:"))
        .map((line) => line.slice(5).trimStart()).join("\n");
      if (data !== "") yield data;
    }
  }
}

/** One sentence for people, whatever went wrong. */
export function describeError(error: CallError): string {
  if (error.kind !== "problem") return error.message;
  const { title, detail, hint, errors } = error.problem;
  const fields = (errors ?? []).map((e) => `${e.field}: ${e.message}`).join("; ");
  return [detail ?? title, fields, hint].filter((part) => part !== undefined && part !== "")
    .join(". ");
}
