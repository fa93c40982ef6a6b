/**
 * What a worker leaves behind when it joins anew: the containers of its earlier identities are nobody's
 * any more. They go before the agent runs; what the engine does not let go then is tried again beside it.
 *
 * @module
 */
import { type Identity, removeAll, saveIdentity } from "./join.ts";
import { createBackOff } from "./wake.ts";
import type { WorkerDeps } from "./worker.ts";

const REMOVE_ALL_TIMEOUT_MS = 120_000;
const RETRY = { firstMs: 1_000, maxMs: 60_000 } as const;

export type FormerDeps = Pick<
  WorkerDeps,
  "config" | "createRuntime" | "clock" | "random" | "log"
>;

/** Answers the identity without those of which nothing is left. */
export async function removeFormer(
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

/** Tries until nothing is left or the signal aborts. */
export async function clearFormer(
  deps: FormerDeps,
  identity: Identity,
  signal: AbortSignal,
): Promise<Identity> {
  const { clock, random } = deps;
  const backOff = createBackOff({ ...RETRY, random });
  let left = identity;
  while (left.former.length > 0 && !signal.aborted) {
    await clock.sleep(backOff.nextMs(), signal);
    if (!signal.aborted) left = await removeFormer(deps, left, signal);
  }
  return left;
}
