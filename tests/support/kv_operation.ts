/**
 * An atomic operation that can be looked at before it is committed.
 *
 * @module
 */
import { copyOf } from "./memory_kv_rows.ts";

export interface Operation {
  checks: Deno.AtomicCheck[];
  mutations: Mutation[];
}

export type Mutation =
  | { kind: "set"; key: Deno.KvKey; value: unknown }
  | { kind: "delete"; key: Deno.KvKey };

/** Collects an atomic operation, so that it can be looked at before it is committed. */
export class CollectedAtomic implements Deno.AtomicOperation {
  readonly #op: Operation = { checks: [], mutations: [] };

  constructor(
    private readonly run: (
      op: Operation,
    ) => Promise<Deno.KvCommitResult | Deno.KvCommitError>,
  ) {}

  check(...checks: Deno.AtomicCheck[]): this {
    for (const { versionstamp } of checks) {
      if (versionstamp !== null && !/^[0-9a-f]{20}$/.test(versionstamp)) {
        throw new TypeError("Invalid check");
      }
    }
    this.#op.checks.push(...checks);
    return this;
  }
  set(key: Deno.KvKey, value: unknown, options?: { expireIn?: number }): this {
    if (options?.expireIn !== undefined) throw new Error("expireIn is not portable");
    this.#op.mutations.push({ kind: "set", key: [...key], value: copyOf(value) });
    return this;
  }
  delete(key: Deno.KvKey): this {
    this.#op.mutations.push({ kind: "delete", key: [...key] });
    return this;
  }
  commit(): Promise<Deno.KvCommitResult | Deno.KvCommitError> {
    return this.run(this.#op);
  }
  mutate(): this {
    return unsupported("mutate");
  }
  sum(): this {
    return unsupported("sum");
  }
  min(): this {
    return unsupported("min");
  }
  max(): this {
    return unsupported("max");
  }
  enqueue(): this {
    return unsupported("enqueue");
  }
}

function unsupported(what: string): never {
  throw new Error(`this database does not know ${what}: Berth does not use it`);
}
