/**
 * The control plane of a server: on the database that its configuration names, with the machine's clock.
 *
 * @module
 */
import { monotonicFactory } from "ulid";
import type { ApiDeps } from "../app.ts";
import { systemClock } from "../../kv/schema/time.ts";
import type { Log } from "../../scheduler/term.ts";
import { assemble } from "./assembly.ts";
import type { Answer, ServerConfig } from "./config.ts";
import { openDatabase } from "./database.ts";

const LEADER_TTL_MS = 5000;

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
  const breath = createBreath();
  const plane = await assemble({
    ...{ rows, exclusive, vault, clock, newId, randomToken, log, version, cpuSeconds },
    replicaId: newId(),
    nodeTtlMs: config.nodeTtlMs,
    leaderTtlMs: LEADER_TTL_MS,
    historyLimit: 5,
    logLimit: 10_000,
    resident: config.resident,
    breathe: breath.take,
    ...(config.publicUrl ? { publicUrl: config.publicUrl } : {}),
    playground: config.playground,
  });
  const { api, turn } = plane;
  const stop = new AbortController();
  const loops = plane.run(stop.signal);
  const fetch = (request: Request): Promise<Response> => {
    breath.want();
    return api.fetch(request);
  };
  return {
    ok: true,
    value: {
      // Held polls wait in it by the thousands: nothing is wrapped around it that need not be.
      fetch: turn === undefined ? fetch : async (request) => {
        const response = await fetch(request);
        await turn();
        return response;
      },
      ...(adminToken === undefined ? {} : { adminToken }),
      async close() {
        stop.abort();
        await api.close();
        await Promise.all(loops);
        database.close();
      },
    },
  };
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
