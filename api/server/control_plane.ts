/**
 * One control plane: the API, the leader's tick and what runs beside them, put together on a database.
 *
 * Resident: the tick runs in a watch loop. Request-driven: it runs after requests.
 *
 * @module
 */
import { monotonicFactory } from "ulid";
import { type ApiDeps, createApp } from "../app.ts";
import { type BeatCollector, createBeatCollector, createLocalBeats } from "../../kv/beats.ts";
import { key } from "../../kv/keys.ts";
import { createLogFeed, type LogFeed } from "../../kv/log.ts";
import { finishRotations } from "../../kv/rotation.ts";
import { LeaderBeat } from "../../kv/schema/control.ts";
import { type Clock, systemClock } from "../../kv/schema/time.ts";
import { getRow, type Kv, messageOf } from "../../kv/store.ts";
import { liveTasks } from "../../scheduler/live_tasks.ts";
import { loadWorld } from "../../scheduler/load.ts";
import type { Log } from "../../scheduler/term.ts";
import { createTicker, type Ticker } from "../../scheduler/tick.ts";
import type { Answer, ServerConfig } from "./config.ts";
import { openDatabase } from "./database.ts";

const LEADER_TTL_MS = 5000;
const SETTINGS_MS = 10_000;

export interface ControlPlane {
  fetch(request: Request): Promise<Response>;
  /** To be shown once: the admin token, when this start made it. */
  adminToken?: string;
  close(): Promise<void>;
}

/** What of the process a control plane needs. */
export interface Host extends Required<Pick<ApiDeps, "version" | "cpuSeconds">> {
  log: Log;
}

/** Opens the database and wires the rooms together. The answer's owner calls `close`. */
export async function startControlPlane(
  config: ServerConfig,
  { log, version, cpuSeconds }: Host,
): Promise<Answer<ControlPlane>> {
  const clock = systemClock;
  const ulid = monotonicFactory();
  const newId = () => ulid().toLowerCase();
  const opened = await openDatabase(config, { clock, newId, randomToken, log });
  if (!opened.ok) return opened;
  const { rows, exclusive, vault, adminToken, ...database } = opened.value;
  const kv = rows.direct;
  const replicaId = newId();
  const onError: OnError = (what) => (error) =>
    log("error", `${what} failed`, { error: messageOf(error) });
  const feed = await createLogFeed({ kv, clock });
  const local = exclusive ? createLocalBeats(clock) : undefined;
  const shared = createBeatCollector({ kv, clock, replicaId, onError: onError("writing beats") });
  const breath = createBreath();
  const ticker = createTicker({
    ...{ kv, clock, newId, log, replicaId, exclusive },
    nodeTtlMs: config.nodeTtlMs,
    leaderTtlMs: LEADER_TTL_MS,
    historyLimit: 5,
    logLimit: 10_000,
    breathe: breath.take,
    ...(local ? { beats: local } : {}),
    onLogged: feed.offer,
  });
  const leader = createLeaderViews(ticker, { kv, clock, log, nodeTtlMs: config.nodeTtlMs });
  const app = createApp({
    ...{ kv: rows.cached, clock, newId, randomToken, feed, replicaId, vault, version, cpuSeconds },
    ...leader.views,
    beats: local ?? shared,
    log: { error: (message, fields) => log("error", message, fields) },
    ...(config.publicUrl ? { publicUrl: config.publicUrl } : {}),
    playground: config.playground,
    ...(rows.track ? { trackRows: rows.track } : {}),
  });
  const stop = new AbortController();
  const loops = startLoops(stop.signal, {
    ...{ clock, feed, onError, refresh: leader.refresh },
    settle: () => finishRotations({ kv, clock, newId }),
    ...(local ? {} : { shared }),
    ...(config.resident ? { ticker } : {}),
  });
  const fetch = (request: Request): Promise<Response> => {
    breath.want();
    return app.fetch(request);
  };
  return {
    ok: true,
    value: {
      // Held polls wait in it by the thousands: nothing is wrapped around it that need not be.
      fetch: config.resident ? fetch : async (request) => {
        const response = await fetch(request);
        await shared.flush().then(() => ticker.tick());
        return response;
      },
      ...(adminToken === undefined ? {} : { adminToken }),
      async close() {
        stop.abort();
        await app.close();
        await Promise.all(loops);
        database.close();
      },
    },
  };
}

type OnError = (what: string) => (error: unknown) => void;

/** What the API is told of the leader: from its world in this process, else from what it stored. */
function createLeaderViews(
  ticker: Ticker,
  { kv, clock, log, nodeTtlMs }: { kv: Kv; clock: Clock; log: Log; nodeTtlMs: number },
) {
  let stored = { nodeTtlMs, epoch: 0 };
  const views = {
    nodeTtlMs: () => ticker.nodeTtlMs() ?? stored.nodeTtlMs,
    liveAssigned: ticker.assigned,
    liveTasks: () => {
      const world = ticker.world();
      return world && liveTasks(world);
    },
    loadWorld: async () =>
      ticker.world() ??
        await loadWorld(kv, clock.monoMs(), (row, problem) =>
          log("warn", "row left out", { row, problem })),
    leader: () => {
      const lease = ticker.lease();
      return { epoch: lease?.epoch ?? stored.epoch, self: lease !== undefined };
    },
  };
  /** Reads what another leader stored. */
  const refresh = async () => {
    const beat = await getRow(kv, key.leaderBeat(), LeaderBeat);
    if (beat) stored = beat.row;
  };
  return { views, refresh };
}

/** Runs what a control plane does without being asked; each ends when the signal aborts. */
function startLoops(
  signal: AbortSignal,
  { clock, feed, onError, settle, refresh, shared, ticker }: {
    clock: Clock;
    feed: LogFeed;
    onError: OnError;
    settle: () => Promise<void>;
    refresh: () => Promise<void>;
    shared?: BeatCollector;
    ticker?: Ticker;
  },
): Promise<void>[] {
  const every = async (what: string, run: () => Promise<void>) => {
    while (!signal.aborted) {
      await run().catch(onError(what));
      await clock.sleep(SETTINGS_MS, signal);
    }
  };
  return [
    feed.run(signal),
    every("finishing rotations", settle),
    ...(shared ? [shared.run(signal)] : []),
    every("reading the leader's row", refresh),
    ...(ticker ? [ticker.run(signal)] : []),
  ];
}

/**
 * Has the leader's work make room for requests, while there are any: the event loop looks at its sockets only
 * when it has nothing else to do, and the shortest wait that it knows is about a millisecond.
 */
function createBreath(): { want(): void; take(): Promise<void> } {
  let wanted = false;
  return {
    want: () => void (wanted = true),
    async take() {
      if (!wanted) return;
      wanted = false;
      await new Promise((resolve) => setTimeout(resolve, 0));
    },
  };
}

/** 256 random bits as base64url. */
function randomToken(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(32));
  return btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
