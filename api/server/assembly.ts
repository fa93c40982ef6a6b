/**
 * A control plane on an open database: the API, the leader's tick, and what runs beside them. The server has
 * one in its process, the simulation one in each of its replicas.
 *
 * Resident: the tick runs in a watch loop. Request-driven: it runs after requests.
 *
 * @module
 */
import { type Api, type ApiDeps, createApp } from "../app.ts";
import { type BeatCollector, createBeatCollector, createLocalBeats } from "../../kv/beats.ts";
import { key } from "../../kv/keys.ts";
import { createLogFeed, type LogFeed } from "../../kv/log.ts";
import { finishRotations } from "../../kv/rotation.ts";
import { LeaderBeat } from "../../kv/schema/control.ts";
import type { Clock } from "../../kv/schema/time.ts";
import { getRow, messageOf } from "../../kv/store.ts";
import { liveTasks } from "../../scheduler/live_tasks.ts";
import { loadWorld } from "../../scheduler/load.ts";
import type { Log, TickDeps } from "../../scheduler/term.ts";
import { createTicker, type Ticker } from "../../scheduler/tick.ts";
import type { Database } from "./database.ts";

const SETTINGS_MS = 10_000;

type ForApi = "clock" | "newId" | "randomToken" | "replicaId" | "vault" | "version";
type OfApi = "cpuSeconds" | "publicUrl" | "playground";
type ForTick = "exclusive" | "nodeTtlMs" | "leaderTtlMs" | "historyLimit" | "logLimit";

export interface PlaneDeps
  extends
    Pick<ApiDeps, ForApi>,
    Partial<Pick<ApiDeps, OfApi>>,
    Pick<TickDeps, ForTick>,
    Pick<TickDeps, "breathe"> {
  rows: Database["rows"];
  log: Log;
  resident: boolean;
  /** Makes the API; absent: as it is. */
  createApi?: (deps: ApiDeps) => Api;
}

export interface Plane {
  api: Api;
  ticker: Ticker;
  /** Request-driven: the leader's turn, which comes after each request. */
  turn?: () => Promise<void>;
  /** Does what a control plane does without being asked; each ends when the signal aborts. */
  run(signal: AbortSignal): Promise<void>[];
}

/** Wires the rooms together. Nothing runs before `run`; the answer's owner closes the API. */
export async function assemble(deps: PlaneDeps): Promise<Plane> {
  const { rows, log, resident, clock, newId, replicaId, exclusive } = deps;
  const kv = rows.direct;
  const onError: OnError = (what) => (error) =>
    log("error", `${what} failed`, { error: messageOf(error) });
  const feed = await createLogFeed({ kv, clock });
  const local = exclusive ? createLocalBeats(clock) : undefined;
  const shared = createBeatCollector({ kv, clock, replicaId, onError: onError("writing beats") });
  const ticker = createTicker({
    ...deps,
    kv,
    ...(local ? { beats: local } : {}),
    onLogged: feed.offer,
  });
  const leader = createLeaderViews(ticker, deps);
  const { randomToken, vault, version, cpuSeconds, publicUrl, playground } = deps;
  const api = (deps.createApi ?? createApp)({
    ...{ kv: rows.cached, clock, newId, randomToken, feed, replicaId, vault, version },
    ...leader.views,
    beats: local ?? shared,
    log: { error: (message, fields) => log("error", message, fields) },
    ...(cpuSeconds === undefined ? {} : { cpuSeconds }),
    ...(publicUrl === undefined ? {} : { publicUrl }),
    ...(playground === undefined ? {} : { playground }),
    ...(rows.track ? { trackRows: rows.track } : {}),
  });
  return {
    api,
    ticker,
    ...(resident ? {} : {
      turn: async () => {
        await shared.flush();
        await ticker.tick();
      },
    }),
    run: (signal) =>
      startLoops(signal, {
        ...{ clock, feed, onError, refresh: leader.refresh },
        settle: () => finishRotations({ kv, clock, newId }),
        ...(local ? {} : { shared }),
        ...(resident ? { ticker } : {}),
      }),
  };
}

type OnError = (what: string) => (error: unknown) => void;

/** What the API is told of the leader: from its world in this process, else from what it stored. */
function createLeaderViews(
  ticker: Ticker,
  { rows: { direct: kv }, clock, log, nodeTtlMs }: PlaneDeps,
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
