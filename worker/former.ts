/**
 * What a worker leaves behind when it joins anew: the containers of its earlier identities are nobody's
 * any more.
 *
 * 1. They go while the agent gives signs of life: a container that ignores its signal may take longer than
 *    the servers wait for a node.
 * 2. The agent makes containers only once all of them were to go: until then they may hold the ports and
 *    the room of new ones. What the engine does not let go then is tried again beside it.
 *
 * @module
 */
import { type Identity, removeAll, saveIdentity } from "./join.ts";
import type { Runtime } from "./runtime.ts";
import { createBackOff } from "./wake.ts";
import type { WorkerDeps } from "./worker.ts";

const REMOVE_ALL_TIMEOUT_MS = 120_000;
const RETRY = { firstMs: 1_000, maxMs: 60_000 } as const;

export type FormerDeps = Pick<
  WorkerDeps,
  "config" | "createRuntime" | "clock" | "random" | "log"
>;

/** Answers the identity without those of which nothing is left. */
async function removeFormer(
  { config, createRuntime, log }: FormerDeps,
  identity: Identity,
  signal: AbortSignal,
): Promise<Identity> {
  const former: string[] = [];
  for (const nodeId of identity.former) {
    const runtime = createRuntime(nodeId);
    const clean = await removeAll(runtime, { log, timeoutMs: REMOVE_ALL_TIMEOUT_MS, signal });
    await runtime.close();
    if (!clean) former.push(nodeId);
  }
  if (former.length === identity.former.length) return identity;
  const changed = { ...identity, former };
  await saveIdentity(config.stateDir, changed);
  return changed;
}

export interface Clearing {
  /** Settles once all were tried: what is left then, the engine does not let go for now. */
  tried: Promise<void>;
  /** The identity without those of which nothing is left, when that is all or the signal aborts. */
  left: Promise<Identity>;
}

/** Tries until nothing is left or the signal aborts. */
export function clearFormer(
  deps: FormerDeps,
  identity: Identity,
  signal: AbortSignal,
): Clearing {
  const tried = Promise.withResolvers<void>();
  const left = clear(deps, { identity, signal, tried: tried.resolve }).finally(tried.resolve);
  // Whoever waits for it is told; until then the agent runs.
  left.catch(() => {});
  return { tried: tried.promise, left };
}

async function clear(
  deps: FormerDeps,
  { identity, signal, tried }: { identity: Identity; signal: AbortSignal; tried: () => void },
): Promise<Identity> {
  const { clock, random } = deps;
  const backOff = createBackOff({ ...RETRY, random });
  let left = await removeFormer(deps, identity, signal);
  tried();
  while (left.former.length > 0 && !signal.aborted) {
    await clock.sleep(backOff.nextMs(), signal);
    if (!signal.aborted) left = await removeFormer(deps, left, signal);
  }
  return left;
}

/** A runtime that makes no container before `tried` settles. */
export function makingRoom(runtime: Runtime, tried: Promise<void>): Runtime {
  return {
    ...runtime,
    async create(assignment, signal) {
      await settled(tried, signal);
      return await runtime.create(assignment, signal);
    },
  };
}

/** Resolves when the promise settles or the signal aborts. */
function settled(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = () => {
      signal.removeEventListener("abort", done);
      resolve();
    };
    signal.addEventListener("abort", done, { once: true });
    void promise.then(done);
  });
}
