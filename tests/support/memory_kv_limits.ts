/**
 * What is too large for Deno KV, in its own words.
 *
 * @module
 */
import { serialize } from "node:v8";
import type { Mutation } from "./kv_operation.ts";
import { encodeKey, mayBeBytes } from "./memory_kv_rows.ts";

export const LIMITS = {
  writeKeyBytes: 2048,
  readKeyBytes: 2049,
  valueBytes: 65_536,
  commitBytes: 819_200,
  commitKeyBytes: 81_920,
  mutations: 1000,
  checks: 100,
  readKeys: 10,
  listBatch: 1000,
} as const;

/** The name of a key that is read. */
export function readKey(key: Deno.KvKey): string {
  const name = encodeKey(key);
  // The real one reads from the key to one that is a byte longer.
  if (name.length + 1 > LIMITS.readKeyBytes) {
    throw new TypeError(`Key too large for read (max ${LIMITS.readKeyBytes} bytes)`);
  }
  return name;
}

/** Refuses a commit that is over a limit. */
export function refuseTooLarge(
  checks: readonly Deno.AtomicCheck[],
  mutations: readonly Mutation[],
): void {
  if (checks.length > LIMITS.checks) throw new TypeError(`Too many checks (max ${LIMITS.checks})`);
  if (mutations.length > LIMITS.mutations) {
    throw new TypeError(`Too many mutations (max ${LIMITS.mutations})`);
  }
  let keyBytes = 0;
  for (const { key } of [...checks, ...mutations]) {
    const name = encodeKey(key);
    if (name.length === 0) throw new TypeError("key cannot be empty");
    if (name.length > LIMITS.writeKeyBytes) {
      throw new TypeError(`Key too large for write (max ${LIMITS.writeKeyBytes} bytes)`);
    }
    keyBytes += name.length;
  }
  let bytes = keyBytes;
  const values = mutations.flatMap((m) => m.kind === "set" ? [m.value] : []);
  const guessed = values.reduce<number>((sum, value) => sum + mayBeBytes(value), keyBytes);
  // The exact size is dear, and seldom needed.
  if (guessed > LIMITS.valueBytes) {
    for (const value of values) {
      const size = serialize(value).length;
      if (size > LIMITS.valueBytes) {
        throw new TypeError(`Value too large (max ${LIMITS.valueBytes} bytes)`);
      }
      bytes += size;
    }
  }
  if (bytes > LIMITS.commitBytes) {
    throw new TypeError(`Total mutation size too large (max ${LIMITS.commitBytes} bytes)`);
  }
  if (keyBytes > LIMITS.commitKeyBytes) {
    throw new TypeError(`Total key size too large (max ${LIMITS.commitKeyBytes} bytes)`);
  }
}
