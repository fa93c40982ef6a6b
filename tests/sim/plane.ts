/**
 * One replica of the control plane: the real API app, ticker, log feed, beat collector and row cache, put
 * together as api/server/control_plane.ts does it, in a process that may die and is started again. A single
 * replica has the database to itself.
 *
 * @module
 */
import { type Api, createApp } from "../../api/app.ts";
import { createBeatCollector, createLocalBeats } from "../../kv/beats.ts";
import { cacheRows } from "../../kv/cached.ts";
import { initCluster } from "../../kv/cluster.ts";
import { createLogFeed } from "../../kv/log.ts";
import type { Clock } from "../../kv/schema/time.ts";
import { messageOf } from "../../kv/store.ts";
import { ensureAdminToken } from "../../kv/tokens.ts";
import { finishRotations } from "../../kv/rotation.ts";
import { liveTasks } from "../../scheduler/live_tasks.ts";
import { loadWorld } from "../../scheduler/load.ts";
import { createTicker } from "../../scheduler/tick.ts";
import type { Endpoint } from "./network.ts";
import { pathOf } from "./paths.ts";
import { Machine, Process } from "./process.ts";
import type { Sim } from "./sim.ts";
import { SIM_VAULT } from "./vault.ts";

export const NODE_TTL_MS = 6_000;
const LEADER_TTL_MS = 4_000;
const SETTINGS_MS = 10_000;

export class Replica {
  process: Process | undefined;
  /** What the process was known as to the database. */
  replicaId: string | undefined;
  /** Nobody reaches it until then, in virtual ms. */
  hiddenUntilMs = 0;
  #api: Api | undefined;
  #turn: (() => Promise<void>) | undefined;
  #starts = 0;
  readonly machine: Machine;

  constructor(readonly name: string, private readonly sim: Sim) {
    this.machine = { name, wallErrorMs: sim.random("machines").between(-2000, 2000) };
  }

  /** Where requests may go; absent while it is down or not ready. */
  get endpoint(): Endpoint | undefined {
    const { process } = this;
    const api = this.#api;
    if (!process?.alive || !api) return undefined;
    const { hiddenUntilMs } = this;
    return {
      process,
      replica: this.name,
      hiddenUntilMs,
      fetch: (request) => this.#serve(api, request),
    };
  }

  /** Starts a new process; starts it again when the start fails. */
  start(): void {
    const { sim } = this;
    if (this.process?.alive) return;
    const process = sim.spawn(`${this.name}/${++this.#starts}`, this.machine);
    this.process = process;
    this.#boot(process).catch((error) => {
      sim.note(`${process.name} cannot start: ${messageOf(error)}`);
      process.die("its start failed");
    });
    process.death.signal.addEventListener("abort", () => {
      this.#api = undefined;
      sim.restartLater(this.name, () => this.start());
    }, { once: true });
  }

  /** As the control plane does it: request-driven, the leader's turn comes after each request. */
  async #serve(api: Api, request: Request): Promise<Response> {
    const response = await api.fetch(request);
    await this.#turn?.();
    const { tamperServe } = this.sim;
    if (!tamperServe || response.status === 204) return response;
    const { status, headers } = response;
    const path = pathOf(request.url);
    const served = { status, body: await response.text() };
    const told = tamperServe({ method: request.method, path, status }, served);
    return new Response(told.body, { status: told.status, headers });
  }

  /** Whether its process leads, as far as it knows. */
  leads: () => boolean = () => false;

  async #boot(process: Process): Promise<void> {
    const { sim } = this;
    const { clock, name } = process;
    const store = sim.database.open(process);
    const { exclusive } = sim;
    const cache = exclusive ? cacheRows(store) : undefined;
    const kv = cache?.direct ?? store;
    const newId = sim.idsFor(process);
    const replicaId = newId();
    this.replicaId = replicaId;
    const random = sim.random(`tokens ${name}`);
    const randomToken = () =>
      Array.from({ length: 43 }, () => random.int(36).toString(36)).join("");
    const log = (level: string, message: string, fields: object = {}) =>
      sim.log(process, level, message, fields);
    const cluster = await initCluster(kv, { newId, wallMs: clock.wallMs() });
    if (!cluster.ok) throw new Error(cluster.problem);
    const adminToken = await ensureAdminToken({ kv, clock, newId, randomToken });
    if (adminToken !== undefined) sim.user.token = adminToken;
    const warn = (what: string, error: unknown) =>
      log("warn", `${what} failed`, { error: messageOf(error) });
    const onError = (error: unknown) => warn("writing beats", error);
    const feed = await createLogFeed({ kv, clock });
    const local = exclusive ? createLocalBeats(clock) : undefined;
    const shared = createBeatCollector({ kv, clock, replicaId, onError });
    const ticker = createTicker({
      ...{ kv, clock, newId, log, replicaId, exclusive },
      ...(local ? { beats: local } : {}),
      nodeTtlMs: sim.leadersNodeTtlMs ?? NODE_TTL_MS,
      leaderTtlMs: LEADER_TTL_MS,
      historyLimit: 3,
      logLimit: 200,
      onLogged: feed.offer,
    });
    this.#api = createApp({
      vault: SIM_VAULT,
      ...{ kv: cache?.cached ?? store, clock, newId, randomToken, feed, replicaId },
      ...(cache ? { trackRows: cache.track } : {}),
      beats: local ?? shared,
      log: { error: (message, fields) => log("warn", message, fields) },
      version: "sim",
      nodeTtlMs: NODE_TTL_MS,
      ...(sim.answersFromRows ? {} : { liveAssigned: ticker.assigned }),
      liveTasks: () => {
        const world = ticker.world();
        return world && liveTasks(world);
      },
      loadWorld: async () =>
        ticker.world() ??
          await loadWorld(
            kv,
            clock.monoMs(),
            (row, problem) => log("warn", "row left out", { row, problem }),
          ),
      leader: () => {
        const lease = ticker.lease();
        return { epoch: lease?.epoch ?? 0, self: lease !== undefined };
      },
    });
    this.leads = () => process.alive && ticker.lease() !== undefined;
    const resident = sim.mode === "resident";
    this.#turn = resident
      ? undefined
      : () => shared.flush().then(async () => void await ticker.tick());
    sim.onEnd(this.#api);
    sim.note(`${name} is up`);
    const { signal } = process.stop;
    const settle = () => finishRotations({ kv, clock, newId });
    const loops = [
      feed.run(signal),
      every(clock, signal, () => settle().catch((error) => warn("finishing rotations", error))),
      ...(local ? [] : [shared.run(signal)]),
    ];
    if (resident) loops.push(ticker.run(signal));
    Promise.all(loops).then(
      () => process.die("it ended as asked"),
      (error) => sim.bug(`${name}: a loop of the control plane threw`, error),
    );
  }
}

async function every(clock: Clock, signal: AbortSignal, run: () => Promise<void>): Promise<void> {
  while (!signal.aborted) {
    await run();
    await clock.sleep(SETTINGS_MS, signal);
  }
}
