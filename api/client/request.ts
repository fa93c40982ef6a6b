/**
 * The one way in which the client asks: a call whose answer is parsed, a stream of events, a socket.
 *
 * @module
 */
import { z } from "zod";
import { pageOf, Problem } from "../../kv/schema/common.ts";
import { conforms } from "../../kv/schema/conforms.ts";

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

/** Of kinds that are in a project. */
export interface ProjectQuery extends ListQuery {
  project?: string;
}

type Query = Record<string, string | number | boolean | undefined>;

export interface CallInit extends CallOptions {
  query?: Query;
  body?: unknown;
  /** What this call may take beyond the client's deadline. */
  extraTimeoutMs?: number;
}

const DEFAULT_TIMEOUT_MS = 10_000;

/** The schema of an answer without a body. */
export const Nothing = z.undefined();

/** A value as one segment of a path. */
export const seg = encodeURIComponent;

/** Like `?limit=5`; nothing for no query. */
function queryOf(query: Query = {}): string {
  const given = Object.entries(query).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, String(value)]]
  );
  return given.length === 0 ? "" : `?${new URLSearchParams(given)}`;
}

/** What the calls of each kind are made with. */
export type Requests = ReturnType<typeof createRequests>;

export function createRequests(options: ClientOptions) {
  const { url, token, timeoutMs = DEFAULT_TIMEOUT_MS } = options;
  const doFetch = options.fetch ?? ((request: Request) => fetch(request));

  /**
   * A request that was let go of is not aborted any more: its signal goes with it, and whoever reads the
   * answer would wait for ever.
   */
  const underWay = new Set<Request>();

  async function send<T>(
    method: string,
    path: string,
    init: CallInit,
    read: (response: Response) => Promise<Result<T>>,
  ): Promise<Result<T>> {
    const target = new URL(`${path}${queryOf(init.query)}`, url);
    const limitMs = timeoutMs + (init.extraTimeoutMs ?? 0);
    const deadline = AbortSignal.timeout(limitMs);
    const asked = await ask(() => requestOf(method, target, { init, deadline }));
    if (!("response" in asked)) {
      const message = deadline.aborted
        ? `no answer from ${target.host} within ${limitMs} ms`
        : `cannot reach ${target.host}: ${messageOf(asked.error)}`;
      return { ok: false, error: { kind: "unreachable", message } };
    }
    try {
      return await read(asked.response);
    } finally {
      underWay.delete(asked.request);
    }
  }

  /** Whoever gets a response owns it, and ends the request's being under way. */
  async function ask(
    make: () => Request,
  ): Promise<{ request: Request; response: Response } | { error: unknown }> {
    let request: Request | undefined;
    try {
      request = make();
      underWay.add(request);
      return { request, response: await doFetch(request) };
    } catch (error) {
      if (request) underWay.delete(request);
      return { error };
    }
  }

  function requestOf(
    method: string,
    target: URL,
    { init, deadline }: { init: CallInit; deadline: AbortSignal },
  ): Request {
    const { signal, ifMatch, idempotencyKey, body } = init;
    // Agents ask all the time: plain objects cost less than `Headers` and `searchParams`.
    return new Request(target, {
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
  }

  async function call<T>(
    method: string,
    path: string,
    schema: z.ZodType<T>,
    init: CallInit = {},
  ): Promise<Result<T>> {
    return await send(
      method,
      path,
      init,
      (response) => readAnswer(response, schema, { what: `${method} ${path}`, url }),
    );
  }

  /** One page of a list. */
  function list<S extends z.ZodType>(path: string, item: S, query: object, o: CallOptions) {
    return call("GET", path, pageOf(item), { ...o, query: { ...query } });
  }

  /** A long poll: the server may hold it for as long as the query says. */
  function hold<T>(
    path: string,
    schema: z.ZodType<T>,
    query: Query & { holdMs?: number },
    o: CallOptions,
  ) {
    return call("GET", path, schema, { ...o, query, extraTimeoutMs: query.holdMs ?? 0 });
  }

  /** The text of a stream of events, as it comes; nothing when the server refuses it. */
  async function* stream(
    path: string,
    { lastEventId, signal }: { lastEventId?: string; signal: AbortSignal },
  ): AsyncGenerator<string> {
    const headers = new Headers({ accept: "text/event-stream" });
    if (token) headers.set("authorization", `Bearer ${token}`);
    if (lastEventId) headers.set("last-event-id", lastEventId);
    const asked = await ask(() => new Request(new URL(path, url), { headers, signal }));
    if (!("response" in asked)) throw asked.error;
    const { request, response } = asked;
    try {
      if (response.ok && response.body) {
        yield* response.body.pipeThrough(new TextDecoderStream());
      } else await response.body?.cancel();
    } finally {
      underWay.delete(request);
    }
  }

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

  return { call, list, hold, stream, openSocket };
}

/** What the server answered to `what`, by the schema; or its problem. */
async function readAnswer<T>(
  response: Response,
  schema: z.ZodType<T>,
  { what, url }: { what: string; url: string },
): Promise<Result<T>> {
  let text: string;
  try {
    text = await response.text();
  } catch (error) {
    // A server that dies in mid-answer is away; what it was is not in doubt.
    const message = `the answer of ${new URL(url).host} broke off: ${messageOf(error)}`;
    return { ok: false, error: { kind: "unreachable", message } };
  }
  const protocol = (message: string): Result<never> => ({
    ok: false,
    error: { kind: "protocol", message },
  });
  const stranger = `HTTP ${response.status} from ${url}, which does not look like a Berth server`;
  let body: unknown;
  try {
    body = text === "" ? undefined : JSON.parse(text);
  } catch (error) {
    return protocol(response.ok ? `unreadable answer: ${messageOf(error)}` : stranger);
  }
  if (!response.ok) {
    const problem = Problem.safeParse(body);
    return problem.success
      ? { ok: false, error: { kind: "problem", problem: problem.data } }
      : protocol(stranger);
  }
  if (conforms(schema, body)) return { ok: true, value: body as T };
  const parsed = schema.safeParse(body);
  if (parsed.success) return { ok: true, value: parsed.data };
  return protocol(`${what} answered in another shape: ${z.prettifyError(parsed.error)}`);
}

/** Of a failed fetch the end of its cause: `Connection refused`, and not what was being done when. */
function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  if (!(cause instanceof Error)) return error.message;
  return cause.message.split(": ").at(-1)?.replace(/ \(os error \d+\)$/, "") || error.message;
}

/** One sentence for people, whatever went wrong. */
export function describeError(error: CallError): string {
  if (error.kind !== "problem") return error.message;
  const { title, detail, hint, errors } = error.problem;
  const fields = (errors ?? []).map((e) => `${e.field}: ${e.message}`).join("; ");
  return [detail ?? title, fields, hint].filter((part) => part !== undefined && part !== "")
    .join(". ");
}
