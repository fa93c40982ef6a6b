/**
 * Pieces that the definitions of routes share.
 *
 * @module
 */
import { z } from "zod";
import { DurationMs, Id, Name, Problem } from "../kv/schema/common.ts";
import type { TokenKind } from "../kv/schema/control.ts";

/**
 * Who may call a route, in the words of OpenAPI: the roles that its bearer scheme asks for. `node` is
 * the credential of the very node in the path.
 */
export function access(...kinds: TokenKind[]): { security: { bearer: string[] }[] } {
  return { security: [{ bearer: kinds }] };
}

/** Nobody is asked who they are. */
export const PUBLIC: { security: Record<string, string[]>[] } = { security: [] };

export function json<T extends z.ZodType>(description: string, schema: T) {
  return { description, content: { "application/json": { schema } } };
}

export function jsonRequest<T extends z.ZodType>(schema: T) {
  return { required: true as const, content: { "application/json": { schema } } };
}

const PROBLEMS = {
  400: "The request is not valid; `errors` names the fields",
  401: "No token, or one that is not of this cluster",
  403: "The token is not good for this",
  404: "No such object",
  409: "The state of the object, or of its name, does not allow it",
  412: "The object is not at the version named by `If-Match`",
  413: "The body, or what would be stored, is too large",
  415: "The body is not JSON",
  422: "The `Idempotency-Key` stands for another request",
  426: "The request is not a WebSocket upgrade",
  503: "The database or the leader does not answer",
} as const;
export type ProblemStatus = keyof typeof PROBLEMS;

const problemContent = { "application/problem+json": { schema: Problem } };
interface ProblemResponse {
  description: string;
  content: typeof problemContent;
}

/** The problems that a route may answer, as responses. */
export function problems<const S extends ProblemStatus>(
  ...statuses: S[]
): Record<S, ProblemResponse> {
  return Object.fromEntries(
    statuses.map((status): [S, ProblemResponse] => [
      status,
      { description: PROBLEMS[status], content: problemContent },
    ]),
  ) as Record<S, ProblemResponse>;
}

export const LimitQuery = z.coerce.number().pipe(z.int().min(1).max(500)).default(100)
  .meta({ description: "Items a page", type: "integer", minimum: 1, maximum: 500, default: 100 });
export const CursorQuery = z.string().max(512).optional()
  .meta({ description: "`next` of the previous page" });
export const ProjectQuery = Name.default("default")
  .meta({ description: "Project in which names are looked up" });

/** A service, node or task, by id or name; what it may be exactly is the operation's to say. */
const Ref = z.string().regex(/^[a-z0-9][a-z0-9.-]{0,127}$/, "must be an id or a name");

export const RefParam = z.object({
  ref: Ref.meta({ description: "Id or name", param: { name: "ref", in: "path" } }),
});
export const TaskRefParam = z.object({
  ref: Ref.meta({
    description: "Id, the last 6 or more characters of it, or `service.slot`",
    examples: ["web.1"],
    param: { name: "ref", in: "path" },
  }),
});
export const NodeIdParam = z.object({
  id: Id.meta({ description: "The node's id", param: { name: "id", in: "path" } }),
});

const IfMatch = z.string().regex(/^(\*|(W\/)?"?[0-9A-Za-z]{1,64}"?)$/, "must be one entity tag")
  .optional()
  .meta({
    description: "Versionstamp that the change is based on; without it the last write wins",
  });
const IdempotencyKey = z.string().regex(/^[\x21-\x7e]{1,128}$/, "must be 1 to 128 printable chars")
  .optional()
  .meta({ description: "Makes a repeated request the same request" });

export const OnceHeaders = z.object({ "idempotency-key": IdempotencyKey });
export const ChangeHeaders = z.object({ "if-match": IfMatch, "idempotency-key": IdempotencyKey });

/** Milliseconds in a query. */
export const HoldQuery = z.coerce.number().pipe(DurationMs).optional()
  .meta({ description: "How long the answer may be held, in ms", type: "integer", minimum: 0 });

/** Answer headers of a single object. */
export function objectHeaders(
  written: { value: { version: string }; replay?: number },
): Record<string, string> {
  return { etag: `"${written.value.version}"`, ...replayHeaders(written) };
}

/** Says that the answer is to a repetition. */
export function replayHeaders({ replay }: { replay?: number }): Record<string, string> {
  return replay === undefined ? {} : { "idempotent-replay": "true" };
}
