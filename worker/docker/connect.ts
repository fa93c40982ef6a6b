/**
 * Finding the container engine: DOCKER_HOST as the docker CLI reads it, else the usual sockets.
 *
 * @module
 */

import { engineSockets } from "../../kv/schema/engine_socket.ts";

/** Where an engine listens. `description` names it for people and says how it was found. */
export type EngineConnection =
  & { description: string }
  & (
    | { kind: "socket"; path: string }
    | { kind: "tcp"; host: string; port: number; tls?: EngineTls }
  );

/** PEM texts. Without a client certificate only the engine is authenticated. */
export interface EngineTls {
  ca?: string;
  cert?: string;
  key?: string;
}

export type EngineSearch = { ok: true; connection: EngineConnection } | {
  ok: false;
  /** One line: what was tried and how to get an engine. */
  message: string;
};

export interface EngineSearchDeps {
  env: { get(name: string): string | undefined };
  exists: (path: string) => Promise<boolean>;
  /** Reads a PEM file; throws when it cannot. */
  readText?: (path: string) => Promise<string>;
}

const REMEDY = "start one (Debian: apt-get install docker.io, then dockerd) or set DOCKER_HOST";

/**
 * Finds the engine. A DOCKER_HOST that cannot be used is an error, never a reason to look elsewhere.
 * Nothing is called: whether the engine answers is seen with the first call.
 */
export async function findEngine(deps: EngineSearchDeps): Promise<EngineSearch> {
  const host = deps.env.get("DOCKER_HOST");
  if (host) return await fromHost(host, deps);
  const tried = engineSockets((name) => deps.env.get(name));
  for (const { path, what } of tried) {
    if (await deps.exists(path)) {
      const description = `unix://${path} (${what})`;
      return { ok: true, connection: { kind: "socket", path, description } };
    }
  }
  const list = tried.map((candidate) => candidate.path).join(", ");
  return failed(
    `no container engine: DOCKER_HOST is not set and none of ${list} exists; ${REMEDY}`,
  );
}

async function fromHost(host: string, deps: EngineSearchDeps): Promise<EngineSearch> {
  if (host.startsWith("unix://")) {
    const path = host.slice("unix://".length);
    if (!path.startsWith("/")) return failed(`DOCKER_HOST=${host}: unix:// needs an absolute path`);
    if (!await deps.exists(path)) return failed(`DOCKER_HOST=${host}: no such socket; ${REMEDY}`);
    const description = `${host} (DOCKER_HOST)`;
    return { ok: true, connection: { kind: "socket", path, description } };
  }
  const scheme = /^(tcp|https?):\/\//.exec(host)?.[1];
  // The URL parser drops a port that is the scheme's default, so it is given a scheme without one.
  const address = scheme && URL.parse(host.replace(/^[a-z]+:/, "engine:"));
  if (!address || !address.hostname) {
    return failed(`DOCKER_HOST=${host}: must start with unix://, tcp://, http:// or https://`);
  }
  const secure = scheme === "https" || (scheme === "tcp" && !!deps.env.get("DOCKER_TLS_VERIFY"));
  const connection: EngineConnection = {
    kind: "tcp",
    host: address.hostname.replace(/^\[(.*)\]$/, "$1"),
    port: Number(address.port) || (secure ? 2376 : 2375),
    description: `${host} (DOCKER_HOST${secure ? ", TLS" : ""})`,
  };
  if (!secure) return { ok: true, connection };
  const tls = await readTls(deps);
  return tls.ok ? { ok: true, connection: { ...connection, tls: tls.tls } } : tls;
}

async function readTls(
  { env, exists, readText = Deno.readTextFile }: EngineSearchDeps,
): Promise<{ ok: true; tls: EngineTls } | { ok: false; message: string }> {
  const home = env.get("HOME");
  const dir = env.get("DOCKER_CERT_PATH") || (home ? `${home}/.docker` : undefined);
  const tls: EngineTls = {};
  if (dir === undefined) return { ok: true, tls };
  for (const part of ["ca", "cert", "key"] as const) {
    const path = `${dir}/${part}.pem`;
    if (!await exists(path)) continue;
    try {
      tls[part] = await readText(path);
    } catch (error) {
      const cause = error instanceof Error ? error.message : String(error);
      return failed(`cannot read the engine's TLS file ${path}: ${cause}`);
    }
  }
  const half = (tls.cert === undefined) !== (tls.key === undefined);
  const none = tls.ca === undefined && tls.cert === undefined && env.get("DOCKER_CERT_PATH");
  return half || none
    ? failed(`DOCKER_CERT_PATH=${dir}: needs ca.pem, and cert.pem together with key.pem`)
    : { ok: true, tls };
}

function failed(message: string): { ok: false; message: string } {
  return { ok: false, message };
}
