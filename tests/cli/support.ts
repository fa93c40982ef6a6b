/**
 * A command line without a process: captured output, a fake terminal, a stubbed server.
 *
 * @module
 */
import { createClient } from "../../api/client.ts";
import { resolveTarget } from "../../cli/connect.ts";
import type { ContextStore } from "../../cli/contexts.ts";
import type { Builder, Deps, Io } from "../../cli/deps.ts";
import { main } from "../../cli/main.ts";
import { type Clock, systemClock } from "../../kv/schema/time.ts";

export const NOW = "2026-01-31T12:00:00.000Z";
export const ID = {
  service: "01jd6z0c9m8k4v2q7x5w3t1r0a",
  task1: "01jd6z0c9m8k4v2q7x5w3t1r0b",
  task2: "01jd6z0c9m8k4v2q7x5w3t1r0c",
  node: "01jd6z0c9m8k4v2q7x5w3t1r0d",
};

/** Time stands still and sleeping takes none. */
const clock: Clock = {
  wallMs: () => Date.parse(NOW),
  monoMs: systemClock.monoMs,
  sleep: (_ms, signal) => systemClock.sleep(1, signal),
};

export interface Captured {
  code: number;
  out: string;
  err: string;
}

export type Handler = (request: Request) => Response | Promise<Response>;

export interface Setting {
  /** Columns of the terminal; absent: not a terminal. */
  columns?: number;
  handler?: Handler;
  env?: Record<string, string>;
  files?: Record<string, string>;
  /** Standard input. */
  input?: string;
  /** The engine of this machine; absent: there is none. */
  builder?: Builder;
  /** Standard input is a terminal. */
  typed?: boolean;
}

/** Runs one command line, as `berth ARGS` would. */
export async function berth(args: string[], setting: Setting = {}): Promise<Captured> {
  let out = "";
  let err = "";
  const decoder = new TextDecoder();
  const { columns, handler, env = {}, files = {} } = setting;
  const io: Io = {
    out: (text) => void (out += text),
    err: (text) => void (err += text),
    outBytes: (data) => void (out += decoder.decode(data)),
    errBytes: (data) => void (err += decoder.decode(data)),
    outIsTty: columns !== undefined,
    errIsTty: false,
    inIsTty: setting.typed ?? false,
    size: () => columns === undefined ? undefined : { columns, rows: 24 },
    input: () => new Blob(setting.input === undefined ? [] : [setting.input]).stream(),
    setRaw: () => {},
    confirm: () => false,
    onSignal: () => () => {},
  };
  const contexts = memoryContexts();
  const code = await main(args, io, (globals): Deps => ({
    io,
    view: {
      output: globals.format ? "json" : globals.output ?? "table",
      ...(globals.format ? { template: globals.format } : {}),
      yes: globals.yes,
      color: columns !== undefined && !globals.noColor,
      quiet: globals.quiet,
      ...(columns === undefined ? {} : { columns }),
    },
    clock,
    random: () => 0.5,
    given: { server: globals.server, token: globals.token },
    contexts,
    readTextFile: (path) =>
      path in files
        ? Promise.resolve(files[path] ?? "")
        : Promise.reject(new Error(`no such file: ${path}`)),
    here: {
      cwd: () => "/srv/shop",
      env: (name) => env[name],
      exists: (path) => Promise.resolve(path in files),
      user: () => "ann@desk",
    },
    readFile: (path) =>
      path in files
        ? Promise.resolve(new TextEncoder().encode(files[path]))
        : Promise.reject(new Error(`no such file: ${path}`)),
    openFile: (path) =>
      path in files
        ? Promise.resolve(new Blob([files[path] ?? ""]).stream())
        : Promise.reject(new Error(`no such file: ${path}`)),
    createFile: (path) => Promise.reject(new Error(`cannot write ${path}`)),
    builder: () => Promise.resolve(setting.builder),
    connection: () =>
      resolveTarget({
        flags: handler ? { server: "http://berth.test", token: "t0ken" } : {},
        env,
        contexts: () => contexts.read(),
      }),
    connect: (target) =>
      Promise.resolve(createClient({
        url: target.server,
        ...(target.token ? { token: target.token } : {}),
        fetch: async (request) =>
          await (handler ?? (() => Response.json(problem(404), { status: 404 })))(request),
      })),
    ...(globals.timeout === undefined ? {} : { timeoutMs: globals.timeout }),
  }));
  return { code, out, err };
}

