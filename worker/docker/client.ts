/**
 * The engine's client and what all its calls share: deadlines, one retry, and errors as values.
 * This folder is loaded by workers that use docker only.
 *
 * Invariants:
 * 1. A call settles when its signal aborts, whatever the engine or the library do.
 * 2. A call is repeated once, and only when a pooled connection turned out to be dead (the engine
 *    restarted): every call of ours may be repeated.
 * 3. A stream that arrives after its call was given up is destroyed.
 *
 * @module
 */
import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import type { Readable } from "node:stream";
import type { EngineFailure } from "../runtime.ts";
import type { EngineConnection } from "./connect.ts";
import { Docker, type Dockerode } from "./dockerode.ts";

export type CreateOptions = Dockerode.ContainerCreateOptions;
export type ListItem = Dockerode.ContainerInfo;
export type Inspection = Dockerode.ContainerInspectInfo;
export type Engine = Dockerode;
export type Container = Dockerode.Container;
/** How the library is told of a deadline. */
export interface SignalOption {
  abortSignal: AbortSignal;
}

const inspectAs = Symbol.for("nodejs.util.inspect.custom");

export interface EngineClient {
  docker: Engine;
  /** Closes pooled connections. Streams are closed by whoever opened them. */
  close(): void;
}

/** A client of the engine at `connection`. It connects with the first call. */
export function connectEngine(connection: EngineConnection): EngineClient {
  const tls = connection.kind === "tcp" ? connection.tls : undefined;
  const agent = tls ? new HttpsAgent({ keepAlive: true }) : new HttpAgent({ keepAlive: true });
  // Every field is given, since the library fills in absent ones from the environment.
  const options: Record<string, unknown> = {
    socketPath: connection.kind === "socket" ? connection.path : undefined,
    host: connection.kind === "tcp" ? connection.host : undefined,
    port: connection.kind === "tcp" ? connection.port : undefined,
    protocol: tls ? "https" : "http",
    ca: tls?.ca,
    cert: tls?.cert,
    key: tls?.key,
    agent,
    pathPrefix: "/",
    headers: {},
    timeout: undefined,
    connectionTimeout: undefined,
    username: undefined,
    version: undefined,
    Promise: undefined,
    sshOptions: undefined,
  };
  const docker = new Docker(options as Dockerode.DockerOptions);
  hideOptions(docker.modem as object);
  return { docker, close: () => agent.destroy() };
}

/**
 * With each request the library renders its options for a debug log, whether anybody reads it or not,
 * to any depth: all pooled sockets with all their buffers, four fifths of a busy agent's time.
 */
function hideOptions(modem: { buildRequest?: unknown }): void {
  const build = modem.buildRequest;
  if (typeof build !== "function") return;
  modem.buildRequest = (options: object, ...rest: unknown[]) =>
    build.call(modem, Object.defineProperty(options, inspectAs, { value: () => "…" }), ...rest);
}

/** An answer with the HTTP status of a failure, for the callers to which it says more. */
export type Answer<T> = { ok: true; value: T } | (EngineFailure & { status?: number });

/** Calls the engine once (invariant 2: at most twice) within `signal`. `what` names the call. */
export async function ask<T>(
  what: string,
  signal: AbortSignal,
  call: (abortSignal: AbortSignal) => Promise<T>,
): Promise<Answer<T>> {
  const first = await attempt(what, signal, call);
  return first.ok || !first.stale ? first : await attempt(what, signal, call); // invariant 2
}

type Attempt<T> = { ok: true; value: T } | (EngineFailure & { status?: number; stale?: boolean });

function attempt<T>(
  what: string,
  signal: AbortSignal,
  call: (abortSignal: AbortSignal) => Promise<T>,
): Promise<Attempt<T>> {
  if (signal.aborted) return Promise.resolve(deadline(what));
  // The library would keep a stream tied to the caller's deadline, so it gets a signal of its own.
  const own = new AbortController();
  return new Promise((resolve) => {
    const abort = () => {
      own.abort();
      resolve(deadline(what)); // invariant 1
    };
    signal.addEventListener("abort", abort, { once: true });
    const done = (answer: Attempt<T>) => {
      signal.removeEventListener("abort", abort);
      resolve(answer);
    };
    call(own.signal).then(
      (value) => {
        if (own.signal.aborted) destroy(value); // invariant 3
        done({ ok: true, value });
      },
      (error) => done(own.signal.aborted ? deadline(what) : failureOf(what, error)),
    );
  });
}

