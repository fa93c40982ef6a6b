/**
 * Idempotency keys: a write that carries one happens once. The row is part of the commit that makes the
 * effect, so there is no moment at which one exists without the other.
 *
 * @module
 */
import { key } from "./keys.ts";
import { done, type Outcome, refuse, tooManyConflicts, WRITE_ATTEMPTS } from "./outcome.ts";
import { timestamp } from "./schema/common.ts";
import { Idempotency } from "./schema/control.ts";
import { getRow, type Kv } from "./store.ts";

/** The `Idempotency-Key` of one request. */
export interface Once {
  tokenId: string;
  key: string;
  /** SHA-256 of method, path and body. */
  request: string;
  wallMs: number;
}

/** What the key was used for before, if it was; refuses when that was another request. */
export async function findUse(
  kv: Kv,
  once: Once | undefined,
): Promise<Outcome<Idempotency | undefined>> {
  if (!once) return done(undefined);
  const used = (await getRow(kv, key.idempotency(once.tokenId, once.key), Idempotency))?.row;
  if (used && used.request !== once.request) {
    return refuse("key-reused", `the Idempotency-Key was used for another request at ${used.at}`, {
      hint: "Use a new key for each request; repeat one with the same method, path and body.",
      errors: [{ field: "header.idempotency-key", message: "was used for another request" }],
    });
  }
  return done(used);
}

/** Adds the use of the key to the commit that makes the effect; it fails if the key was used. */
export function recordUse(
  op: Deno.AtomicOperation,
  once: Once | undefined,
  effect: { status: number; objectId: string },
): Deno.AtomicOperation {
  if (!once) return op;
  const row: Idempotency = {
    request: once.request,
    status: effect.status,
    objectId: effect.objectId,
    at: timestamp(once.wallMs),
  };
  const used = key.idempotency(once.tokenId, once.key);
  return op.check({ key: used, versionstamp: null }).set(used, row);
}

/** One kind of write. Both parts answer `undefined` when they lost a race and are to run again. */
export interface WriteSteps<T> {
  /** Reads, decides and commits, with {@link recordUse} in the commit. */
  attempt(): Promise<Outcome<T> | undefined>;
  /** Answers a repetition of a write that was carried out before. */
  replay(use: Idempotency): Promise<Outcome<T> | undefined>;
}

/** Runs an optimistic write until it is through or refused; one that carries a key happens once. */
export async function writeOnce<T>(
  kv: Kv,
  once: Once | undefined,
  what: string,
  steps: WriteSteps<T>,
): Promise<Outcome<T>> {
  for (let attempt = 0; attempt < WRITE_ATTEMPTS; attempt++) {
    const use = await findUse(kv, once);
    if (!use.ok) return use;
    const outcome = use.value ? await steps.replay(use.value) : await steps.attempt();
    if (!outcome) continue;
    if (outcome.ok || use.value || !once) return outcome;
    // Refused: perhaps because the same request was carried out since we looked for its key.
    const since = await findUse(kv, once);
    if (!since.ok || !since.value) return outcome;
  }
  return tooManyConflicts(what);
}
