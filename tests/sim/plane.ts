/**
 * One replica of the control plane: the real one (api/server/assembly.ts), in a process that may die and is
 * started again. A single replica has the database to itself.
 *
 * @module
 */
import { type Api, type ApiDeps, createApp } from "../../api/app.ts";
import { assemble } from "../../api/server/assembly.ts";
import { cacheRows } from "../../kv/cached.ts";
import { initCluster } from "../../kv/cluster.ts";
import { messageOf } from "../../kv/store.ts";
import { ensureAdminToken } from "../../kv/tokens.ts";
import type { Endpoint } from "./network.ts";
import { pathOf } from "./paths.ts";
import { Machine, Process } from "./process.ts";
import type { Sim } from "./sim.ts";
import { SIM_VAULT } from "./vault.ts";

export const NODE_TTL_MS = 6_000;
const LEADER_TTL_MS = 4_000;

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
    const plane = await assemble({
      ...{ clock, newId, randomToken, log, replicaId, exclusive, vault: SIM_VAULT },
      rows: cache ?? { direct: store, cached: store },
      version: "sim",
      nodeTtlMs: sim.leadersNodeTtlMs ?? NODE_TTL_MS,
      leaderTtlMs: LEADER_TTL_MS,
      historyLimit: 3,
      logLimit: 200,
      resident: sim.mode === "resident",
      createApi: (deps) => createApp({ ...deps, ...plantedIn(sim) }),
    });
    const { api, ticker } = plane;
    this.#api = api;
    this.leads = () => process.alive && ticker.lease() !== undefined;
    this.#turn = plane.turn;
    sim.onEnd(api);
    sim.note(`${name} is up`);
    const loops = plane.run(process.stop.signal);
    Promise.all(loops).then(
      () => process.die("it ended as asked"),
      (error) => sim.bug(`${name}: a loop of the control plane threw`, error),
    );
  }
}

/** What planted bugs change of what the API is given. */
function plantedIn({ leadersNodeTtlMs, answersFromRows }: Sim): Partial<ApiDeps> {
  return {
    ...(leadersNodeTtlMs === undefined ? {} : { nodeTtlMs: NODE_TTL_MS }),
    ...(answersFromRows ? { liveAssigned: () => undefined } : {}),
  };
}