/** The parts of the engine's description of its machine that are used. */
export interface MachineInfo {
  ServerVersion: string;
  Name: string;
  OSType: string;
  Architecture: string;
  NCPU: number;
  MemTotal: number;
  /** As `key=value`; none at all on an engine without labels. */
  Labels?: string[] | null;
  DockerRootDir?: string;
  Runtimes?: Record<string, unknown>;
  GenericResources?: {
    NamedResourceSpec?: { Kind: string } | null;
    DiscreteResourceSpec?: { Kind: string; Value: number } | null;
  }[] | null;
}

/**
 * The GPUs that the engine offers: those that its configuration lists, or at least one when it has
 * NVIDIA's runtime; undefined when nothing says so.
 */
export function gpusOf({ Runtimes, GenericResources }: MachineInfo): number | undefined {
  let listed = 0;
  for (
    const { NamedResourceSpec: named, DiscreteResourceSpec: discrete } of GenericResources ?? []
  ) {
    if (named && /gpu/i.test(named.Kind)) listed++;
    if (discrete && /gpu/i.test(discrete.Kind)) listed += discrete.Value;
  }
  if (listed > 0) return listed;
  return Runtimes && "nvidia" in Runtimes ? 1 : undefined;
}

export function getInfo(docker: Engine, abortSignal: AbortSignal): Promise<MachineInfo> {
  // The library takes a signal here too, which its types do not say.
  const { info } = docker as { info(options: SignalOption): Promise<MachineInfo> };
  return info.call(docker, { abortSignal });
}

/**
 * Makes a container. Given one object, the library puts all of it into the request's address as well,
 * environment included, and addresses are what engines and proxies log.
 */
export function createContainer(
  docker: Engine,
  { name, ...body }: CreateOptions,
  abortSignal: AbortSignal,
): Promise<Container> {
  const options = { _query: { name }, _body: body, abortSignal };
  return docker.createContainer(options as unknown as CreateOptions);
}

/** The library types its streams loosely; all of them are Node's. */
export function readable(stream: unknown): Readable {
  return stream as Readable;
}

/**
 * The container's output as a stream. The library's own call collects it in memory unless it follows.
 */
export function openLogs(
  docker: Engine,
  containerId: string,
  query: Record<string, string | number | boolean>,
  abortSignal: AbortSignal,
): Promise<Readable> {
  const request = {
    path: `/containers/${containerId}/logs?`,
    method: "GET",
    isStream: true,
    abortSignal,
    statusCodes: { 200: true, 404: "no such container", 500: "server error" },
    options: query,
  };
  return new Promise((resolve, reject) =>
    docker.modem.dial(
      request,
      (error: unknown, stream: unknown) => error ? reject(error) : resolve(readable(stream)),
    )
  );
}

function destroy(value: unknown): void {
  const stream = value as Partial<Readable> | null;
  if (typeof stream?.destroy === "function") {
    stream.on?.("error", () => {});
    stream.destroy();
  }
}

function deadline(what: string): EngineFailure {
  return { ok: false, kind: "unavailable", message: `${what}: no answer before the deadline` };
}

interface EngineError {
  statusCode?: number;
  code?: string;
  json?: { message?: string } | null;
  message?: string;
}

function failureOf(what: string, error: EngineError): Attempt<never> {
  const { statusCode, code } = error;
  const said = error.json?.message ?? error.message ?? String(error);
  // The library's prefix and the engine's line breaks say nothing to people.
  const message = said.replace(/^\(HTTP code \d+\) [a-z /]+ - /, "").replace(/\s+/g, " ").trim();
  if (statusCode === undefined) {
    const stale = /EPIPE|ECONNRESET|socket hang up|connection (closed|reset)|broken pipe/i
      .test(`${code} ${message}`);
    return { ok: false, kind: "unavailable", message: `${what}: ${message}`, stale };
  }
  const later = statusCode >= 500 || statusCode === 408 || statusCode === 429;
  return { ok: false, kind: later ? "unavailable" : "refused", message, status: statusCode };
}

/** A refusal of our own. */
export function refused(message: string): EngineFailure {
  return { ok: false, kind: "refused", message };
}

/** A failure as the contract has it, without the HTTP status. */
export function failure({ kind, message }: EngineFailure): EngineFailure {
  return { ok: false, kind, message };
}

/** What an operation came to, as the contract has it. */
export function done(): { ok: true; value: undefined };
export function done<T>(value: T): { ok: true; value: T };
export function done<T>(value?: T): { ok: true; value: T | undefined } {
  return { ok: true, value };
}
