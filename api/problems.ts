/**
 * The one error shape: RFC 9457 problem details, for everything that is not a success.
 *
 * Handlers throw {@link Problematic} to leave early; it is the way out of a handler that the framework
 * gives, and it says nothing that the caller did not do.
 *
 * @module
 */
import { HTTPException } from "hono/http-exception";
import type { z } from "zod";
import type { Outcome, Refusal, RefusalKind } from "../kv/outcome.ts";
import type { Problem } from "../kv/schema/common.ts";
import { messageOf, storeFailure } from "../kv/store.ts";
import type { ApiLog } from "./deps.ts";

/** A problem on its way to the client. */
export class Problematic extends Error {
  override name = "Problematic";
  constructor(
    readonly problem: Problem,
    readonly headers: Record<string, string> = {},
  ) {
    super(problem.detail ?? problem.title);
  }
}

const TITLES: Record<RefusalKind, { status: number; title: string }> = {
  "not-found": { status: 404, title: "No such object" },
  "name-taken": { status: 409, title: "The name is taken" },
  "port-taken": { status: 409, title: "The port is taken" },
  "route-taken": { status: 409, title: "The route is taken" },
  "ambiguous": { status: 409, title: "The reference fits several objects" },
  "busy": { status: 409, title: "The object's state does not allow it now" },
  "changed": { status: 412, title: "The object changed since" },
  "key-reused": { status: 422, title: "The idempotency key stands for another request" },
  "too-large": { status: 413, title: "Too large" },
  "invalid": { status: 400, title: "The request is not valid" },
  "not-yours": { status: 403, title: "Not allowed" },
};

/** Makes a problem; `type` is the last part of its URI reference. */
export function problem(
  status: number,
  type: string,
  title: string,
  more: Omit<Problem, "status" | "type" | "title"> = {},
): Problem {
  return { type: `/problems/${type}`, title, status, ...more };
}

export function refusalProblem(refusal: Refusal): Problem {
  const { kind, ...more } = refusal;
  const { status, title } = TITLES[kind];
  return problem(status, kind, title, more);
}

/** The value of an outcome; a refusal leaves the handler. */
export function valueOf<T>(outcome: Outcome<T>): T {
  if (outcome.ok) return outcome.value;
  throw new Problematic(refusalProblem(outcome.refusal));
}

type Target = "json" | "query" | "header" | "param" | "form" | "cookie";
const FIELD_PREFIX: Record<Target, string> = {
  json: "",
  form: "",
  query: "query.",
  header: "header.",
  param: "path.",
  cookie: "cookie.",
};
const MAX_ERRORS = 50;

/** Every field that a schema refused, by its dotted path. */
export function validationProblem(target: Target, error: z.ZodError): Problem {
  const errors = error.issues.flatMap((issue) => {
    const field = FIELD_PREFIX[target] + issue.path.map(String).join(".");
    const keyIssues = issue.code === "invalid_key" || issue.code === "invalid_element"
      ? issue.issues
      : [];
    const message = keyIssues.map((inner) => inner.message).join("; ") || issue.message;
    return [{ field: field === "" ? "body" : field, message }];
  });
  return problem(400, "invalid", "The request is not valid", {
    detail: errors.length === 1 ? "1 field was refused" : `${errors.length} fields were refused`,
    hint: "Correct the fields in `errors`; /docs has the schema of every request.",
    errors: errors.slice(0, MAX_ERRORS),
  });
}

/** The dotted paths of what was sent and is in no schema: `parsed` is what the schema kept of `sent`. */
export function unreadFields(sent: unknown, parsed: unknown, path = ""): string[] {
  if (typeof sent !== "object" || sent === null) return [];
  if (typeof parsed !== "object" || parsed === null) return [];
  const kept = new Map(Object.entries(parsed));
  return Object.entries(sent).flatMap(([name, value]) => {
    const step = name === "" ? '""' : name;
    const field = path === "" ? step : `${path}.${step}`;
    return kept.has(name) ? unreadFields(value, kept.get(name), field) : [field];
  });
}

/** A misspelt field must not be taken for one that was left out. */
export function unknownFieldsProblem(fields: readonly string[]): Problem {
  const errors = fields.slice(0, MAX_ERRORS)
    .map((field) => ({ field, message: "there is no such field" }));
  return problem(400, "invalid", "The request is not valid", {
    detail: fields.length === 1 ? "1 field is unknown" : `${fields.length} fields are unknown`,
    hint: "Remove or correct the fields in `errors`; /docs has the schema of every request.",
    errors,
  });
}

const BY_STATUS: Record<number, { type: string; title: string; hint: string }> = {
  400: {
    type: "malformed",
    title: "The request cannot be read",
    hint: "Send one JSON value in UTF-8 as the body.",
  },
  415: {
    type: "media-type",
    title: "The body is of another type",
    hint: "Send JSON, with `Content-Type: application/json`.",
  },
};

/** The problem for whatever a handler threw. Bugs are logged with the id that the client is told. */
export function problemOf(
  error: unknown,
  context: { log: ApiLog; newId: () => string; request: string },
): Problematic {
  if (error instanceof Problematic) return error;
  if (error instanceof HTTPException) {
    const known = BY_STATUS[error.status];
    if (known) {
      const { type, title, hint } = known;
      return new Problematic(problem(error.status, type, title, { detail: error.message, hint }));
    }
  }
  const failure = storeFailure(error);
  if (failure?.kind === "too-large") {
    return new Problematic(problem(413, "too-large", "Too large", {
      detail: "the request does not fit into a row of the database",
      hint: "Send less.",
    }));
  }
  const id = context.newId();
  context.log.error("a request failed", {
    id,
    request: context.request,
    error: messageOf(error),
  });
  if (failure?.kind === "full") {
    return new Problematic(problem(507, "disk-full", "The database's disk is full", {
      detail: "nothing was written",
      hint: "Make room on the server's disk and repeat the request.",
    }));
  }
  if (failure) {
    return new Problematic(
      problem(503, "unavailable", "The database does not answer", {
        detail: `the request was not carried out, or its outcome is unknown (${id})`,
        hint: "Repeat the request, with the same Idempotency-Key if it is a write.",
      }),
      { "retry-after": "1" },
    );
  }
  context.log.error("the failed request's stack", {
    id,
    stack: error instanceof Error ? error.stack : undefined,
  });
  return new Problematic(problem(500, "internal", "Something went wrong in Berth", {
    detail: `the server's log has the details under ${id}`,
    hint: "This is a bug: please report it with that log entry.",
  }));
}

/** The answer that carries a problem; `url` is the request's. */
export function problemResponse({ problem, headers }: Problematic, url: string): Response {
  return new Response(JSON.stringify({ ...problem, instance: new URL(url).pathname }), {
    status: problem.status,
    headers: {
      "content-type": "application/problem+json",
      "cache-control": "no-store",
      ...headers,
    },
  });
}
