/**
 * A worker's life: join if need be, run the agent, join anew when the node was removed.
 *
 * @module
 */
import { type Client, createClient } from "../api/client.ts";
import type { UnboundPort } from "../kv/schema/node.ts";
import type { Clock } from "../kv/schema/time.ts";
import { createAgent } from "./agent.ts";
import { runTraffic } from "./balancer/traffic.ts";
import type { NameService } from "./dns/name_service.ts";
import type { WorkerConfig } from "./config.ts";
import { clearFormer, makingRoom } from "./former.ts";
import {
  factsOf,
  forgetJoinKey,
  type Identity,
  joinCluster,
  joinKey,
  loadIdentity,
  saveIdentity,
} from "./join.ts";
import type { Ingress } from "./ingress/ingress.ts";
import type { IngressNode } from "./ingress/node_ingress.ts";
import type { Guard } from "./guard_client.ts";
import type { Log } from "./log.ts";
import type { EngineInfo, ProjectNetworks, Runtime } from "./runtime.ts";
import { createFileStore } from "./state_file.ts";
import { createBackOff } from "./wake.ts";

/** The process's exit code, by what ended the worker. */
export const EXIT = { done: 0, failed: 1, usage: 2, noEngine: 3, refused: 4, restart: 75 } as const;

export interface WorkerDeps {
  config: WorkerConfig;
  /** A runtime for the containers of one node. The worker closes it. */
  createRuntime: (nodeId: string) => Runtime;
  /** A guard for the strict tasks of one life of the agent. */
  createGuard: () => Guard;
  /** Names for the containers in a node's networks, for one life of the agent. */
  createNames?: (nodeId: string, networks: ProjectNetworks) => Promise<NameService>;
  /** Configures the ingress proxy, if one is to run on the node. */
  createIngress?: (node: IngressNode) => Ingress;
  clock: Clock;
  random: () => number;
  /** Mints an idempotency key. */
  newKey: () => string;
  log: Log;
  /** For tests. */
  fetch?: (request: Request) => Promise<Response>;
}

export interface Ended {
  code: number;
  /** For people, when `code` is not 0. */
  message?: string;
}

/** Of a call; short, so that the server sees the node soon after an interruption. */
const CALL_TIMEOUT_MS = 4_000;
const ENGINE_PATIENCE_MS = 15_000;
/** A server that lets a node join and then does not know it is broken. */
const MAX_JOINS = 3;
/** The node id of a runtime that only answers `info`. */
const NOBODY = "00000000000000000000000000";

/** Runs until the signal aborts or nothing can be done any more. Containers stay. */
export async function runWorker(deps: WorkerDeps, signal: AbortSignal): Promise<Ended> {
  const { config: { stateDir, joinToken, server }, log } = deps;
  const loaded = await loadIdentity(stateDir);
  if (loaded.kind === "damaged") return { code: EXIT.failed, message: loaded.message };
  let identity = loaded.kind === "known" ? loaded.identity : undefined;
  let former: string[] = [];
  for (let joins = 0; !signal.aborted;) {
    if (!identity) {
      if (joinToken === undefined || joins === MAX_JOINS) {
        const message = joins === 0
          ? `this node is not part of a cluster yet: pass --join TOKEN (berth node join-token)`
          : `the server at ${server} let this node join and then refused it, ${joins} times`;
        return { code: joins === 0 ? EXIT.usage : EXIT.refused, message };
      }
      joins++;
      const joined = await joinAnew(deps, { joinToken, former }, signal);
      if (!("nodeId" in joined)) return joined;
      identity = joined;
    }
    const ending = new AbortController();
    const { tried, left } = clearFormer(deps, identity, AbortSignal.any([signal, ending.signal]));
    const end = await serve(deps, identity, { tried, signal }).finally(() => ending.abort());
    identity = await left;
    if (end.reason === "stopped") break;
    if (end.reason === "restart") {
      log("info", "restarting, as asked");
      if (deps.config.supervised) {
        return {
          code: EXIT.restart,
          message: "restarting, as asked: whoever watches starts it again",
        };
      }
      continue;
    }
    const { nodeId } = identity;
    if (joinToken === undefined) {
      return {
        code: EXIT.refused,
        message: `${server} refuses the credential of node ${nodeId}: ${end.message}. ` +
          "Its containers are left alone. If it was removed, pass --join TOKEN to join anew",
      };
    }
    log("warn", "the server no longer knows this node; joining anew", { nodeId });
    former = [...identity.former, nodeId];
    identity = undefined;
  }
  return { code: EXIT.done };
}

