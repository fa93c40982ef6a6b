/**
 * Who this node is: its id and credential, got with a join token and kept in the state directory.
 *
 * @module
 */
import { z } from "zod";
import { type CallError, type Client, describeError } from "../api/client.ts";
import { Id } from "../kv/schema/common.ts";
import type { NodeFacts } from "../kv/schema/node.ts";
import type { Clock } from "../kv/schema/time.ts";
import type { Log } from "./log.ts";
import type { EngineInfo, Runtime } from "./runtime.ts";
import { messageOf, writeFileAtomically } from "./state_file.ts";
import { createBackOff } from "./wake.ts";
import type { WorkerConfig } from "./config.ts";

/** Reported with the facts. Kept equal to deno.json's by a test. */
export const AGENT_VERSION = "0.1.0";

export const Identity = z.object({
  format: z.literal(1),
  nodeId: Id,
  clusterId: Id,
  /** The node's bearer token: a secret. */
  credential: z.string().min(1),
  /** Ids that this machine had before; their containers are still to be removed. */
  former: z.array(Id),
});
export type Identity = z.infer<typeof Identity>;

export type LoadedIdentity =
  | { kind: "known"; identity: Identity }
  | { kind: "none" }
  | { kind: "damaged"; message: string };

const fileIn = (dir: string) => `${dir}/identity.json`;
const joinKeyIn = (dir: string) => `${dir}/join-key`;

export async function loadIdentity(dir: string): Promise<LoadedIdentity> {
  const path = fileIn(dir);
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return { kind: "none" };
    return { kind: "damaged", message: `cannot read ${path}: ${messageOf(error)}` };
  }
  try {
    return { kind: "known", identity: Identity.parse(JSON.parse(text)) };
  } catch {
    // The text holds a secret, and so may the parser's message.
    return { kind: "damaged", message: `${path} is damaged; remove it to join anew` };
  }
}

/** Mode 0600, and forced to the disk: the credential is shown once. */
export async function saveIdentity(dir: string, identity: Identity): Promise<void> {
  await writeFileAtomically(fileIn(dir), JSON.stringify(identity), { flush: true });
}

/** What this machine is: what the engine says, unless the configuration says otherwise. */
export function factsOf(
  info: EngineInfo,
  config:
    & Pick<WorkerConfig, "name" | "address" | "labels" | "cpus" | "memoryMiB" | "gpus">
    & Partial<Pick<WorkerConfig, "reserve">>,
): NodeFacts {
  const capacity = {
    cpus: config.cpus ?? info.capacity.cpus,
    memoryMiB: config.memoryMiB ?? info.capacity.memoryMiB,
  };
  const reserve = reserveOf(info, config, capacity);
  const gpus = config.gpus ?? info.gpus;
  return {
    name: config.name,
    address: config.address,
    capacity,
    allocatable: {
      cpus: Math.max(0, Math.round((capacity.cpus - reserve.cpus) * 1000) / 1000),
      memoryMiB: Math.max(0, capacity.memoryMiB - reserve.memoryMiB),
    },
    ...(info.diskMiB === undefined ? {} : { diskMiB: info.diskMiB }),
    ...(gpus === undefined ? {} : { gpus }),
    labels: config.labels,
    engineLabels: info.labels ?? {},
    hostname: info.hostname,
    os: info.os,
    arch: info.arch,
    runtime: info.runtime,
    engine: info.engine,
    agentVersion: AGENT_VERSION,
    usedPorts: [],
  };
}

/** The part of a real machine's memory that is kept for it, when nobody says how much. */
const RESERVED_SHARE = 1 / 20;

function reserveOf(
  info: EngineInfo,
  { reserve, memoryMiB }: Partial<Pick<WorkerConfig, "reserve" | "memoryMiB">>,
  capacity: NodeFacts["capacity"],
): NodeFacts["capacity"] {
  const said = memoryMiB !== undefined || info.runtime === "sim";
  const share = said ? 0 : Math.ceil(capacity.memoryMiB * RESERVED_SHARE);
  return { cpus: reserve?.cpus ?? 0, memoryMiB: reserve?.memoryMiB ?? share };
}

/**
 * The key under which this machine's next join is one join, however often it is asked for: also when the
 * answer was lost and the worker died. Forgotten by {@link forgetJoinKey} once there is an answer.
 */
export async function joinKey(dir: string, newKey: () => string): Promise<string> {
  const path = joinKeyIn(dir);
  try {
    const kept = (await Deno.readTextFile(path)).trim();
    if (kept !== "") return kept;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const key = newKey();
  await writeFileAtomically(path, key, { flush: true });
  return key;
}

export async function forgetJoinKey(dir: string): Promise<void> {
  try {
    await Deno.remove(joinKeyIn(dir));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

export type Joined =
  | { kind: "joined"; nodeId: string; clusterId: string; credential: string }
  | { kind: "refused"; message: string }
  | { kind: "stopped" };

/** Joins with a client that carries the join token; asks again while the server is unreachable. */
export async function joinCluster(
  client: Pick<Client, "join" | "url">,
  facts: NodeFacts,
  { key, clock, random, log, signal }: {
    /** Repetitions with one key are one join. */
    key: string;
    clock: Clock;
    random: () => number;
    log: Log;
    signal: AbortSignal;
  },
): Promise<Joined> {
  const backOff = createBackOff({ firstMs: 250, maxMs: 5_000, random });
  while (!signal.aborted) {
    const joined = await client.join(facts, { signal, idempotencyKey: key });
    if (joined.ok) return { kind: "joined", ...joined.value };
    if (isFinal(joined.error)) return { kind: "refused", message: describeError(joined.error) };
    if (signal.aborted) break;
    log("warn", "cannot join yet; trying again", {
      server: client.url,
      reason: describeError(joined.error),
    });
    await clock.sleep(backOff.nextMs(), signal);
  }
  return { kind: "stopped" };
}

function isFinal(error: CallError): boolean {
  if (error.kind !== "problem") return error.kind === "protocol";
  const { status } = error.problem;
  return status < 500 && status !== 408 && status !== 429;
}

/** Stops and removes all containers and networks of the runtime's node; false when some are left. */
export async function removeAll(
  runtime: Runtime,
  { log, timeoutMs, signal: given }: { log: Log; timeoutMs: number; signal?: AbortSignal },
): Promise<boolean> {
  const late = AbortSignal.timeout(timeoutMs);
  const signal = given ? AbortSignal.any([given, late]) : late;
  const listed = await runtime.list(signal);
  if (!listed.ok) {
    log("warn", "cannot list the former node's containers", { reason: listed.message });
    return false;
  }
  let left = 0;
  for (const { taskId, state } of listed.value) {
    if (state === "running") await runtime.stop(taskId, { signal, graceMs: 10_000 });
    const removed = await runtime.remove(taskId, signal);
    if (removed.ok) continue;
    left++;
    log("warn", "cannot remove a container of the former node", {
      taskId,
      reason: removed.message,
    });
  }
  await runtime.networks?.prune(signal, { graceMs: 0 });
  return left === 0;
}