function memoryContexts(): ContextStore {
  const state = { contexts: {} };
  return {
    path: "contexts.json",
    read: () => Promise.resolve({ ok: true, value: state }),
    update: (change) => Promise.resolve(change(state)),
  };
}

export function problem(status: number, more: Record<string, unknown> = {}) {
  return { type: "about:blank", title: `Problem ${status}`, status, ...more };
}

const template = {
  image: "registry.example.com/team/storefront:2026.01.31",
  ports: [{ target: 80, protocol: "tcp" }],
};

export function serviceView(more: Record<string, unknown> = {}) {
  return {
    id: ID.service,
    name: "storefront",
    project: "default",
    labels: {},
    mode: { type: "replicated", replicas: 2 },
    template,
    stopped: false,
    revision: 1,
    createdAt: "2026-01-31T10:00:00.000Z",
    updatedAt: "2026-01-31T10:00:00.000Z",
    ingressPorts: [],
    deleting: false,
    version: "00000001",
    counts: { wanted: 2, running: 1, ready: 1, pending: 1, succeeded: 0, failed: 0 },
    phase: "converging",
    ...more,
  };
}

export function taskView(more: Record<string, unknown> = {}) {
  return {
    id: ID.task1,
    serviceId: ID.service,
    revision: 1,
    slot: 1,
    nodeId: ID.node,
    desired: "run",
    failures: 0,
    createdAt: "2026-01-31T10:00:00.000Z",
    name: "storefront.1",
    service: "storefront",
    project: "default",
    node: "rack-7-machine-12",
    nodeAddress: "machine-12.rack-7.example.com",
    image: template.image,
    state: "running",
    ready: true,
    observed: {
      taskId: ID.task1,
      attempt: 3,
      state: "running",
      health: "healthy",
      ports: [{ target: 80, protocol: "tcp", published: 32768, hostIp: "0.0.0.0" }],
    },
    ...more,
  };
}

export function nodeView(more: Record<string, unknown> = {}) {
  return {
    id: ID.node,
    name: "rack-7-machine-12",
    address: "machine-12.rack-7.example.com",
    capacity: { cpus: 16, memoryMiB: 65536 },
    labels: { zone: "a" },
    os: "linux",
    arch: "x86_64",
    runtime: "docker",
    engine: "docker 28.2.2",
    agentVersion: "0.1.0",
    usedPorts: [],
    joinedAt: "2026-01-30T10:00:00.000Z",
    spec: { labels: {}, availability: "active" },
    status: { state: "ready", since: "2026-01-31T09:00:00.000Z", why: "it answers" },
    version: "00000002",
    allocated: { cpus: 1.5, memoryMiB: 512 },
    tasks: 3,
    ...more,
  };
}

export function pending() {
  const { nodeId: _n, node: _m, nodeAddress: _a, observed: _o, ...rest } = taskView();
  return {
    ...rest,
    id: ID.task2,
    slot: 2,
    name: "storefront.2",
    state: "pending",
    why: "no node has 64 cores",
  };
}

/** A server with one service of two tasks on one node. */
export const oneService: Handler = (request) => {
  const { pathname } = new URL(request.url);
  const answers: Record<string, unknown> = {
    "/v1/services": { items: [serviceView()] },
    "/v1/services/storefront": serviceView(),
    [`/v1/services/${ID.service}`]: serviceView(),
    "/v1/tasks": { items: [taskView(), pending()] },
    "/v1/tasks/storefront.1": taskView(),
    "/v1/nodes": { items: [nodeView()] },
  };
  return pathname in answers
    ? Response.json(answers[pathname])
    : Response.json(problem(404, { detail: `nothing at ${pathname}` }), { status: 404 });
};