/** Joins the cluster and keeps the identity it got; what ended it otherwise. */
export async function joinAnew(
  deps: WorkerDeps,
  { joinToken, former }: { joinToken: string; former: string[] },
  signal: AbortSignal,
): Promise<Identity | Ended> {
  const { config, clock, random, log } = deps;
  const info = await engineInfo(deps, signal);
  if (signal.aborted) return { code: EXIT.done };
  if (typeof info === "string") {
    return {
      code: EXIT.noEngine,
      message: `no engine answers: ${info}. Start one, or use --sim for simulated containers`,
    };
  }
  const facts = factsOf(info, config);
  const client = clientOf(deps, joinToken);
  const { stateDir } = config;
  const key = await joinKey(stateDir, deps.newKey);
  const joined = await joinCluster(client, facts, { key, clock, random, log, signal });
  if (joined.kind === "stopped") return { code: EXIT.done };
  if (joined.kind === "refused") {
    await forgetJoinKey(stateDir);
    return { code: EXIT.refused, message: `cannot join ${config.server}: ${joined.message}` };
  }
  const { nodeId, clusterId, credential } = joined;
  const identity: Identity = { format: 1, nodeId, clusterId, credential, former };
  await saveIdentity(stateDir, identity);
  await forgetJoinKey(stateDir);
  log("info", "joined", { node: config.name, nodeId, server: config.server });
  return identity;
}

async function serve(
  deps: WorkerDeps,
  { nodeId, credential }: Identity,
  { tried, signal }: { tried: Promise<void>; signal: AbortSignal },
) {
  const { config, clock, random, log } = deps;
  const runtime = deps.createRuntime(nodeId);
  const client = clientOf(deps, credential);
  /** By who cannot listen on them. */
  const unbound = new Map<"balancer" | "ingress", UnboundPort[]>();
  const agent = createAgent({
    runtime: makingRoom(runtime, tried),
    client,
    clock,
    random,
    state: createFileStore(config.stateDir),
    log,
    guard: deps.createGuard(),
    onNews: () => ingress?.look(), // It is made of the agent, and the agent runs later.
    config: {
      nodeId,
      facts(info) {
        const unboundPorts = [...unbound.values()].flat();
        return { ...factsOf(info, config), ...(unboundPorts.length === 0 ? {} : { unboundPorts }) };
      },
    },
  });
  const cannotListen = (who: "balancer" | "ingress") => (ports: UnboundPort[]) => {
    unbound.set(who, ports);
    agent.factsChanged();
  };
  const onProblems = cannotListen("ingress");
  const ingress = deps.createIngress?.({ nodeId, runtime, client, agent, onProblems });
  const over = new AbortController();
  const until = AbortSignal.any([signal, over.signal]);
  const names = runtime.networks && await deps.createNames?.(nodeId, runtime.networks);
  const naming = names?.run(until);
  const proxying = ingress?.run(until);
  // Simulated containers answer on no port.
  const balancing = config.runtime === "sim" ? undefined : runTraffic({
    ...{ client, nodeId, clock, random, log, stateDir: config.stateDir },
    onProblems: cannotListen("balancer"),
    onTable(table) {
      names?.update(table);
      ingress?.update(table);
    },
  }, until);
  log("info", "agent runs", { node: config.name, nodeId, server: config.server });
  try {
    // One that throws is a bug: all end, and whoever watches starts them again.
    const leave = () => over.abort();
    const [end, ...others] = await Promise.allSettled([
      agent.run(until).finally(leave),
      balancing?.finally(leave),
      naming?.finally(leave),
      proxying?.finally(leave),
    ]);
    if (end.status === "rejected") throw end.reason;
    for (const other of others) if (other.status === "rejected") throw other.reason;
    return end.value;
  } finally {
    await runtime.close();
  }
}

function clientOf({ config, fetch }: WorkerDeps, token: string): Client {
  return createClient({
    url: config.server,
    token,
    timeoutMs: CALL_TIMEOUT_MS,
    ...(fetch ? { fetch } : {}),
  });
}

/** Asks the engine what it is, for a while; its last words when it does not answer. */
async function engineInfo(
  { createRuntime, clock, random, log }: WorkerDeps,
  signal: AbortSignal,
): Promise<EngineInfo | string> {
  const runtime = createRuntime(NOBODY);
  const backOff = createBackOff({ firstMs: 250, maxMs: 2_000, random });
  const untilMs = clock.monoMs() + ENGINE_PATIENCE_MS;
  try {
    while (true) {
      const info = await runtime.info(
        AbortSignal.any([signal, AbortSignal.timeout(ENGINE_PATIENCE_MS)]),
      );
      if (info.ok) return info.value;
      if (signal.aborted || clock.monoMs() >= untilMs) return info.message;
      log("warn", "the engine does not answer; trying again", { reason: info.message });
      await clock.sleep(backOff.nextMs(), signal);
    }
  } finally {
    await runtime.close();
  }
}
