/**
 * From a request to a client's WebSocket, and its first frame, which says what it wants.
 *
 * @module
 */
import type { Context } from "hono";
import { z } from "zod";
import { done, type Outcome, refuse } from "../kv/outcome.ts";
import type { Clock } from "../kv/schema/time.ts";
import type { ApiEnv } from "./deps.ts";
import { problem, Problematic } from "./problems.ts";
import { type Inbox, openInbox } from "./relay.ts";

/** How long a client may take to say what it wants, in ms. */
const FIRST_FRAME_MS = 10_000;
/** Pings find out about peers that vanished, in seconds. */
const IDLE_SECONDS = 30;

export function requireUpgrade(c: Context<ApiEnv>): void {
  if (c.req.header("upgrade")?.toLowerCase() === "websocket") return;
  throw new Problematic(
    problem(426, "upgrade-required", "This needs a WebSocket", {
      detail: "the request is not a WebSocket upgrade",
      hint: "Use `berth logs` or `berth exec`, or a WebSocket client.",
    }),
    { upgrade: "websocket", connection: "upgrade" },
  );
}

export function upgrade(c: Context<ApiEnv>): { inbox: Inbox; response: Response } {
  requireUpgrade(c);
  const protocol = c.req.header("sec-websocket-protocol")?.split(",")[0]?.trim();
  try {
    const { socket, response } = Deno.upgradeWebSocket(c.req.raw, {
      idleTimeout: IDLE_SECONDS,
      ...(protocol ? { protocol } : {}),
    });
    return { inbox: openInbox(socket), response };
  } catch (error) {
    // Headers that are not a handshake.
    if (!(error instanceof TypeError)) throw error;
    throw new Problematic(problem(400, "malformed", "The request cannot be read", {
      detail: `the WebSocket handshake is broken: ${error.message}`,
      hint: "Use a WebSocket client.",
      errors: [{ field: "header.upgrade", message: "must come with the rest of the handshake" }],
    }));
  }
}

/** The first text frame; undefined when there is none in time. */
export async function firstText(clock: Clock, client: Inbox): Promise<string | undefined> {
  const late = new AbortController();
  const patience = new AbortController();
  void clock.sleep(FIRST_FRAME_MS, patience.signal).then(() => late.abort());
  const frame = await client.first(late.signal);
  patience.abort();
  return frame;
}

export function parseFrame<S extends z.ZodType>(
  frame: string | undefined,
  schema: S,
): Outcome<z.output<S>> {
  if (frame === undefined) {
    return refuse("invalid", "the first frame must be text: the JSON of the options");
  }
  let value: unknown;
  try {
    value = JSON.parse(frame);
  } catch {
    return refuse("invalid", "the first frame is not JSON");
  }
  const parsed = schema.safeParse(value);
  return parsed.success ? done(parsed.data) : refuse("invalid", z.prettifyError(parsed.error));
}

export async function firstFrame<S extends z.ZodType>(
  clock: Clock,
  client: Inbox,
  schema: S,
): Promise<Outcome<z.output<S>>> {
  return parseFrame(await firstText(clock, client), schema);
}

/** A refusal as one sentence. */
export function sentence({ refusal }: { refusal: { detail: string; hint?: string } }): string {
  return refusal.hint === undefined ? refusal.detail : `${refusal.detail}. ${refusal.hint}`;
}
