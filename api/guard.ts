/**
 * What every route asks before its handler runs: who is it, and can the body be read.
 *
 * @module
 */
import type { RouteConfig } from "@hono/zod-openapi";
import type { Context, MiddlewareHandler } from "hono";
import type { Once } from "../kv/idempotency.ts";
import type { TokenKind } from "../kv/schema/control.ts";
import type { Clock } from "../kv/schema/time.ts";
import type { WriteOptions } from "../kv/services.ts";
import { sha256Hex } from "../kv/tokens.ts";
import type { ApiEnv, Rooms } from "./deps.ts";
import { problem, Problematic } from "./problems.ts";

export const MAX_BODY_BYTES = 1024 * 1024;

/** Adds to a route the checks that its own definition asks for: token, content type, size, JSON. */
export function guarded<R extends RouteConfig>(
  rooms: Pick<Rooms, "tokens">,
  route: R,
): R & { middleware: MiddlewareHandler<ApiEnv>[] } {
  const middleware: MiddlewareHandler<ApiEnv>[] = [
    async (c, next) => {
      c.set("route", route.path);
      c.header("cache-control", "no-store");
      await next();
    },
  ];
  const kinds = kindsOf(route);
  if (kinds) middleware.push(authenticate(rooms, kinds));
  if (route.request?.body) middleware.push(jsonBody(route.request.body.required === true));
  return { ...route, middleware };
}

/** The token kinds of a route's `security`; `undefined` for a public route. */
export function kindsOf(route: Pick<RouteConfig, "security">): TokenKind[] | undefined {
  const kinds = route.security?.[0]?.bearer;
  return kinds as TokenKind[] | undefined;
}

function authenticate(
  { tokens }: Pick<Rooms, "tokens">,
  kinds: readonly TokenKind[],
): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    const header = c.req.header("authorization");
    const plain = /^Bearer +(\S+) *$/i.exec(header ?? "")?.[1];
    const token = plain === undefined ? undefined : await tokens.find(plain);
    if (!token) throw unauthorised(header);
    if (!kinds.includes(token.kind)) throw wrongKind(token.kind, kinds);
    if (token.kind === "node" && c.req.param("id") !== token.nodeId) {
      throw new Problematic(problem(403, "not-yours", "Not allowed", {
        detail: "a node's credential is good for that node only",
        hint: "Each agent uses the credential that it was given when it joined.",
      }));
    }
    c.set("token", token);
    await next();
  };
}

function unauthorised(header: string | undefined): Problematic {
  const problem401 = problem(401, "unauthorised", "Who are you?", {
    detail: header === undefined
      ? "the request carries no token"
      : "the token is not one of this cluster",
    hint: "Send `Authorization: Bearer TOKEN`. The CLI takes --token, BERTH_TOKEN or a context.",
  });
  const challenge = header === undefined
    ? 'Bearer realm="berth"'
    : 'Bearer realm="berth", error="invalid_token"';
  return new Problematic(problem401, { "www-authenticate": challenge });
}

function wrongKind(kind: TokenKind, kinds: readonly TokenKind[]): Problematic {
  const names: Record<TokenKind, string> = {
    admin: "an admin token",
    join: "a join token",
    node: "the node's own credential",
  };
  return new Problematic(problem(403, "not-yours", "Not allowed", {
    detail: `${names[kind]} is not good for this`,
    hint: `Use ${kinds.map((k) => names[k]).join(" or ")}.`,
  }));
}

/** Reads the body once, within bounds, and leaves it for the validator. */
function jsonBody(required: boolean): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    const type = c.req.header("content-type");
    if (type === undefined ? required : !/^application\/([a-z.-]+\+)?json *(;|$)/i.test(type)) {
      await c.req.raw.body?.cancel();
      throw new Problematic(problem(415, "media-type", "The body is of another type", {
        detail: type === undefined ? "the request names no Content-Type" : `it is ${type}`,
        hint: "Send JSON, with `Content-Type: application/json`.",
      }));
    }
    const text = await readText(c.req.raw);
    if (type !== undefined) checkJson(text);
    c.set("bodyText", text);
    // The validator, and whoever else asks for the body, finds it here (the type there says less).
    Object.assign(c.req.bodyCache, { text: Promise.resolve(text) });
    await next();
  };
}

function checkJson(text: string): void {
  try {
    JSON.parse(text);
  } catch (error) {
    // The parser quotes what it read, which may be a secret.
    const at = /at position \d+|end of (JSON )?input/.exec(String(error))?.[0];
    throw malformed(`the body is not JSON${at === undefined ? "" : `: see ${at}`}`);
  }
}

function malformed(detail: string): Problematic {
  return new Problematic(problem(400, "malformed", "The request cannot be read", {
    detail,
    hint: "Send one JSON value in UTF-8 as the body.",
    errors: [{ field: "body", message: "must be JSON in UTF-8" }],
  }));
}

function decode(bytes: ArrayBuffer): string {
  return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
}

async function readText(request: Request): Promise<string> {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  const tooLarge = () =>
    new Problematic(problem(413, "too-large", "Too large", {
      detail: `the body is over ${MAX_BODY_BYTES} bytes`,
      hint: "Send less at once.",
    }));
  const announced = request.headers.get("content-length");
  if (Number(announced ?? 0) > MAX_BODY_BYTES) {
    await request.body?.cancel();
    throw tooLarge();
  }
  try {
    // No more comes than was announced: there is nothing to count on the way.
    if (announced !== null) return decode(await request.arrayBuffer());
    // Leaving the loop early cancels the stream.
    for await (const chunk of request.body ?? []) {
      size += chunk.byteLength;
      if (size > MAX_BODY_BYTES) throw tooLarge();
      chunks.push(chunk);
    }
    return decode(await new Blob(chunks).arrayBuffer());
  } catch (error) {
    if (error instanceof Problematic) throw error;
    throw malformed(
      error instanceof TypeError ? "the body is not UTF-8" : "the body ended early",
    );
  }
}

/** What the headers of a write say: its precondition, and whether it is a repetition. */
export async function writeOptions(c: Context<ApiEnv>, clock: Clock): Promise<WriteOptions> {
  const ifMatch = c.req.header("if-match");
  const once = await onceOf(c, clock);
  return {
    ...(ifMatch === undefined ? {} : { ifMatch: versionOf(ifMatch) }),
    ...(once ? { once } : {}),
  };
}

/**
 * The request's idempotency key, with the hash that tells it from other requests. The hash is stored: for
 * a body that holds a secret it must be one that tells nothing of it.
 */
export async function onceOf(
  c: Context<ApiEnv>,
  clock: Clock,
  hash: (text: string) => Promise<string> = sha256Hex,
): Promise<Once | undefined> {
  const idempotencyKey = c.req.header("idempotency-key");
  if (idempotencyKey === undefined) return undefined;
  const { pathname, search } = new URL(c.req.url);
  const body = c.get("bodyText") ?? "";
  return {
    tokenId: c.get("token").id,
    key: idempotencyKey,
    request: await hash(`${c.req.method} ${pathname}${search}\n${body}`),
    wallMs: clock.wallMs(),
  };
}

/** An entity tag, or a bare versionstamp. */
function versionOf(header: string): string {
  return header.replace(/^"(.*)"$/, "$1");
}
