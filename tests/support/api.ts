/**
 * The real API over a memory database, for one test.
 *
 * @module
 */
import { type Api, type ApiDeps, createApp } from "../../api/app.ts";
import { type Client, createClient, type Result } from "../../api/client.ts";
import { initCluster } from "../../kv/cluster.ts";
import { createLogFeed, type LogFeed } from "../../kv/log.ts";
import type { Problem } from "../../kv/schema/common.ts";
import { type Clock, systemClock } from "../../kv/schema/time.ts";
import type { Kv } from "../../kv/store.ts";
import { createToken, ensureAdminToken } from "../../kv/tokens.ts";
import { loadWorld } from "../../scheduler/load.ts";
import { countingIds } from "./ids.ts";
import { withKv } from "./kv.ts";
import { TEST_VAULT } from "./vault.ts";

export interface TestApi {
  api: Api;
  kv: Kv;
  feed: LogFeed;
  newId: () => string;
  admin: string;
  join: string;
  /** Nodes that beat, in order. */
  beats: string[];
  /** What was logged as an unexpected error. */
  errors: { message: string; fields: Record<string, unknown> }[];
  client(token?: string): Client;
  /** One raw request. `body` is sent as JSON unless it is a string. */
  send(method: string, path: string, init?: SendInit): Promise<Response>;
}

export interface SendInit {
  /** Defaults to the admin token; `null` sends none. */
  token?: string | null;
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

const ORIGIN = "http://berth.test";

export async function withApi(
  run: (t: TestApi) => Promise<void>,
  options: { clock?: Clock; deps?: Partial<ApiDeps>; wrapKv?: (kv: Kv) => Kv } = {},
): Promise<void> {
  await withKv(async (raw) => {
    const kv = options.wrapKv?.(raw) ?? raw;
    const clock = options.clock ?? systemClock;
    const newId = countingIds(1_000_000);
    let tokens = 0;
    const randomToken = () => `token-${++tokens}`;
    await initCluster(kv, { newId, wallMs: clock.wallMs() });
    const auth = { kv, clock, newId, randomToken };
    const admin = await ensureAdminToken(auth) ?? "";
    const join = await createToken(auth, "join");
    const stop = new AbortController();
    const feed = await createLogFeed({ kv, clock: systemClock });
    const following = feed.run(stop.signal);
    const beats: string[] = [];
    const errors: TestApi["errors"] = [];
    const api = createApp({
      ...auth,
      vault: TEST_VAULT,
      feed,
      beats: { beat: (nodeId) => void beats.push(nodeId), recordedMs: () => clock.monoMs() },
      log: { error: (message, fields) => void errors.push({ message, fields }) },
      loadWorld: () => loadWorld(kv, 0, () => {}),
      leader: () => ({ epoch: 1, self: true }),
      version: "0.0.0-test",
      replicaId: newId(),
      nodeTtlMs: 6000,
      ...options.deps,
    });
    try {
      await run({
        ...{ api, kv, feed, newId, admin, join, beats, errors },
        client: (token = admin) => createClient({ url: ORIGIN, token, fetch: api.fetch }),
        send: (method, path, init = {}) => api.fetch(requestOf(method, path, admin, init)),
      });
    } finally {
      await api.close();
      stop.abort();
      await following;
    }
  });
}

function requestOf(method: string, path: string, admin: string, init: SendInit): Request {
  const headers = new Headers(init.headers);
  const token = init.token === undefined ? admin : init.token;
  if (token !== null) headers.set("authorization", `Bearer ${token}`);
  const { body } = init;
  if (body !== undefined && !headers.has("content-type")) {
    headers.set("content-type", "application/json");
  }
  return new Request(new URL(path, ORIGIN), {
    method,
    headers,
    ...(init.signal ? { signal: init.signal } : {}),
    ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
  });
}

/** The value of a client's call; fails the test on an error. */
export function okValue<T>(result: Result<T>): T {
  if (result.ok) return result.value;
  throw new Error(`expected a value, got ${JSON.stringify(result.error)}`);
}

/** The problem of a client's call; fails the test on a value. */
export function problemOf(result: Result<unknown>): Problem {
  if (!result.ok && result.error.kind === "problem") return result.error.problem;
  throw new Error(`expected a problem, got ${JSON.stringify(result)}`);
}
